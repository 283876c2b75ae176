"""Segments of a synthetic log: more of the people whom the real log has few of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rlrec.core.checks import check_between
from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.catalog import ItemCatalog
from rlrec.data.features import Categorical
from rlrec.data.sequences import Sequences
from rlrec.evaluation.sequence_features import owners
from rlrec.gan.joining import joined

_BLOCK = 512
_MOST = 200  # candidates for each sequence wanted, after which the segment counts as one that the generator cannot make


def segment_items(catalog: ItemCatalog, feature: str, value: str) -> NDArray[np.bool_]:
    """Return which items have a value of a categorical feature, (I,).

    Raises
    ------
    InvalidArgumentError
        If the catalogue has no such feature or value.
    """
    columns = {name: column for name, column in catalog.features.items() if isinstance(column, Categorical)}
    if feature not in columns:
        raise InvalidArgumentError(
            f"the catalogue has no categorical feature {feature!r}; it has {', '.join(columns) or 'none'}"
        )
    levels = list(columns[feature].labels)
    if value not in levels:
        raise InvalidArgumentError(f"{feature!r} has no value {value!r}; it has {', '.join(levels[:20])}")
    mask: NDArray[np.bool_] = np.asarray(columns[feature].codes) == levels.index(value)
    return mask


def in_segment(sequences: Sequences, items: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which sequences belong to a segment, (S,): at least half of their behaviours are on its items (I,)."""
    hits = np.bincount(owners(sequences), weights=items[sequences.item], minlength=len(sequences))
    return (hits * 2 >= sequences.lengths) & (sequences.lengths > 0)


def draw_with_share(
    draw: Callable[[int, int], Sequences], items: NDArray[np.bool_], n: int, share: float
) -> tuple[Sequences, float]:
    """Draw ``n`` sequences of which a ``share`` belongs to a segment.

    Parameters
    ----------
    draw : callable
        ``draw(m, first)`` returns the candidates ``first`` to ``first + m - 1``.
    items : ndarray, shape (I,)
        The segment's items.
    share : float
        In [0, 1].

    Returns
    -------
    sequences : Sequences
        Those inside of the segment first.
    natural : float
        The segment's share of the candidates.

    Raises
    ------
    DataError
        If too few candidates fall into the segment.
    """
    check_between("share", share, 0.0, 1.0)
    wanted = {True: round(share * n), False: n - round(share * n)}
    kept: dict[bool, list[Sequences]] = {True: [], False: []}
    n_candidates = n_inside = 0
    while any(sum(map(len, kept[side])) < wanted[side] for side in wanted):
        if n_candidates >= _MOST * n:
            raise DataError(
                f"{n_inside} of {n_candidates} sampled sequences fall into the segment; too few to make it {share:.0%} "
                "of the log: ask for a smaller share"
            )
        block = draw(max(n, _BLOCK), n_candidates)
        inside = in_segment(block, items)
        n_candidates, n_inside = n_candidates + len(block), n_inside + int(inside.sum())
        for side in wanted:
            kept[side].append(block.select(inside == side))
    both = [joined(*kept[side]).select(np.arange(wanted[side])) for side in (True, False)]
    return joined(*both), n_inside / n_candidates
