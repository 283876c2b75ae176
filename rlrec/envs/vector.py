"""The vectorised Gymnasium environment: one step answers all users at once.

An observation is the interest vector that an *observer* model computes from the visible behaviour, never the simulated
person's own memory. ``terminated`` means the user left, ``truncated`` that the horizon was reached. Autoreset is
same-step: the returned observation belongs to the next user, ``infos["final_obs"]`` to the one who left.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from rlrec.core.checks import check_at_least
from rlrec.core.errors import CatalogMismatchError, InvalidArgumentError, InvalidSlateError, NotReadyError
from rlrec.core.random import CounterRng
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.simulator import Responses, UserSimulator, UserState
from rlrec.models.base import BehaviourStep, RecurrentState, SequenceModel
from rlrec.models.threads import torch_threads

FloatArray = NDArray[np.float32]


class RecommendationVectorEnv(VectorEnv[FloatArray, NDArray[Any], NDArray[Any]]):
    """``num_envs`` simulated users, stepped together.

    Parameters
    ----------
    simulator : UserSimulator or SequenceModel
        The people. A model gets the default `SimulatorConfig`.
    num_envs : int
        Users at a time, B.
    slate_size : int
        Items shown at a time, K. 1 makes actions (B,), else (B, K) without repeats.
    observer : SequenceModel, optional
        Computes observations from visible behaviour; by default the simulator's own model (the best case).
    seed : int
        Used by a ``reset`` without a seed.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(
        self,
        simulator: UserSimulator | SequenceModel,
        num_envs: int = 1,
        *,
        slate_size: int = 1,
        observer: SequenceModel | None = None,
        config: SimulatorConfig | None = None,
        seed: int = 0,
        render_mode: str | None = None,
    ) -> None:
        check_at_least("num_envs", num_envs, 1)
        self.simulator = simulator if isinstance(simulator, UserSimulator) else UserSimulator(simulator, config)
        self.observer = self.simulator.model if observer is None else observer
        if self.observer.space.items != self.simulator.model.space.items:
            raise CatalogMismatchError("observer and simulator know different items; fit both on one catalogue")
        self.n_items = self.simulator.n_items
        if not 1 <= slate_size <= self.n_items:
            raise InvalidArgumentError(f"slate_size must lie in 1..{self.n_items} (the catalogue), got {slate_size}")
        self.num_envs, self.slate_size, self.render_mode = num_envs, slate_size, render_mode
        size = self.observer.interest_size
        # An LSTM's hidden vector is o * tanh(c), a counting model's a distribution: both lie inside the unit cube.
        self.single_observation_space = spaces.Box(-1.0, 1.0, (size,), np.float32)
        self.single_action_space = (
            spaces.Discrete(self.n_items) if slate_size == 1 else spaces.MultiDiscrete([self.n_items] * slate_size)
        )
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._rewards = np.array(self.simulator.config.rewards_for(self.simulator.model.space.event_names))
        self._seed = seed
        self._state: UserState | None = None

    # ---- Gymnasium ----------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Let ``num_envs`` users arrive.

        Parameters
        ----------
        seed : int, optional
            Same seed, same people with the same luck. Without one, the first reset uses the constructor's seed and
            later ones go on to further people of the same population.
        options : dict, optional
            ``{"users": int array (B,)}`` says which people arrive, so that two policies can meet the same ones.
        """
        if isinstance(seed, list | tuple):
            raise InvalidArgumentError("seed must be one integer: users have their own streams under a single seed")
        first = self._state is None
        if seed is not None or first:
            self._seed = self._seed if seed is None else int(seed)
            self._rng = CounterRng(self._seed)
            self.action_space.seed(self._seed & 0xFFFFFFFF)
            self._next_key = np.arange(self.num_envs, dtype=np.int64)
        users = None if options is None else options.get("users")
        keys = self._take_keys() if users is None else self._check_users(users)
        with torch_threads(1):
            self._state, self._seen = self._arrive(keys)
        return self._observe(self._seen), self._infos(None)

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[FloatArray, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Show items (B,) or slates (B, K), and return what Gymnasium asks for; rewards are (B,)."""
        if self._state is None:
            raise NotReadyError("step came before reset; call reset(seed=...) first")
        slates = self._check_actions(actions)
        with torch_threads(1):
            responses, state = self.simulator.respond(self._state, slates, rng=self._rng)
            seen = self._watch(responses, state)
            rewards = np.where(responses.clicked, self._rewards[responses.event], 0.0)
            terminated = responses.left
            truncated = ~terminated & (state.clock >= self.simulator.config.horizon)
            infos = self._infos(responses)
            done = terminated | truncated
            if done.any():
                infos |= self._final(self._observe(seen), infos, done)
                fresh, fresh_seen = self._arrive(np.where(done, self._take_keys(done), state.key))
                state = state.where(done, fresh)
                seen = seen.where(torch.from_numpy(done).to(self.observer.device), fresh_seen)
                infos["user"] = state.key
        self._state, self._seen = state, seen
        return self._observe(seen), rewards, terminated, truncated, infos

    # ---- inside -------------------------------------------------------------------------------------------------

    def _arrive(self, keys: NDArray[np.int64]) -> tuple[UserState, RecurrentState]:
        state, opening = self.simulator.reset(keys, rng=self._rng)
        if self.observer is self.simulator.model:
            return state, state.memory
        _, seen = self.observer.step(opening, self.observer.initial_state(len(keys)))
        return state, seen

    def _watch(self, responses: Responses, state: UserState) -> RecurrentState:
        """Return the observer's state after the visible behaviour."""
        if self.observer is self.simulator.model:
            return state.memory
        item, event, gap = (torch.from_numpy(x).to(self.observer.device) for x in responses[1:4])
        _, stepped = self.observer.step(BehaviourStep(item.clamp(min=0), event, gap), self._seen)
        return self._seen.where(item >= 0, stepped)

    def _observe(self, seen: RecurrentState) -> FloatArray:
        with torch.no_grad():
            return np.array(self.observer.interest(seen).cpu().numpy(), np.float32)  # a copy: the state lives on

    def _take_keys(self, mask: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Return each row's next person; a row's people are row, row + B, row + 2B, ... whatever the others do."""
        keys = self._next_key.copy()
        self._next_key += self.num_envs if mask is None else self.num_envs * mask
        return keys

    def _check_users(self, users: Any) -> NDArray[np.int64]:
        keys = np.asarray(users)
        if keys.shape != (self.num_envs,) or keys.dtype.kind not in "iu":
            raise InvalidArgumentError(
                f"options['users'] must be an integer array of shape ({self.num_envs},), got {keys.dtype} {keys.shape}"
            )
        return keys.astype(np.int64)

    def _check_actions(self, actions: NDArray[Any]) -> NDArray[Any]:
        actions = np.asarray(actions)
        expected = (self.num_envs,) if self.slate_size == 1 else (self.num_envs, self.slate_size)
        if actions.shape != expected or actions.dtype.kind not in "iu":
            raise InvalidSlateError(
                f"actions must be an integer array of shape {expected} (num_envs={self.num_envs}, "
                f"slate_size={self.slate_size}), got {actions.dtype} {actions.shape}; "
                "pass item indices from catalog.index_of(ids)"
            )
        return actions.reshape(self.num_envs, self.slate_size)

    def _infos(self, responses: Responses | None) -> dict[str, Any]:
        assert self._state is not None
        infos = {"user": self._state.key}
        if responses is not None:
            clicked_item = np.where(responses.clicked, responses.item, -1)
            infos |= {"clicked_item": clicked_item, "position": responses.position}
            infos |= {"item": responses.item, "event": responses.event, "gap": responses.gap}
        return _masked(infos, np.ones(self.num_envs, np.bool_))

    def _final(self, observations: FloatArray, infos: dict[str, Any], done: NDArray[np.bool_]) -> dict[str, Any]:
        """Return what the users who left saw last; ``infos`` are still theirs."""
        final = np.empty(self.num_envs, dtype=object)
        for row in np.flatnonzero(done):
            final[row] = observations[row]
        last = {name: value for name, value in infos.items() if not name.startswith("_")}
        return _masked({"final_obs": final, "final_info": _masked(last, done)}, done)


def _masked(infos: dict[str, Any], mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Add to each value the mask that says for which rows it holds, as Gymnasium's wrappers expect."""
    return infos | {f"_{name}": mask for name in infos}


def make_vec(
    model: SequenceModel,
    *,
    num_envs: int = 256,
    slate_size: int = 1,
    config: SimulatorConfig | None = None,
    observer: SequenceModel | None = None,
    seed: int = 0,
) -> RecommendationVectorEnv:
    """Return a vector environment whose users behave as ``model`` says; see `RecommendationVectorEnv`."""
    return RecommendationVectorEnv(
        UserSimulator(model, config), num_envs, slate_size=slate_size, observer=observer, seed=seed
    )
