"""Artifacts come back as saved; a kill leaves the old or the new; a hostile folder is refused and runs nothing."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rlrec.core.artifacts import (
    MANIFEST,
    Artifact,
    artifact_parts,
    atomic_path,
    load_artifact,
    read_json,
    save_artifact,
    write_json,
)
from rlrec.core.errors import ArtifactError, ArtifactNotFoundError, CatalogMismatchError

CATALOG = "ab" * 32


def save(folder: Path, value: float = 1.0, **changes) -> None:
    arguments = {
        "kind": "models/test",
        "config": {"size": value},
        "content": {"temperature": value},
        "arrays": {"w": np.full((2, 3), value, np.float32), "n": np.arange(4)},
        "catalog_sha256": CATALOG,
    }
    save_artifact(folder, **arguments | changes)


def weights_of(folder: Path) -> Path:
    return folder / read_json(folder / MANIFEST)["weights"]


def replace_weights(folder: Path, blob: bytes, *, fix_hash: bool = True) -> None:
    """Put other bytes in place of the weights; with ``fix_hash`` the forger mends the manifest too."""
    weights_of(folder).write_bytes(blob)
    if fix_hash:
        change_manifest(folder, weights_sha256=hashlib.sha256(blob).hexdigest())


def change_manifest(folder: Path, **changes) -> None:
    (folder / MANIFEST).write_text(json.dumps(read_json(folder / MANIFEST) | changes))


def refusal(folder: Path, **kwargs) -> str:
    with pytest.raises(ArtifactError) as caught:
        load_artifact(folder, **kwargs)
    return str(caught.value)


# What is saved comes back

dtypes = st.sampled_from([np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_])
arrays = st.dictionaries(
    st.text("abc._", min_size=1, max_size=6),
    dtypes.flatmap(
        lambda dtype: hnp.arrays(
            dtype,
            hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
            elements={"allow_nan": False, "allow_infinity": False} if np.dtype(dtype).kind == "f" else None,
        )
    ),
    max_size=3,
)


@given(arrays=arrays)
def test_arrays_come_back_bit_for_bit(arrays, tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifact")
    save(folder, arrays=arrays)
    loaded = load_artifact(folder, kind="models/test")
    assert loaded.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded.arrays[name].dtype == array.dtype
        assert loaded.arrays[name].shape == array.shape
        assert loaded.arrays[name].tobytes() == array.tobytes()


def test_a_transposed_view_comes_back_in_its_own_order(tmp_path):
    array = np.arange(6.0).reshape(2, 3).T
    save(tmp_path, arrays={"w": array})
    assert np.array_equal(load_artifact(tmp_path).arrays["w"], array)


def test_everything_else_comes_back(tmp_path):
    save(tmp_path, content={"names": ["é", "b"], "nested": {"x": None}})
    loaded = load_artifact(tmp_path)
    assert (loaded.kind, loaded.config, loaded.catalog_sha256) == ("models/test", {"size": 1.0}, CATALOG)
    assert loaded.content == {"names": ["é", "b"], "nested": {"x": None}}
    assert loaded.versions["numpy"] == np.__version__


def test_saving_again_leaves_one_weights_file(tmp_path):
    save(tmp_path, 1.0)
    save(tmp_path, 2.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([MANIFEST, weights_of(tmp_path).name])


# A kill leaves the old or the new

KILLED_SAVE = """
import os, sys
from pathlib import Path
import numpy as np
from rlrec.core.artifacts import save_artifact

