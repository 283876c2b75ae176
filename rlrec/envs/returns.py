"""When somebody who left comes back: by the model's gap head, or as a log's users did.

A user model of whole histories has seen the long gaps between visits, so its gap head knows the return time given what
was consumed. One of single sessions has not: then the times between the sessions of a log are drawn.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.checks import check_positive
from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import GAP_EDGES, N_GAPS, gap_bucket
from rlrec.models.base import Heads
from rlrec.models.sampling import inverse_cdf

DAY = 86_400.0
_LONGEST = 360 * DAY  # the last bucket has no upper edge; a year is as long as anybody simulates
_TINY = 1e-12
_LEAST_SHARE = 1e-3  # of long gaps; sessions hold none, histories some per cent (chosen here)
_EDGES = np.concatenate([[0.0], GAP_EDGES, [_LONGEST]])


class Returns(Protocol):
    """Says when visits end and how long people then stay away."""

    keeps_memory: bool
    """True if the next visit continues what the user model remembers, False if it starts afresh."""
    n_gaps: int
    """Gap buckets, from the shortest, that lie within a visit."""

    def hazard(self, heads: Heads) -> Tensor:
        """Return the probability that the visit ends, (n,), double."""
        ...

    def seconds(self, heads: Heads, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the time away of n people who left, (n,), from uniforms (n, 2); infinite for who never comes back."""
        ...


class GapHead:
    r"""The gap head of a model of whole histories: a visit ends where the next gap is long, or where the history does.

    .. math:: P(\text{visit ends}) = e + (1 - e)\, P(g \ge \text{timeout} \mid h), \qquad
        P(\text{never back} \mid \text{ended}) = e / P(\text{visit ends})

    with e the end head's probability. Inside a bucket a time is log-uniform.

    Parameters
    ----------
    timeout : float
        Seconds; buckets that begin no earlier are gaps between visits.
    """

    keeps_memory = True

    def __init__(self, timeout: float = 1_800.0) -> None:
        check_positive("timeout", timeout)
        self.n_gaps = int(np.searchsorted(_EDGES[:-1], timeout))

    def hazard(self, heads: Heads) -> Tensor:
        """Return the probability that the visit ends, (n,)."""
        return 1.0 - (1.0 - heads.end_probs().double()) * heads.gap_probs()[..., : self.n_gaps].double().sum(-1)

    def seconds(self, heads: Heads, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return times away, (n,)."""
        never = (heads.end_probs().double() / self.hazard(heads)).cpu().numpy().clip(0.0, 1.0)
        tail = heads.gap_probs()[..., self.n_gaps :].double() + _TINY
        comes = (uniform[:, 0] - never) / np.maximum(1.0 - never, _TINY)  # uniform again among those who come
        among = torch.from_numpy(comes.clip(0.0, 1.0)).to(tail.device)
        bucket = inverse_cdf(tail, among).cpu().numpy() + self.n_gaps
        return np.where(comes < 0, np.inf, _inside(bucket, uniform[:, 1]))

    def check(self, heads: Heads) -> None:
        """Raise if the head is asked for times that its training sequences never held.

        Raises
        ------
        InvalidArgumentError
            If long gaps have next to no probability.
        """
        share = float(heads.gap_probs()[..., self.n_gaps :].sum(-1).mean())
        if share < _LEAST_SHARE:
            raise InvalidArgumentError(
                f"the model's gap head gives gaps between visits a probability of {share:.1e}: it was fitted on single "
                "sessions; pass returns=LogReturns.of(log), or fit it on whole histories"
            )


class LogReturns:
    """Times between the sessions of a log's users, the same for everybody; a visit starts afresh.

    Parameters
    ----------
    weights : float array, shape (N_GAPS,)
        Returns by gap bucket.
    never : float
        Share of visits that no other follows, in [0, 1).
    """

    keeps_memory = False
    n_gaps = N_GAPS

    def __init__(self, weights: NDArray[np.floating], never: float) -> None:
        self.weights, self.never = np.asarray(weights, np.float64) / np.sum(weights), never
        self._running = np.cumsum(self.weights)

    @classmethod
    def of(cls, log: InteractionLog, *, patience_days: float = 30.0) -> LogReturns:
        """Count the times from the end of a session to the user's next one.

        A session without a next one counts as the last if the log goes on for ``patience_days`` after it; what came
        later than that in the log is not known to be the last, and counts nowhere.

        Raises
        ------
        DataError
            If the log has no sessions, or nobody has two.
        """
        check_positive("patience_days", patience_days)
        if log.session is None:
            raise DataError("the log has no sessions to return to; its models read whole histories, so use GapHead()")
        sequences = log.sequences()
        end = log.timestamp[sequences.offsets[1:] - 1]
        order = np.lexsort((sequences.start, sequences.user))
        user, start, end = sequences.user[order], sequences.start[order], end[order]
        follows = np.append(user[1:] == user[:-1], False)
        seconds = np.maximum((np.roll(start, -1) - end)[follows], 0.0)
        if len(seconds) == 0:
            raise DataError(
                "nobody in the log has two sessions, so it does not tell who returns; declare LogReturns(...)"
            )
        last = int((~follows & (end + patience_days * DAY <= log.timestamp.max())).sum())
        counts = np.bincount(gap_bucket(seconds), minlength=N_GAPS)
        return cls(counts.astype(np.float64), last / (last + len(seconds)))

    def hazard(self, heads: Heads) -> Tensor:
        """Return the end head's probability, (n,)."""
        return heads.end_probs().double()

    def seconds(self, heads: Heads, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return times away, (n,)."""
        comes = (uniform[:, 0] - self.never) / (1.0 - self.never)  # uniform again among those who come
        bucket = np.minimum(np.searchsorted(self._running, comes, side="right"), N_GAPS - 1)
        return np.where(comes < 0, np.inf, _inside(bucket, uniform[:, 1]))


def _inside(bucket: NDArray[np.int64], uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a log-uniform time inside each bucket, seconds."""
    low, high = np.maximum(_EDGES[bucket], 0.1), _EDGES[bucket + 1]
    times: NDArray[np.float64] = low * (high / low) ** uniform
    return times
