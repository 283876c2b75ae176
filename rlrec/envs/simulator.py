"""Batched simulated people. No Gymnasium in here: see ``vector.py`` and ``single.py`` for the shells.

A person has a sequence model's memory, a key (who it is) and a clock (its own step). Every random number is a function
of (seed, key, clock, purpose), so a person does not depend on the others in the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.errors import InvalidSlateError
from rlrec.core.random import CounterRng
from rlrec.envs.arrivals import Arrivals, OwnOpening
from rlrec.envs.choice import choose, click_probs
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.ensemble import EnsembleHeads, EnsembleModel
from rlrec.envs.forecasts import Forecaster
from rlrec.models.base import BehaviourBatch, BehaviourStep, Heads, RecurrentState, SequenceModel
from rlrec.models.item_table import NormaliserError
from rlrec.models.sampling import inverse_cdf


class DRAWS(IntEnum):
    """Purposes of a step's random numbers: one column each."""

    CLICK = 0
    BROWSE = 1
    ITEM = 2
    EVENT = 3
    GAP = 4
    LEAVE = 5


N_DRAWS = len(DRAWS)
STEP_LANE, _MEMBER_LANE = 0, 1


@dataclass(frozen=True)
class UserState:
    """B people between two slates."""

    memory: RecurrentState
    """What the user model remembers of each."""
    key: NDArray[np.int64]
    """(B,) who they are."""
    clock: NDArray[np.int64]
    """(B,) slates answered."""
    streak: Tensor
    """(B,) useless slates in a row."""

    def put(self, rows: NDArray[np.int64], other: UserState) -> UserState:
        """Return these people with those in ``rows`` (n,) replaced by ``other``'s n."""
        key, clock = self.key.copy(), self.clock.copy()
        key[rows], clock[rows] = other.key, other.clock
        index = torch.from_numpy(rows).to(self.streak.device)
        return UserState(
            self.memory.put(index, other.memory), key, clock, self.streak.index_copy(0, index, other.streak)
        )

    def select(self, rows: NDArray[np.int64]) -> UserState:
        """Return the people in ``rows``."""
        index = torch.from_numpy(rows).to(self.streak.device)
        return UserState(self.memory.select(index), self.key[rows], self.clock[rows], self.streak[index])


class Responses(NamedTuple):
    """What B people did with their slates; all (B,) but ``click_probs``."""

    position: NDArray[np.int64]
    """Slate position of the click, -1 for none."""
    item: NDArray[np.int64]
    """Item of the visible behaviour: clicked, or found alone; -1 if there was none."""
    event: NDArray[np.int64]
    """Its event type; 0 if there was none."""
    gap: NDArray[np.int64]
    """Its gap bucket."""
    left: NDArray[np.bool_]
    """True where the person then left."""
    click_probs: NDArray[np.float64]
    """(B, K) probability with which each shown item was going to be clicked."""
    leave_probs: NDArray[np.float64]
    """Probability with which the person was going to leave."""
    streak: NDArray[np.int64]
    """Useless slates in a row, this one included."""
    disagreement: NDArray[np.float64]
    """Standard deviation over an ensemble's members of the probability of any click; 0 for a single model."""

    @property
    def clicked(self) -> NDArray[np.bool_]:
        """True where something shown was taken."""
        return self.position >= 0


