r"""Tiny worlds whose best policy is known on paper, to tell whether an agent learns at all, and how much it misses.

*Leave*: people of T fixed types. Item i is clicked with probability :math:`r_{ti}` and its owner then stays with
probability :math:`s_{ti}`. Showing i for ever is worth :math:`r_{ti} / (1 - s_{ti})`, so

.. math:: V^* = \operatorname{mean}_t \max_i \frac{r_{ti}}{1 - s_{ti}}

and what is most likely to be clicked drives people away: the greedy policy gets about a third.

*Boredom*: the favourite item is worth :math:`a d^j` when it is shown for the j-th time in a row, the dull one b, which
also ends the boredom. Showing the favourite m times and then the dull one once is worth

.. math:: V_m = \frac{\sum_{j<m} a (\gamma d)^j + \gamma^m b}{1 - \gamma^{m+1}}, \qquad V^* = \max_m V_m

For (a, b, d, γ) = (1, 0.1, 0.5, 0.99), V* = 55.226 and the greedy policy gets 72.3 % of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from rlrec.core.checks import check_at_least, check_between
from rlrec.core.errors import InvalidArgumentError, NotReadyError
from rlrec.core.random import CounterRng

FloatArray = NDArray[np.float32]
_CLICK, _STAY, _TYPE = range(3)  # lanes


class _World(VectorEnv[FloatArray, NDArray[np.int64], NDArray[Any]], ABC):
    """Base: keys, clocks and autoreset in the same step; a subclass says what people are and do."""

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(self, num_envs: int, n_items: int, n_features: int, horizon: int, seed: int) -> None:
        check_at_least("num_envs", num_envs, 1)
        check_at_least("horizon", horizon, 1)
        self.num_envs, self.n_items, self.horizon, self._seed = num_envs, n_items, horizon, seed
        self.single_observation_space = spaces.Box(0.0, 1.0, (n_features,), np.float32)
        self.single_action_space = spaces.Discrete(n_items)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._key: NDArray[np.int64] | None = None

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[FloatArray, dict[str, Any]]:
        """Let new people arrive; the same seed, the same people."""
        if seed is not None or self._key is None:
            self._rng = CounterRng(self._seed if seed is None else int(seed))
            self._key = np.arange(self.num_envs, dtype=np.int64)
        else:
            self._key = self._key + self.num_envs
        self._clock = np.zeros(self.num_envs, np.int64)
        self._start(np.ones(self.num_envs, np.bool_))
        return self._observe(), {}

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[FloatArray, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Show an item to each."""
        if self._key is None:
            raise NotReadyError("step came before reset; call reset(seed=...) first")
        rewards, terminated, infos = self._react(self._check(np.asarray(actions)))
        self._clock = self._clock + 1
        truncated = ~terminated & (self._clock >= self.horizon)
        done = terminated | truncated
        if done.any():
            last = self._observe()
            final = np.empty(self.num_envs, dtype=object)
            for row in np.flatnonzero(done):
                final[row] = last[row]
            infos |= {"final_info": dict(infos), "_final_info": done, "final_obs": final, "_final_obs": done}
            self._key = np.where(done, self._key + self.num_envs, self._key)
            self._clock = np.where(done, 0, self._clock)
            self._start(done)
        return self._observe(), rewards, terminated, truncated, infos

    def _check(self, actions: NDArray[Any]) -> NDArray[np.int64]:
        """Return the actions, or say what is wrong with them."""
        valid = actions.dtype.kind in "iu" and actions.shape == (self.num_envs,)
        if not valid or actions.min() < 0 or actions.max() >= self.n_items:
            raise InvalidArgumentError(
                f"actions must be {self.num_envs} item indices in 0..{self.n_items - 1}, got {actions.dtype} "
                f"{actions.shape}"
            )
        return actions.astype(np.int64)

    def _uniform(self, lane: int) -> NDArray[np.float64]:
        assert self._key is not None
        return self._rng.uniform(self._key, self._clock, lane=lane)

    @abstractmethod
    def _start(self, rows: NDArray[np.bool_]) -> None:
        """Let new people stand in ``rows`` (B,)."""

    @abstractmethod
    def _observe(self) -> FloatArray:
        """Return everybody's observation, (B, D)."""

    @abstractmethod
    def _react(self, actions: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_], dict[str, Any]]:
        """Return rewards (B,), who leaves (B,), and infos."""


