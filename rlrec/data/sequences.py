"""Behaviour sequences: ragged, as offsets into flat arrays. Padding exists only inside a batch.

Gaps are the times between behaviours, in buckets whose edges grow like a logarithm: a second, a minute, a day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from rlrec.data.log import InteractionLog

GAP_EDGES = np.array(
    [1, 5, 15, 60, 300, 900, 3_600, 4 * 3_600, 86_400, 3 * 86_400, 7 * 86_400, 30 * 86_400, 90 * 86_400], np.float64
)
"""Upper edges of the gap buckets, seconds (chosen here: from a click to a season); bucket i holds gaps below edge i."""
N_GAPS = len(GAP_EDGES) + 1
"""Number of gap buckets; the last holds everything longer."""
GAP_SECONDS = np.concatenate([[0.0], np.sqrt(GAP_EDGES[:-1] * GAP_EDGES[1:]), [180 * 86_400.0]])
"""A typical gap of each bucket, seconds: geometric middle; used where a simulated time must be a number."""


_CHUNK = 1 << 20
"""Rows whose gaps are computed at once (chosen here: 8 MB of seconds)."""


def gap_bucket(seconds: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the bucket of each gap, same shape; negative gaps count as zero."""
    return np.searchsorted(GAP_EDGES, seconds, side="right").astype(np.int64)