class UserSimulator:
    """People who behave as a sequence model says, and choose from slates by a conditional logit.

    Parameters
    ----------
    model : SequenceModel
        How people behave. Taken as fixed: a model trained further needs a new simulator. In an `EnsembleModel` each
        person follows one member.
    config : SimulatorConfig, optional
        What the log cannot say.
    arrivals : Arrivals, optional
        How people come in; by default with one behaviour, as logged sessions open.
    """

    def __init__(
        self, model: SequenceModel, config: SimulatorConfig | None = None, *, arrivals: Arrivals | None = None
    ) -> None:
        self.model = model
        self.config = SimulatorConfig() if config is None else config
        self.arrivals: Arrivals = OwnOpening() if arrivals is None else arrivals
        self.forecaster = Forecaster(model, self.config)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.model.n_items

    @property
    def normaliser_error(self) -> NormaliserError | None:
        """How far log Z is off, measured when the simulator was built; None where it is exact."""
        return None if self.forecaster.table is None else self.forecaster.table.error

    @torch.no_grad()
    def reset(self, keys: NDArray[np.int64], *, rng: CounterRng) -> tuple[UserState, BehaviourBatch]:
        """Let people arrive with a history.

        Parameters
        ----------
        keys : int array, shape (B,)
            Who arrives; the same key is the same person with the same luck.

        Returns
        -------
        state : UserState
        history : BehaviourBatch
            The visible behaviour that they came with, padded to (B, T).
        """
        history = self.arrivals.open(self.model, keys, rng)
        memory = self.model.read(history, self._fresh(keys, rng))
        streak = torch.zeros(len(keys), dtype=torch.int64, device=self.model.device)
        return UserState(memory, keys, np.zeros(len(keys), np.int64), streak), history

    @torch.no_grad()
    def respond(self, state: UserState, slates: NDArray[np.integer], *, rng: CounterRng) -> tuple[Responses, UserState]:
        """Show slates and let people click, browse on alone, stay or leave.

        Parameters
        ----------
        state : UserState
        slates : int array, shape (B, K)
            Item indices, no item twice in a row.
        rng : CounterRng

        Raises
        ------
        InvalidSlateError
            For a wrong shape or type, an unknown item, or an item shown twice.
        """
        shown = torch.from_numpy(check_slates(slates, len(state.key), self.n_items)).to(self.model.device)  # (B, K)
        draw = self._draws(state, rng)
        heads = self.model.heads(state.memory)
        browses = self.config.organic_rate > 0
        forecast = self.forecaster(heads, state.memory, draw[DRAWS.ITEM] if browses else None)
        clicks = click_probs(forecast.log_probs_of(shown).double().exp(), self.config.kappa)  # (B, K)
        position = choose(clicks, draw[DRAWS.CLICK])
        clicked = position >= 0
        item = torch.where(clicked, shown.gather(1, position.clamp(min=0).unsqueeze(1)).squeeze(1), -1)
        if forecast.drawn is not None:
            item = torch.where(~clicked & (draw[DRAWS.BROWSE] < self.config.organic_rate), forecast.drawn, item)
        acted = item >= 0
        event, gap, end, memory = self._live_on(state.memory, heads, item, draw)
        streak = torch.where(clicked, 0, state.streak + 1)
        leaving = self._leave_probs(end, streak)
        responses = Responses(
            position=position.cpu().numpy(),
            item=item.cpu().numpy(),
            event=torch.where(acted, event, 0).cpu().numpy(),
            gap=torch.where(acted, gap, 0).cpu().numpy(),
            left=(draw[DRAWS.LEAVE] < leaving).cpu().numpy(),
            click_probs=clicks.cpu().numpy(),
            leave_probs=leaving.cpu().numpy(),
            streak=streak.cpu().numpy(),
            disagreement=self._disagreement(heads, shown),
        )
        return responses, UserState(memory, state.key, state.clock + 1, streak)

    def _live_on(
        self, memory: RecurrentState, heads: Heads, item: Tensor, draw: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, RecurrentState]:
        """Return event, gap, hazard of leaving (all (B,)) and memory after ``item``; -1 leaves a person as it was."""
        acted, known = item >= 0, item.clamp(min=0)
        event = torch.zeros_like(item)
        if self.model.n_events > 1:
            event = inverse_cdf(heads.event_probs(known.unsqueeze(-1)).squeeze(-2).double(), draw[DRAWS.EVENT])
        gap = inverse_cdf(heads.gap_probs().double(), draw[DRAWS.GAP])
        after, stepped = self.model.step(BehaviourStep(known, event, gap), memory)
        if acted.all():
            return event, gap, after.end_probs().double(), stepped
        end = torch.where(acted, after.end_probs(), heads.end_probs()).double()
        return event, gap, end, memory.where(acted, stepped)

    def _fresh(self, keys: NDArray[np.int64], rng: CounterRng) -> RecurrentState:
        fresh = self.model.initial_state(len(keys))
        if not isinstance(self.model, EnsembleModel):
            return fresh
        uniform = rng.uniform(keys, 0, lane=_MEMBER_LANE)
        return self.model.assign(fresh, (uniform * len(self.model.members)).astype(np.int64))

    def _disagreement(self, heads: Heads, shown: Tensor) -> NDArray[np.float64]:
        if not isinstance(heads, EnsembleHeads):
            return np.zeros(len(shown))
        each = [click_probs(own.item_log_probs_of(shown).double().exp(), self.config.kappa) for own in heads.each]
        return torch.stack([clicks.sum(-1) for clicks in each]).std(0, correction=0).cpu().numpy()

    def _leave_probs(self, end: Tensor, streak: Tensor) -> Tensor:
        """Raise the learned hazard by a streak of useless slates, on the logit scale."""
        annoyance = self.config.impatience * streak.clamp(max=self.config.max_streak)
        return torch.sigmoid(torch.logit(end, eps=1e-9) + annoyance)

    def _draws(self, state: UserState, rng: CounterRng) -> Tensor:
        """Return the uniforms of a step, (n_draws, B), one row a purpose; double, so that 1 - 2**-53 stays below 1."""
        uniform = rng.uniform(state.key, state.clock, lane=STEP_LANE, n=N_DRAWS)
        return torch.from_numpy(np.ascontiguousarray(uniform.T)).to(self.model.device)


def check_slates(slates: NDArray[np.integer], n_users: int, n_items: int) -> NDArray[np.int64]:
    """Return slates as int64 (B, K), or say what is wrong with them."""
    slates = np.asarray(slates)
    remedy = "pass item indices from catalog.index_of(ids)"
    if slates.dtype.kind not in "iu" or slates.ndim != 2 or len(slates) != n_users or slates.shape[1] == 0:
        raise InvalidSlateError(
            f"slates must be an integer array of shape ({n_users}, slate_size), "
            f"got {slates.dtype} {slates.shape}; {remedy}"
        )
    if slates.size and (slates.min() < 0 or slates.max() >= n_items):
        bad = slates[(slates < 0) | (slates >= n_items)][0]
        raise InvalidSlateError(f"slates must hold item indices in 0..{n_items - 1}, got {bad}; {remedy}")
    if slates.shape[1] > 1:
        ordered = np.sort(slates, axis=1)
        twice = (np.diff(ordered, axis=1) == 0).any(axis=1)
        if twice.any():
            row = int(np.argmax(twice))
            raise InvalidSlateError(f"a slate must not show an item twice, row {row} is {slates[row].tolist()}")
    return slates.astype(np.int64)