left = int(sys.argv[2])
def dying(function):
    def wrapper(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os._exit(9)  # as SIGKILL does: no finally, no flush
        return function(*args, **kwargs)
    return wrapper

for owner, name in [(os, "fsync"), (Path, "replace"), (Path, "unlink"), (Path, "write_bytes"), (Path, "write_text")]:
    setattr(owner, name, dying(getattr(owner, name)))
save_artifact(
    sys.argv[1], kind="models/test", config={"size": 2.0}, content={"temperature": 2.0},
    arrays={"w": np.full((2, 3), 2.0, np.float32)}, catalog_sha256=None,
)
"""


def killed_save(folder: Path, steps: int) -> int:
    return subprocess.run([sys.executable, "-c", KILLED_SAVE, str(folder), str(steps)], check=False).returncode


def test_a_kill_between_any_two_writes_leaves_the_old_or_the_new(tmp_path):
    seen = []
    for steps in range(40):
        folder = tmp_path / str(steps)
        save(folder, 1.0)
        code = killed_save(folder, steps)
        loaded = load_artifact(folder)
        value = loaded.content["temperature"]
        assert loaded.config == {"size": value}
        assert np.array_equal(loaded.arrays["w"], np.full((2, 3), value, np.float32))
        seen.append(value)
        save(folder, 3.0)  # running again works
        assert load_artifact(folder).content["temperature"] == 3.0
        if code == 0:
            break
        assert code == 9
    assert code == 0
    assert seen == sorted(seen)  # old, ..., old, new, ..., new
    assert {1.0, 2.0} <= set(seen)
    assert seen.count(2.0) > 1  # one kill at least came after the manifest and before the last clean-up


def test_a_failure_leaves_no_temporary_file(tmp_path):
    target = tmp_path / "note.txt"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012, SIM117 (the block is what is interrupted)
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_new_file_has_the_usual_mode(tmp_path):
    mask = os.umask(0o022)
    try:
        write_json(tmp_path / "a.json", {})
    finally:
        os.umask(mask)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o644


def test_nan_in_json_is_refused_and_the_old_file_stays(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert read_json(tmp_path / "a.json") == {"x": 1}


# Hostile and damaged folders


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickle_in_place_of_the_weights_is_refused_and_not_run(tmp_path):
    mark = tmp_path / "mark"
    bomb = pickle.dumps(Bomb(mark))
    pickle.loads(bomb)
    assert mark.exists()  # the bomb works
    mark.unlink()
    save(tmp_path / "model")
    replace_weights(tmp_path / "model", bomb)
    assert "is not a safetensors file" in refusal(tmp_path / "model")
    assert not mark.exists()


def test_a_wrong_hash_is_refused(tmp_path):
    save(tmp_path)
    blob = bytearray(weights_of(tmp_path).read_bytes())
    blob[-1] ^= 1
    replace_weights(tmp_path, bytes(blob), fix_hash=False)
    path = str(weights_of(tmp_path))
    assert refusal(tmp_path) == f"{path!r} is damaged (its hash is not the manifest's); make the artifact again"


@pytest.mark.parametrize("fix_hash", [True, False])
@pytest.mark.parametrize("kept", [0, 4, 8, 60, -1])
def test_truncated_weights_are_refused(tmp_path, kept, fix_hash):
    save(tmp_path)
    replace_weights(tmp_path, weights_of(tmp_path).read_bytes()[:kept], fix_hash=fix_hash)
    assert ("is not a safetensors file" if fix_hash else "is damaged") in refusal(tmp_path)


def test_a_header_that_claims_terabytes_is_refused(tmp_path):
    save(tmp_path)
    replace_weights(tmp_path, (2**41).to_bytes(8, "little") + b"{}")
    assert "is not a safetensors file" in refusal(tmp_path)
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    replace_weights(tmp_path, len(header).to_bytes(8, "little") + header)
    assert "is not a safetensors file" in refusal(tmp_path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, bad):
    save(tmp_path, arrays={"good": np.zeros(2), "w": np.array([0.0, bad])})
    path = str(weights_of(tmp_path))
    assert refusal(tmp_path) == f"{path!r} holds values that are not finite in 'w'; train again"


@pytest.mark.parametrize("name", ["../outside.safetensors", "/outside.safetensors", "sub/w.safetensors", "..", 3, None])
def test_weights_outside_the_folder_are_refused(tmp_path, name):
    folder = tmp_path / "model"
    save(folder)
    (tmp_path / "outside.safetensors").write_bytes(weights_of(folder).read_bytes())
    change_manifest(folder, weights=name)
    assert refusal(folder) == f"{str(folder / MANIFEST)!r} names weights outside its own folder: {name!r}"


def test_a_missing_weights_file_is_named(tmp_path):
    save(tmp_path)
    path = weights_of(tmp_path)
    path.unlink()
    assert refusal(tmp_path) == f"{str(path)!r} does not exist although the manifest names it"


def test_an_empty_folder_says_what_to_give(tmp_path):
    with pytest.raises(ArtifactNotFoundError) as caught:
        load_artifact(tmp_path)
    expected = f"{str(tmp_path)!r} holds no manifest.json; give the folder that a fit or train command wrote"
    assert str(caught.value) == expected


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, '"\\ud800', "\x00"])
def test_a_broken_manifest_is_refused(tmp_path, content):
    (tmp_path / MANIFEST).write_text(content)
    assert f"{str(tmp_path / MANIFEST)!r} is not valid JSON" in refusal(tmp_path)


@pytest.mark.parametrize("content", ["[]", "3", "null", '{"format": 1}'])
def test_json_that_is_no_manifest_is_refused(tmp_path, content):
    (tmp_path / MANIFEST).write_text(content)
    assert refusal(tmp_path) == f"{str(tmp_path / MANIFEST)!r} is not an rlrec manifest; fit or train again"


def test_another_format_and_another_kind_are_refused(tmp_path):
    save(tmp_path)
    assert refusal(tmp_path, kind="agents/ppo") == f"{str(tmp_path)!r} holds a 'models/test', expected a 'agents/ppo'"
    change_manifest(tmp_path, format=2)
    assert refusal(tmp_path).startswith(f"{str(tmp_path)!r} has artifact format 2, this rlrec reads 1; load it with")


def test_another_catalogue_is_refused(tmp_path):
    save(tmp_path)
    artifact = load_artifact(tmp_path)
    artifact.check_catalog(CATALOG)
    with pytest.raises(CatalogMismatchError) as caught:
        artifact.check_catalog("cd" * 32)
    assert str(caught.value) == (
        "this models/test was made for catalogue abababababab, the log has cdcdcdcdcdcd; "
        "fit it again on this log, or load the log it was fitted on"
    )


def test_an_artifact_without_a_catalogue_fits_any(tmp_path):
    save(tmp_path, catalog_sha256=None)
    artifact = load_artifact(tmp_path)
    assert isinstance(artifact, Artifact)
    artifact.check_catalog("cd" * 32)


def save_with_parts(folder, text, *, interrupted=False):
    with artifact_parts(folder, "part-") as parts:
        (parts / "note.txt").write_text(text)
        content = {"parts": parts.name}
        save_artifact(folder, kind="test", config={}, content=content, arrays={}, catalog_sha256=None)
        if interrupted:
            raise KeyboardInterrupt


def test_parts_are_committed_with_the_manifest_that_names_them(tmp_path):
    save_with_parts(tmp_path, "old")
    save_with_parts(tmp_path, "new")
    (parts,) = tmp_path.glob("part-*")
    assert load_artifact(tmp_path).content["parts"] == parts.name
    assert (parts / "note.txt").read_text() == "new"
    (tmp_path / "usual").mkdir()
    assert parts.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_failure_before_the_manifest_removes_the_new_parts_and_after_it_the_old(tmp_path):
    save_with_parts(tmp_path, "old")
    with pytest.raises(KeyboardInterrupt), artifact_parts(tmp_path, "part-"):
        raise KeyboardInterrupt
    (parts,) = tmp_path.glob("part-*")
    assert (parts / "note.txt").read_text() == "old"
    with pytest.raises(KeyboardInterrupt):
        save_with_parts(tmp_path, "new", interrupted=True)
    assert [path.name for path in tmp_path.glob("part-*")] == [load_artifact(tmp_path).content["parts"]]
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(KeyboardInterrupt), artifact_parts(tmp_path, "new-"):  # a damaged manifest names nothing
        raise KeyboardInterrupt
    assert not list(tmp_path.glob("new-*"))
