"""A policy that follows one of several by lot: a logger that keeps exploring, a target at a set distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import InvalidArgumentError
from rlrec.core.protocols import StochasticPolicy


class MixturePolicy:
    r"""At each step, follow policy k with probability :math:`s_k`: :math:`\pi(a|x) = \sum_k s_k \pi_k(a|x)`.

    All see the same observation. Satisfies `rlrec.core.protocols.StochasticPolicy`.

    Parameters
    ----------
    policies : sequence of StochasticPolicy
    shares : sequence of float
        Not negative, summing to 1.
    seed : int
        Of `predict`'s draws of single items.

    Examples
    --------
    >>> class Always:
    ...     def __init__(self, item): self.item = item
    ...     def predict(self, observation, state=None, episode_start=None, deterministic=False): ...
    ...     def action_probs(self, observation): return np.tile(np.eye(2)[self.item], (len(observation), 1))
    >>> MixturePolicy([Always(0), Always(1)], [0.25, 0.75]).action_probs(np.zeros((1, 3))).tolist()
    [[0.25, 0.75]]
    """

    def __init__(self, policies: Sequence[StochasticPolicy], shares: Sequence[float], *, seed: int = 0) -> None:
        given = np.asarray(shares, dtype=np.float64)
        if given.shape != (len(policies),) or not (given >= 0).all() or abs(given.sum() - 1) > 1e-9:
            raise InvalidArgumentError(
                f"shares must be {len(policies)} numbers of at least 0 that sum to 1, got {list(shares)}; one for each "
                "policy"
            )
        self.policies, self.shares = tuple(policies), given
        self._rng = np.random.default_rng(seed)

    def action_probs(self, observation: Any) -> NDArray[np.float64]:
        """Return the mixed probabilities, (B, I)."""
        parts = zip(self.policies, self.shares, strict=True)
        mixed = sum(share * np.asarray(policy.action_probs(observation), np.float64) for policy, share in parts)
        return np.asarray(mixed, dtype=np.float64)

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], Any]:
        """Return single items (B,), the likeliest or a draw, and ``state`` as it came."""
        probs = self.action_probs(observation)
        if deterministic:
            return probs.argmax(axis=1), state
        drawn = probs.cumsum(axis=1) <= self._rng.random((len(probs), 1)) * probs.sum(axis=1, keepdims=True)
        return np.minimum(drawn.sum(axis=1), probs.shape[1] - 1), state
