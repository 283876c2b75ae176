"""The vectorised Gymnasium environment: one step answers all users at once.

An observation is computed by an *observer* model from the visible behaviour, never from the simulated person's own
memory. ``terminated`` means the user left, ``truncated`` that the horizon was reached. Autoreset is same-step: the
returned observation belongs to the next user, ``infos["final_obs"]`` to the one who left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.checks import check_at_least
from rlrec.core.errors import CatalogMismatchError, InvalidArgumentError, NotReadyError
from rlrec.envs.actions import Actions
from rlrec.envs.candidates import Retriever
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.endings import end_step
from rlrec.envs.forecasts import Forecaster
from rlrec.envs.masks import ActionMask
from rlrec.envs.nearest import NearestItems
from rlrec.envs.observations import Observations
from rlrec.envs.population import Population
from rlrec.envs.rewards import EventReward, Reward, RewardSum, Step
from rlrec.envs.simulator import Responses, UserSimulator, UserState
from rlrec.envs.visible import Visible
from rlrec.envs.wording import describe_step
from rlrec.models.base import SequenceModel
from rlrec.models.threads import torch_threads


class RecommendationVectorEnv(VectorEnv[Any, NDArray[Any], NDArray[Any]]):
    """``num_envs`` simulated users, stepped together.

    Parameters
    ----------
    simulator : UserSimulator or SequenceModel
        The people. A model gets ``config``.
    num_envs : int
        Users at a time, B.
    slate_size : int
        Items shown at a time, K. 1 makes actions (B,), else (B, K) without repeats.
    observer : SequenceModel, optional
        Computes observations from visible behaviour; by default the simulator's own model (the best case).
    config : SimulatorConfig, optional
        For a ``simulator`` given as a model.
    seed : int
        Used by a ``reset`` without a seed.
    retriever : Retriever, optional
        Candidate mode: an action is an index into the C candidates that it proposes for each user.
    rewards : mapping of str to (float, Reward), optional
        Weighted terms; by default the config's event rewards. ``infos["reward_terms"]`` has them apart.
    observation : sequence of str, optional
        Parts, see `Observations`; by default the interest vector, and in candidate mode the candidates' features too.
    window : int
        Recent items kept for the history part and the retriever, W.
    hide_seen : bool
        Forbid items that the user touched in this episode; see `action_masks`.
    blocked : bool array, shape (I,), optional
        Forbid these items, as when they are out of stock.
    nearest : NearestItems, optional
        An action is a vector (E,) in item space, as SAC and TD3 give, and the K items nearest to it are shown; what is
        masked is passed over. ``infos["shown"]`` has the items.
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
        retriever: Retriever | None = None,
        rewards: Mapping[str, tuple[float, Reward]] | None = None,
        observation: Sequence[str] | None = None,
        window: int = 20,
        hide_seen: bool = False,
        blocked: NDArray[np.bool_] | None = None,
        nearest: NearestItems | None = None,
    ) -> None:
        check_at_least("num_envs", num_envs, 1)
        check_at_least("window", window, 1)
        self.simulator = simulator if isinstance(simulator, UserSimulator) else UserSimulator(simulator, config)
        self.observer = self.simulator.model if observer is None else observer
        if self.observer.space.items != self.simulator.model.space.items:
            raise CatalogMismatchError("observer and simulator know different items; fit both on one catalogue")
        self.n_items = self.simulator.n_items
        self.n_actions = self.n_items if retriever is None else retriever.n_candidates
        if nearest is not None and nearest.n_items != self.n_items:
            raise CatalogMismatchError(
                f"nearest must have one vector for each of the {self.n_items} items, got {nearest.n_items}"
            )
        self.actions = Actions(num_envs, slate_size, self.n_actions, staged=retriever is not None, nearest=nearest)
        self.num_envs, self.slate_size, self.render_mode = num_envs, slate_size, render_mode
        self.retriever, self.window = retriever, window
        self._options: dict[str, Any] = {
            "retriever": retriever,
            "rewards": rewards,
            "observation": observation,
            "window": window,
            "hide_seen": hide_seen,
            "blocked": blocked,
            "nearest": nearest,
        }
        self.mask = ActionMask(self.n_items, hide_seen=hide_seen, blocked=blocked)
        if observation is None:
            observation = ("interest",) if retriever is None else ("interest", "candidate_features")
        if retriever is None and {"candidates", "candidate_features"} & set(observation):
            raise InvalidArgumentError("observation names candidates, but there is no retriever to propose them")
        self._observations = Observations(
            tuple(observation),
            self.observer,
            window=window,
            n_actions=self.n_actions,
            forecaster=self._observers_forecaster() if "candidate_features" in observation else None,
        )
        self.single_observation_space = self._observations.space
        self.single_action_space = self.actions.single_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        space = self.simulator.model.space
        self.reward = RewardSum(
            {"event": (1.0, EventReward(self.simulator.config.rewards_for(space.event_names)))}
            if rewards is None
            else rewards
        )
        self._seed = seed
        self._state: UserState | None = None
        self._last: tuple[NDArray[np.int64], Responses] | None = None

    @property
    def reward_names(self) -> tuple[str, ...]:
        """Names of the columns of ``infos["reward_terms"]``."""
        return self.reward.names

    @property
    def observation_parts(self) -> tuple[str, ...]:
        """What an observation is made of; see `Observations`."""
        return self._observations.parts

    def view(self, num_envs: int, observer: SequenceModel | None = None) -> RecommendationVectorEnv:
        """Return a fresh environment with the same people and rules, for ``num_envs`` users at a time."""
        observer = self.observer if observer is None else observer
        return RecommendationVectorEnv(
            self.simulator, num_envs, slate_size=self.slate_size, observer=observer, seed=self._seed, **self._options
        )

    def narrowed(self, rows: NDArray[np.int64]) -> tuple[RecommendationVectorEnv, Any]:
        """Return an environment that goes on with the people in ``rows`` alone, and what they look like now.

        For the end of a rollout, when most rows have nobody left to serve. They do the same as they would have here.
        """
        if self._state is None:
            raise NotReadyError("narrowed came before reset; call reset(seed=...) first")
        narrow = self.view(len(rows))
        narrow._people = self._people.narrowed(rows)
        narrow._state, narrow._visible = self._state.select(rows), self._visible.select(rows)
        return narrow, narrow._look()

    # ---- Gymnasium ----------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Let ``num_envs`` users arrive.

        Parameters
        ----------
        seed : int, optional
            Same seed, same people with the same luck. Without one, the first reset uses the constructor's seed and
            later ones go on to further people of the same population.
        options : dict, optional
            ``{"users": int array (B,)}`` says which people arrive, so that two policies can meet the same ones.
            ``{"in_order": True}`` lets a free row take the next person of all, so that no row waits for another: which
            row serves whom then depends on the others, but not what a person does.
        """
        if isinstance(seed, list | tuple):
            raise InvalidArgumentError("seed must be one integer: users have their own streams under a single seed")
        if seed is not None or self._state is None:
            self._seed = self._seed if seed is None else int(seed)
            self._people = Population(self._seed, self.num_envs)
            self.action_space.seed(self._seed & 0xFFFFFFFF)
        self._people.in_order = bool(options and options.get("in_order"))
        users = None if options is None else options.get("users")
        keys = self._people.take() if users is None else self._people.checked(users)
        self._last = None
        with torch_threads(1):
            self._state, self._visible = self._arrive(keys)
            return self._look(), _masked({"user": keys}, np.ones(self.num_envs, np.bool_))

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[Any, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Show items (B,) or slates (B, K), and return what Gymnasium asks for; rewards are (B,)."""
        with torch_threads(1):
            rewards, terminated, truncated, infos = self._advance(actions)
            return self._look(), rewards, terminated, truncated, infos

    def step_torch(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Do as `step` for an agent in torch: the interest vectors (B, D) stay where the observer is, uncopied.

        Actions, rewards and flags are small and go through NumPy. ``infos`` are those of `step`. The observation shares
        memory with the environment: do not write into it.

        Raises
        ------
        InvalidArgumentError
            If the observation has other parts than ``interest``.
        """
        if self.observation_parts != ("interest",):
            raise InvalidArgumentError(
                f"step_torch gives interest vectors only, the observation is {self.observation_parts}; use step"
            )
        with torch_threads(1), torch.no_grad():
            rewards, *flags, infos = self._advance(actions.detach().cpu().numpy())
            self._candidates = self._propose(self._visible)
            seen = self.observer.interest(self._visible.memory)
            ended, cut = (torch.from_numpy(flag).to(seen.device) for flag in flags)
            return seen, torch.from_numpy(rewards).to(seen), ended, cut, infos

    def _advance(
        self, actions: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Take a step without looking at what came of it."""
        if self._state is None:
            raise NotReadyError("step came before reset; call reset(seed=...) first")
        slates = self._slates(actions)
        responses, state = self.simulator.respond(self._state, slates, rng=self._people.rng)
        same = state.memory if self.observer is self.simulator.model else None
        visible = self._visible.after(responses, self.observer, same)
        ends = end_step(self.simulator, self.observer, state, visible, responses, self._people.rng)
        rewards, terms = self.reward(Step(slates, responses, ends.days_away, visible.recent))
        self._last = (slates, responses)
        state, visible, terminated, truncated = ends[:4]
        infos = self._infos(state, responses, terms, slates, ends.days_away)
        rows = np.flatnonzero(terminated | truncated)
        if len(rows):
            infos |= self._final(visible.select(rows), rows, infos)
            fresh, fresh_visible = self._arrive(self._people.take(rows))
            state, visible = state.put(rows, fresh), visible.put(rows, fresh_visible)
            infos["user"] = state.key
            if ends.days_away is not None:
                infos |= {"visit": state.visit, "day": state.day}
        self._state, self._visible = state, visible
        return rewards, terminated, truncated, infos

    def action_masks(self) -> NDArray[np.bool_]:
        """Return what may be shown now, (B, n_actions); where nothing would be left, everything may."""
        if self._state is None:
            raise NotReadyError("action_masks came before reset; call reset(seed=...) first")
        mask = self.mask(self._visible, self._candidates, self.slate_size)
        return np.ones((self.num_envs, self.n_actions), np.bool_) if mask is None else mask

    def render(self) -> tuple[str, ...] | None:
        """Return the last step of each user in words, for ``render_mode="ansi"``."""
        if self.render_mode != "ansi":
            return None
        if self._last is None:
            return ("arrived",) * self.num_envs
        slates, responses = self._last
        ids = self.simulator.model.space.items.ids
        return tuple(
            describe_step(slates[row], responses, row, lambda item: str(ids[item])) for row in range(self.num_envs)
        )

    @property
    def recent(self) -> NDArray[np.int64]:
        """The last items of each user's visible history, (B, window), the latest first, -1 where there is none."""
        if self._state is None:
            raise NotReadyError("recent came before reset; call reset(seed=...) first")
        return self._visible.recent

    @property
    def last_step(self) -> tuple[NDArray[np.int64], Responses] | None:
        """The slates shown last, (B, K), and what people did with them, hidden chances included: not for acting on."""
        return self._last

    # ---- inside -------------------------------------------------------------------------------------------------

    def _observers_forecaster(self) -> Forecaster:
        """Return the simulator's own where both are one model: its tables are large and its normaliser is learned."""
        if self.observer is self.simulator.model:
            return self.simulator.forecaster
        return Forecaster(self.observer, self.simulator.config)

    def _arrive(self, keys: NDArray[np.int64]) -> tuple[UserState, Visible]:
        state, history = self.simulator.reset(keys, rng=self._people.rng)
        memory = state.memory
        if self.observer is not self.simulator.model:
            memory = self.observer.read(history, self.observer.initial_state(len(keys)))
        visible = Visible.arrived(
            keys,
            history,
            memory,
            window=self.window,
            n_items=self.n_items,
            track_seen=self.mask.hide_seen,
        )
        return state, visible

    def _look(self) -> Any:
        """Return the observation of everybody, and remember the candidates that it stands for."""
        self._candidates = self._propose(self._visible)
        return self._observe(self._visible, self._candidates)

    def _propose(self, visible: Visible) -> NDArray[np.int64] | None:
        if self.retriever is None:
            return None
        return self.retriever(visible.recent, visible.key, visible.clock, self._people.rng)

    def _observe(self, visible: Visible, candidates: NDArray[np.int64] | None) -> Any:
        mask = self.mask(visible, candidates, self.slate_size) if self._observations.shows_mask else None
        return self._observations(visible, candidates, mask)

    def _slates(self, actions: NDArray[Any]) -> NDArray[np.int64]:
        """Return the items that the actions stand for, (B, K)."""
        resolves = self.actions.nearest is not None
        allowed = self.mask(self._visible, self._candidates, self.slate_size) if resolves else None
        slates = self.actions.slates(actions, self._candidates, allowed)
        if self.mask.active and not resolves:
            self.mask.check(self._visible, slates, self.slate_size)
        return slates

    def _infos(
        self,
        state: UserState,
        responses: Responses,
        terms: NDArray[np.float64],
        slates: NDArray[np.int64],
        days_away: NDArray[np.float64] | None,
    ) -> dict[str, Any]:
        infos: dict[str, Any] = {"user": state.key, "clicked_item": np.where(responses.clicked, responses.item, -1)}
        infos |= {"position": responses.position, "item": responses.item, "event": responses.event}
        infos |= {"gap": responses.gap, "disagreement": responses.disagreement, "reward_terms": terms}
        if self.actions.nearest is not None:
            infos["shown"] = slates
        if days_away is not None:
            infos |= {"days_away": days_away, "visit": state.visit, "day": state.day}
        return _masked(infos, np.ones(self.num_envs, np.bool_))

    def _final(self, visible: Visible, rows: NDArray[np.int64], infos: dict[str, Any]) -> dict[str, Any]:
        """Return what the users in ``rows``, who leave, saw last; ``infos`` are still theirs."""
        candidates = self._propose(visible) if self._observations.shows_candidates else None
        observations = self._observations.rows(self._observe(visible, candidates), len(rows))
        final = np.empty(self.num_envs, dtype=object)
        for row, observation in zip(rows, observations, strict=True):
            final[row] = observation
        done = np.zeros(self.num_envs, np.bool_)
        done[rows] = True
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
    **options: Any,
) -> RecommendationVectorEnv:
    """Return a vector environment whose users behave as ``model`` says; see `RecommendationVectorEnv`."""
    simulator = UserSimulator(model, config)
    return RecommendationVectorEnv(simulator, num_envs, slate_size=slate_size, observer=observer, seed=seed, **options)
