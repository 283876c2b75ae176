r"""What a step is worth: named terms and a weighted sum of them.

.. math:: r_t = \sum_k w_k\, r_t^{(k)}

The sum is the reward; ``infos["reward_terms"]`` holds the unweighted terms, (B, n_terms), in the order of
``env.reward_names``, so that one roll-out can be judged by several aims.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import InvalidArgumentError
from rlrec.envs.simulator import Responses

FloatArray = NDArray[np.float64]


class Step(NamedTuple):
    """What a term may look at: all of it visible afterwards, but for the members' disagreement."""

    slates: NDArray[np.int64]
    """(B, K) items shown."""
    responses: Responses
    days_away: FloatArray | None = None
    """(B,) days until the next visit of those whose visit just ended, infinite for never, NaN for who stays; None where
    an episode is one session."""
    recent: NDArray[np.int64] | None = None
    """(B, W) last items of each person, this step's included, the latest first, -1 where there is none; None where
    nobody keeps them."""


class Reward(Protocol):
    """One term; one that looks at ``step.recent`` says so with an attribute ``needs_recent = True``."""

    def __call__(self, step: Step) -> FloatArray:
        """Return the term of each person, (B,)."""
        ...


@dataclass(frozen=True)
class EventReward:
    """A click is worth the weight of its event type: view 1, cart 5, purchase 20, or whatever the shop says."""

    weights: tuple[float, ...]
    """By event code."""

    def __call__(self, step: Step) -> FloatArray:
        """Return the weight of what was clicked, 0 without a click."""
        return np.where(step.responses.clicked, np.asarray(self.weights)[step.responses.event], 0.0)


@dataclass(frozen=True)
class ItemValue:
    """A click is worth something of its item, such as the price, if its event is one that pays."""

    values: FloatArray
    """(I,) in the currency of the log."""
    events: tuple[int, ...] | None = None
    """Codes of events that pay (the purchase); None: every click."""

    def __call__(self, step: Step) -> FloatArray:
        """Return the value of what was clicked, 0 without a click that pays."""
        responses = step.responses
        pays = responses.clicked if self.events is None else responses.clicked & np.isin(responses.event, self.events)
        return np.where(pays, self.values[np.maximum(responses.item, 0)], 0.0)


@dataclass(frozen=True)
class Retention:
    """1 for each step after which the person is still there."""

    def __call__(self, step: Step) -> FloatArray:
        """Return 1 where the person stayed."""
        return 1.0 - step.responses.left.astype(np.float64)


@dataclass(frozen=True)
class ReturnSoon:
    r"""What a visit's end is worth: :math:`1 / (1 + d / s)` for a user who is back after d days, 0 for one who is not.

    For lifetimes; `Retention` counts the steps of a session.
    """

    scale_days: float = 1.0
    """s, the days away that halve it."""

    def __call__(self, step: Step) -> FloatArray:
        """Return the term where a visit ended, 0 elsewhere."""
        if step.days_away is None:
            raise InvalidArgumentError(
                "ReturnSoon needs users who come back; make the environment with SimulatorConfig(episode='lifetime')"
            )
        return np.where(np.isnan(step.days_away), 0.0, 1.0 / (1.0 + step.days_away / self.scale_days))


class Novelty:
    r"""Mean surprise of the items shown, :math:`-\log_2 q_i` over its largest value, so it lies in (0, 1].

    Parameters
    ----------
    item_counts : int array, shape (I,)
        Training rows of each item; q is (count + 1) over their sum.

    References
    ----------
    .. [1] Vargas & Castells, "Rank and relevance in novelty and diversity metrics", RecSys 2011.
    """

    def __init__(self, item_counts: NDArray[np.int64]) -> None:
        surprise = -np.log2((item_counts + 1.0) / (item_counts + 1.0).sum())
        self._surprise = surprise / surprise.max()  # (I,)

    def __call__(self, step: Step) -> FloatArray:
        """Return the mean over the slate."""
        mean: FloatArray = self._surprise[step.slates].mean(axis=1)
        return mean


class Diversity:
    r"""Intra-list diversity: one minus the mean cosine of the pairs in a slate; 0 for slates of one item.

    Parameters
    ----------
    vectors : float array, shape (I, E)
        Features or embeddings of the items.

    References
    ----------
    .. [1] Ziegler et al., "Improving recommendation lists through topic diversification", WWW 2005.
    """

    def __init__(self, vectors: NDArray[np.floating]) -> None:
        norm = np.linalg.norm(vectors, axis=1, keepdims=True)
        self._units = (vectors / np.where(norm > 0, norm, 1.0)).astype(np.float64)  # (I, E)

    def __call__(self, step: Step) -> FloatArray:
        """Return the diversity of each slate; with S the sum of units, pairs sum to (|S|^2 - sum |u|^2) / 2."""
        size = step.slates.shape[1]
        if size == 1:
            return np.zeros(len(step.slates))
        units = self._units[step.slates]  # (B, K, E)
        pairs = (np.square(units.sum(1)).sum(1) - np.square(units).sum((1, 2))) / (size * (size - 1))
        diversity: FloatArray = 1.0 - pairs
        return diversity


@dataclass(frozen=True)
class Doubt:
    """How far the members of an ensemble disagree about a click; give it a negative weight to be pessimistic."""

    def __call__(self, step: Step) -> FloatArray:
        """Return the standard deviation over members."""
        return step.responses.disagreement


class RewardSum:
    """A weighted sum of named terms.

    Parameters
    ----------
    terms : mapping of str to (float, Reward)
        Weight and term by name, such as ``{"clicks": (1.0, EventReward((1.0,))), "doubt": (-2.0, Doubt())}``.
    """

    def __init__(self, terms: Mapping[str, tuple[float, Reward]]) -> None:
        if not terms:
            raise InvalidArgumentError("rewards must name at least one term, got none")
        self.names = tuple(terms)
        self.weights = np.array([weight for weight, _ in terms.values()], np.float64)
        if not np.isfinite(self.weights).all():
            raise InvalidArgumentError(f"weights of rewards must be finite, got {self.weights.tolist()}")
        self._terms = tuple(term for _, term in terms.values())
        self.needs_recent = any(getattr(term, "needs_recent", False) for term in self._terms)

    def __call__(self, step: Step) -> tuple[FloatArray, FloatArray]:
        """Return the rewards (B,) and the unweighted terms (B, n_terms)."""
        terms = np.stack([term(step) for term in self._terms], axis=1)
        return terms @ self.weights, terms