class LeaveWorld(_World):
    """People of fixed types who are driven away by what they click most; see the module.

    An observation is the type, one-hot (T,). The return is undiscounted; an episode is cut at ``horizon``, which
    people who stay with at most 0.985 reach with a probability below 1e-3.

    Parameters
    ----------
    num_envs : int
        People at a time.
    n_items, n_types : int
        I and T.
    seed : int
        Of the world (click and stay probabilities) and of a reset without a seed.
    leaving : bool
        False: everybody stays until the horizon, and the greedy policy is the best.

    Examples
    --------
    >>> world = LeaveWorld(4, n_items=10)
    >>> 0.2 < world.greedy / world.optimum < 0.45
    True
    """

    def __init__(
        self,
        num_envs: int = 64,
        *,
        n_items: int = 10,
        n_types: int = 4,
        seed: int = 0,
        horizon: int = 500,
        leaving: bool = True,
    ) -> None:
        check_at_least("n_items", n_items, 2)
        check_at_least("n_types", n_types, 1)
        super().__init__(num_envs, n_items, n_types, horizon, seed)
        self.leaving = leaving
        rng = np.random.default_rng(seed)
        click = np.stack([rng.permutation(np.linspace(0.05, 0.95, n_items)) for _ in range(n_types)])  # (T, I)
        self.click_probs = click
        self.stay_probs = 0.985 * (1.0 - click**2) * (1.0 - 0.02 * rng.random((n_types, n_items)))  # (T, I)

    @property
    def optimum(self) -> float:
        """V*, the expected return of the best policy."""
        if not self.leaving:
            return float(self.click_probs.max(axis=1).mean()) * self.horizon
        return float(self.item_values.max(axis=1).mean())

    @property
    def greedy(self) -> float:
        """The expected return of showing what is clicked most."""
        if not self.leaving:
            return self.optimum
        best = self.click_probs.argmax(axis=1)
        return float(self.item_values[np.arange(len(best)), best].mean())

    @property
    def item_values(self) -> NDArray[np.float64]:
        """(T, I) expected return of showing an item for ever."""
        values: NDArray[np.float64] = self.click_probs / (1.0 - self.stay_probs)
        return values

    def value(self, probs: NDArray[np.floating]) -> float:
        r"""Return the exact expected return of a policy that shows item i to type t with probability ``probs[t, i]``.

        .. math:: V = \operatorname{mean}_t \frac{\sum_i \pi_{ti} r_{ti}}{1 - \sum_i \pi_{ti} s_{ti}}
        """
        clicks = (probs * self.click_probs).sum(axis=1)
        if not self.leaving:
            return float(clicks.mean()) * self.horizon
        return float((clicks / (1.0 - (probs * self.stay_probs).sum(axis=1))).mean())

    def observations(self) -> FloatArray:
        """Return one observation of each type, (T, T)."""
        return np.eye(len(self.click_probs), dtype=np.float32)

    def _start(self, rows: NDArray[np.bool_]) -> None:
        drawn = (self._uniform(_TYPE) * len(self.click_probs)).astype(np.int64)
        self._type = np.where(rows, drawn, getattr(self, "_type", drawn))

    def _observe(self) -> FloatArray:
        return self.observations()[self._type]

    def _react(self, actions: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_], dict[str, Any]]:
        clicked = self._uniform(_CLICK) < self.click_probs[self._type, actions]
        stays = self._uniform(_STAY) < self.stay_probs[self._type, actions]
        return clicked.astype(np.float64), ~stays if self.leaving else np.zeros(self.num_envs, np.bool_), {}


