"""Where public logs are published, under which terms, and how to know that a copy is whole.

Checksums and sizes are those of the publishers, or of those who measured the published file; None where nobody
published any. Sets behind a login (OTTO, RetailRocket) or in an archive that Python cannot open (Yoochoose) are not
here: fetch them by hand, their layouts are read all the same.
"""

from __future__ import annotations

from dataclasses import dataclass

_GROUPLENS = "https://files.grouplens.org/datasets/movielens"
_GROUPLENS_TERMS = "GroupLens terms of use: research only, no redistribution without permission, cite the paper"


@dataclass(frozen=True, kw_only=True)
class RemoteSet:
    """One archive on the web."""

    name: str
    """Its name here."""
    url: str
    """Where the publisher keeps it."""
    homepage: str
    """Where its terms and its description are."""
    licence: str
    """The terms, in a line."""
    restricted: bool
    """True if the terms must be accepted by hand, as those against redistribution or commerce."""
    size: int | None = None
    """Bytes."""
    checksum: str | None = None
    """``"md5:..."`` or ``"sha256:..."``."""

    @property
    def file_name(self) -> str:
        """The last part of the URL."""
        return self.url.rsplit("/", 1)[-1]


def _movielens(name: str, size: int | None, checksum: str | None) -> RemoteSet:
    return RemoteSet(
        name=name,
        url=f"{_GROUPLENS}/{name}.zip",
        homepage=f"{_GROUPLENS.replace('files.', '')}/",
        licence=_GROUPLENS_TERMS,
        restricted=True,
        size=size,
        checksum=checksum,
    )


REMOTE_SETS: dict[str, RemoteSet] = {
    remote.name: remote
    for remote in (
        _movielens("ml-100k", 4_924_029, "md5:0e33842e24a9c977be4e0107933c0723"),
        _movielens("ml-1m", None, "md5:c4d9eecfca2ab87c1945afe126590906"),
        _movielens("ml-10m", None, "md5:ce571fd55effeba0271552578f2648bd"),
        _movielens("ml-25m", 261_978_986, "md5:6b51fb2759a8657d3bfcbfc42b592ada"),
        _movielens("ml-latest-small", None, None),  # the publisher changes it now and then
        RemoteSet(
            name="open-bandit",
            url="https://research.zozo.com/data_release/open_bandit_dataset.zip",
            homepage="https://research.zozo.com/data.html",
            licence="read the terms before use (believed to be CC BY 4.0); cite Saito et al., 2021",
            restricted=True,
            size=412_931_917,
            checksum="sha256:e8ec18196582a5937381a1776382ca940689b90a18d2dcd1fb635be6df614d78",
        ),
        RemoteSet(
            name="kuairand-pure",
            url="https://zenodo.org/records/10439422/files/KuaiRand-Pure.tar.gz",
            homepage="https://kuairand.com",
            licence="CC BY-SA 4.0: cite Gao et al., 2022, and share what you derive alike",
            restricted=False,
        ),
        RemoteSet(
            name="kuairec",
            url="https://zenodo.org/records/18164998/files/KuaiRec.zip",
            homepage="https://kuairec.com",
            licence="CC BY-SA 4.0: cite Gao et al., 2022, and share what you derive alike",
            restricted=False,
            checksum="md5:261550d472c48eff4990fb13c0e5bcf7",
        ),
    )
}
"""Public logs by name."""