class PaddedBatch(NamedTuple):
    """Sequences padded on the right to the longest: all arrays (B, T); padding repeats item 0 and is told by length."""

    item: NDArray[np.int64]
    event: NDArray[np.int64]
    gap: NDArray[np.int64]
    """Bucket of the time since the previous behaviour; 0 at the start."""
    value: NDArray[np.float32]
    """NaN where a row has none."""
    length: NDArray[np.int64]
    """(B,) real behaviours in each row."""
    ended: NDArray[np.bool_]
    """(B,) True where the end of the sequence was seen, False where the log was cut."""
    user: NDArray[np.int64]
    """(B,) user index."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(B, T), True at real behaviours."""
        return np.arange(self.item.shape[1])[None, :] < self.length[:, None]


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences of behaviours, ragged: sequence s is rows ``offsets[s]:offsets[s + 1]`` of the flat arrays."""

    offsets: NDArray[np.int64]
    """(S + 1,)"""
    item: NDArray[np.int32]
    """(N,)"""
    event: NDArray[np.int16]
    """(N,)"""
    gap: NDArray[np.int64]
    """(N,) bucket of the time since the previous behaviour of the sequence; 0 at its start."""
    value: NDArray[np.float64] | None
    """(N,) or None."""
    start: NDArray[np.float64]
    """(S,) time of the first behaviour, UTC seconds."""
    user: NDArray[np.int64]
    """(S,) user index."""
    ended: NDArray[np.bool_]
    """(S,) True where the end was seen."""

    @classmethod
    def from_log(cls, log: InteractionLog) -> Sequences:
        """Cut a log into its sessions, or into its users where it has no sessions."""
        owner = log.user if log.session is None else log.session
        n = log.n_events
        first = np.flatnonzero(np.concatenate([[True], np.diff(owner) != 0])) if n else np.zeros(0, np.int64)
        offsets = np.append(first, n).astype(np.int64)
        gap = np.zeros(n, np.int64)
        for begin in range(1, n, _CHUNK):  # in pieces, so that a log larger than memory needs no second copy of itself
            seconds = np.diff(log.timestamp[begin - 1 : begin + _CHUNK])
            gap[begin : begin + _CHUNK] = np.searchsorted(GAP_EDGES, seconds, side="right")
        gap[first] = 0
        return cls(
            offsets=offsets,
            item=log.item,
            event=log.event,
            gap=gap,
            value=log.value,
            start=log.timestamp[first],
            user=log.user[first].astype(np.int64),
            ended=np.ones(len(first), np.bool_),
        )

    @classmethod
    def from_items(cls, item: NDArray[np.integer], offsets: NDArray[np.int64]) -> Sequences:
        """Build from item indices alone: event 0, no known times, users 0..S-1."""
        n = len(offsets) - 1
        return cls(
            offsets=offsets,
            item=item.astype(np.int32),
            event=np.zeros(len(item), np.int16),
            gap=np.zeros(len(item), np.int64),
            value=None,
            start=np.zeros(n),
            user=np.arange(n),
            ended=np.ones(n, np.bool_),
        )

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(S,) behaviours in each sequence."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def item_counts(self, n_items: int) -> NDArray[np.int64]:
        """Return how often each item occurs, (n_items,)."""
        return np.bincount(self.item, minlength=n_items)

    @property
    def n_events(self) -> int:
        """Behaviours in all."""
        return int(self.offsets[-1])

    def select(self, index: NDArray[Any]) -> Sequences:
        """Return the sequences at ``index`` (mask or integers), copied into new flat arrays."""
        index = np.flatnonzero(index) if index.dtype == np.bool_ else np.asarray(index, np.int64)
        rows, offsets = self._rows(index)
        return Sequences(
            offsets=offsets,
            item=self.item[rows],
            event=self.event[rows],
            gap=self.gap[rows],
            value=None if self.value is None else self.value[rows],
            start=self.start[index],
            user=self.user[index],
            ended=self.ended[index],
        )

    def tail(self, n: int) -> Sequences:
        """Return each sequence's last ``n`` behaviours."""
        if n < 1:
            raise InvalidArgumentError(f"n must be at least 1, got {n}")
        keep = np.minimum(self.lengths, n)
        offsets = np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[1:] - offsets[1:], keep)
        return Sequences(
            offsets=offsets,
            item=self.item[rows],
            event=self.event[rows],
            gap=self.gap[rows],
            value=None if self.value is None else self.value[rows],
            start=self.start,
            user=self.user,
            ended=self.ended,
        )

    def _rows(self, index: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the flat rows of these sequences, one after another, and their offsets."""
        lengths = self.lengths[index]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[index] - offsets[:-1], lengths)
        return rows, offsets

    def pad(self, index: NDArray[np.int64]) -> PaddedBatch:
        """Return these sequences as one padded batch, B = len(index), T = the longest of them."""
        lengths = self.lengths[index]
        n_steps = int(lengths.max(initial=0))
        steps = np.arange(n_steps)
        mask = steps[None, :] < lengths[:, None]  # (B, T)
        rows = np.where(mask, self.offsets[index][:, None] + steps[None, :], 0)
        value = np.full(rows.shape, np.nan, np.float32) if self.value is None else self.value[rows].astype(np.float32)
        return PaddedBatch(
            item=np.where(mask, self.item[rows], 0).astype(np.int64),
            event=np.where(mask, self.event[rows], 0).astype(np.int64),
            gap=np.where(mask, self.gap[rows], 0),
            value=np.where(mask, value, np.float32(np.nan)),
            length=lengths,
            ended=self.ended[index],
            user=self.user[index],
        )

    def batches(
        self, *, n_tokens: int, rng: np.random.Generator | None = None, pool: int = 64
    ) -> Iterator[NDArray[np.int64]]:
        """Yield index arrays of sequences whose padded size is about ``n_tokens``.

        Parameters
        ----------
        n_tokens : int
            Largest B x T of a batch; a sequence longer than that has a batch of its own.
        rng : Generator, optional
            Shuffles. Sequences of like length share a batch inside pools of about ``pool`` batches, and the batches
            of a pool come in random order, so that no epoch ends on the longest ones.
        """
        if n_tokens < 1:
            raise InvalidArgumentError(f"n_tokens must be at least 1, got {n_tokens}")
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        lengths = self.lengths
        if rng is None:
            order = order[np.argsort(lengths, kind="stable")]
            yield from _cut(order, lengths, n_tokens)
            return
        mean = max(float(lengths.mean()), 1.0) if len(self) else 1.0
        size = max(int(n_tokens / mean) * pool, 1)
        for begin in range(0, len(order), size):
            part = order[begin : begin + size]
            cuts = list(_cut(part[np.argsort(lengths[part], kind="stable")], lengths, n_tokens))
            for which in rng.permutation(len(cuts)):
                yield cuts[which]


def _cut(order: NDArray[np.int64], lengths: NDArray[np.int64], n_tokens: int) -> Iterator[NDArray[np.int64]]:
    """Cut sequences sorted by length into batches with (size x longest) <= n_tokens."""
    begin = 0
    while begin < len(order):
        sorted_lengths = lengths[order[begin : begin + n_tokens]]
        sizes = np.arange(1, len(sorted_lengths) + 1) * sorted_lengths  # ascending: lengths ascend
        end = begin + max(int(np.searchsorted(sizes, n_tokens, side="right")), 1)
        yield order[begin:end]
        begin = end