class BoredomWorld(_World):
    """A favourite that wears off, a dull item that makes it fresh again, and nothing else worth showing.

    An observation is the favourite's present worth over a, (1,). Nobody leaves; an episode is cut at ``horizon``,
    which is no end of the world: an agent has to look beyond it.

    Parameters
    ----------
    num_envs : int
        People at a time.
    favourite, dull, decay, gamma : float
        a, b, d and γ of the module.
    n_items : int
        Items from the third on are worth nothing and leave the boredom as it is.
    """

    def __init__(
        self,
        num_envs: int = 64,
        *,
        favourite: float = 1.0,
        dull: float = 0.1,
        decay: float = 0.5,
        gamma: float = 0.99,
        n_items: int = 2,
        horizon: int = 100,
        seed: int = 0,
    ) -> None:
        check_at_least("n_items", n_items, 2)
        check_between("decay", decay, 0.0, 1.0)
        check_between("gamma", gamma, 0.0, 0.9999)
        super().__init__(num_envs, n_items, 1, horizon, seed)
        self.favourite, self.dull, self.decay, self.gamma = favourite, dull, decay, gamma

    def cycle_value(self, m: int) -> float:
        """V_m: the favourite m times, then the dull one, for ever."""
        j = np.arange(m)
        once = (self.favourite * (self.gamma * self.decay) ** j).sum() + self.gamma**m * self.dull
        return float(once / (1.0 - self.gamma ** (m + 1)))

    @property
    def optimum(self) -> float:
        """V*, the expected discounted return of the best policy."""
        return max(self.cycle_value(m) for m in range(1, 200))

    @property
    def greedy(self) -> float:
        """The return of showing what is worth most now."""
        worth = self.favourite * self.decay ** np.arange(200)
        return self.cycle_value(int((worth >= self.dull).sum()))

    def value(self, policy: Callable[[FloatArray], NDArray[np.floating]], n_steps: int = 2_000) -> float:
        """Return the exact discounted return of a policy: probabilities (1, I) from an observation (1, 1).

        The distribution over the number of showings in a row is carried forward step by step.
        """
        longest = 60  # a favourite shown more often than that is worth nothing
        worth = self.favourite * self.decay ** np.arange(longest)
        observations = (self.decay ** np.arange(longest)).astype(np.float32)[:, None]
        probs = np.concatenate([policy(observation[None]) for observation in observations])  # (longest, I)
        state, value = np.zeros(longest), 0.0
        state[0] = 1.0
        for t in range(n_steps):
            shown = state[:, None] * probs
            value += self.gamma**t * float(shown[:, 0] @ worth + shown[:, 1].sum() * self.dull)
            state = shown[:, 2:].sum(axis=1)
            state[1:] += shown[:-1, 0]
            state[-1] += shown[-1, 0]
            state[0] += shown[:, 1].sum()
        return value

    def _start(self, rows: NDArray[np.bool_]) -> None:
        self._in_a_row = np.where(rows, 0, getattr(self, "_in_a_row", np.zeros(self.num_envs, np.int64)))

    def _observe(self) -> FloatArray:
        return (self.decay**self._in_a_row).astype(np.float32)[:, None]

    def _react(self, actions: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_], dict[str, Any]]:
        worth = self.favourite * self.decay**self._in_a_row
        rewards = np.where(actions == 0, worth, np.where(actions == 1, self.dull, 0.0))
        after = np.where(actions == 0, self._in_a_row + 1, self._in_a_row)
        self._in_a_row = np.where(actions == 1, 0, after)
        return rewards, np.zeros(self.num_envs, np.bool_), {}


class SlateLeaveWorld(_World):
    r"""*Leave* with slates: one of K items is taken by conditional logit, and what is taken decides who stays.

    .. math:: P(i \mid S) = \frac{v_{ti}}{v_0 + \sum_{j \in S} v_{tj}}, \qquad
        V^* = \max_S \frac{\sum_S v_{ti}}{v_0 (1 - s_0) + \sum_S v_{ti} (1 - s_{ti})}

    A ratio of sums: V is the optimum where the K largest :math:`v_{ti} (1 - V (1 - s_{ti}))` sum to
    :math:`V v_0 (1 - s_0)`, which Dinkelbach's iteration finds exactly.

    Parameters
    ----------
    num_envs, n_items, n_types, seed, horizon
        As for `LeaveWorld`, whose click and stay probabilities become attraction v and stay s.
    slate_size : int
        K.
    outside : float
        v_0, the attraction of nothing; nothing taken lets people stay with probability ``stay_outside``.
    """

    def __init__(
        self,
        num_envs: int = 64,
        *,
        n_items: int = 20,
        n_types: int = 4,
        slate_size: int = 5,
        outside: float = 0.5,
        stay_outside: float = 0.8,
        seed: int = 0,
        horizon: int = 500,
    ) -> None:
        check_between("slate_size", slate_size, 2, n_items)
        super().__init__(num_envs, n_items, n_types, horizon, seed)
        twin = LeaveWorld(1, n_items=n_items, n_types=n_types, seed=seed)
        self.slate_size, self.outside, self.stay_outside = slate_size, outside, stay_outside
        self.attraction, self.stay_probs = twin.click_probs, twin.stay_probs  # (T, I)
        self.single_action_space = spaces.MultiDiscrete([n_items] * slate_size)
        self.action_space = batch_space(self.single_action_space, num_envs)

    @property
    def optimum(self) -> float:
        """V*, the expected return of the best slates."""
        return float(np.mean([self._best(t)[0] for t in range(len(self.attraction))]))

    @property
    def best_slates(self) -> NDArray[np.int64]:
        """(T, K) the slates that earn it."""
        return np.stack([self._best(t)[1] for t in range(len(self.attraction))])

    @property
    def greedy(self) -> float:
        """The return of showing the K most attractive items."""
        return self.value(np.argsort(-self.attraction, axis=1)[:, : self.slate_size])

    def value(self, slates: NDArray[np.integer]) -> float:
        """Return the exact expected return of showing each type its slate, (T, K), for ever; repeats draw no more."""
        rows = np.arange(len(slates))[:, None]
        v, leaves = self.attraction[rows, slates], 1.0 - self.stay_probs[rows, slates]
        v = np.where(_repeats(slates), 0.0, v)
        losses = self.outside * (1.0 - self.stay_outside) + (v * leaves).sum(axis=1)
        return float((v.sum(axis=1) / losses).mean())

    def observations(self) -> FloatArray:
        """Return one observation of each type, (T, T)."""
        return np.eye(len(self.attraction), dtype=np.float32)

    def _best(self, t: int) -> tuple[float, NDArray[np.int64]]:
        v, leaves = self.attraction[t], 1.0 - self.stay_probs[t]
        value, best = 0.0, np.arange(self.slate_size)
        for _ in range(100):
            best = np.argsort(-v * (1.0 - value * leaves), kind="stable")[: self.slate_size]
            new = v[best].sum() / (self.outside * (1.0 - self.stay_outside) + (v[best] * leaves[best]).sum())
            if new <= value:
                break
            value = float(new)
        return value, best

    def _check(self, actions: NDArray[Any]) -> NDArray[np.int64]:
        valid = actions.dtype.kind in "iu" and actions.shape == (self.num_envs, self.slate_size)
        if not valid or actions.min() < 0 or actions.max() >= self.n_items:
            raise InvalidArgumentError(
                f"actions must be slates of shape ({self.num_envs}, {self.slate_size}) of items in "
                f"0..{self.n_items - 1}, got {actions.dtype} {actions.shape}"
            )
        return actions.astype(np.int64)

    def _start(self, rows: NDArray[np.bool_]) -> None:
        drawn = (self._uniform(_TYPE) * len(self.attraction)).astype(np.int64)
        self._type = np.where(rows, drawn, getattr(self, "_type", drawn))

    def _observe(self) -> FloatArray:
        return self.observations()[self._type]

    def _react(self, actions: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_], dict[str, Any]]:
        v = self.attraction[self._type[:, None], actions]  # (B, K)
        v = np.where(_repeats(actions), 0.0, v)  # showing it twice draws no more
        cdf = v.cumsum(axis=1) / (self.outside + v.sum(axis=1, keepdims=True))
        place = (cdf <= self._uniform(_CLICK)[:, None]).sum(axis=1)  # K: nothing
        clicked = place < self.slate_size
        item = np.take_along_axis(actions, np.minimum(place, self.slate_size - 1)[:, None], axis=1)[:, 0]
        stay = np.where(clicked, self.stay_probs[self._type, item], self.stay_outside)
        infos = {"position": np.where(clicked, place, -1), "_position": np.ones(self.num_envs, np.bool_)}
        return clicked.astype(np.float64), self._uniform(_STAY) >= stay, infos


def _repeats(slates: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return where a slate (B, K) shows again what it showed before, (B, K)."""
    again: NDArray[np.bool_] = np.triu(slates[:, :, None] == slates[:, None, :], k=1).any(axis=1)
    return again
