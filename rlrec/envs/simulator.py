"""Batched simulated people. No Gymnasium in here: see ``vector.py`` and ``single.py`` for the shells.

A person has a sequence model's memory, a key (who it is) and a clock (its own step). Every random number is a function
of (seed, key, clock, purpose), so a person does not depend on the others in the batch.
"""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.random import CounterRng
from rlrec.envs.arrivals import Arrivals, OwnOpening
from rlrec.envs.choice import choose, click_probs
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.ensemble import EnsembleHeads, EnsembleModel
from rlrec.envs.forecasts import Forecaster
from rlrec.envs.people import Responses, UserState
from rlrec.envs.returns import GapHead, Returns
from rlrec.envs.satiation import Satiation
from rlrec.envs.slates import check_slates
from rlrec.models.base import BehaviourBatch, BehaviourStep, Heads, RecurrentState, SequenceModel
from rlrec.models.item_table import NormaliserError
from rlrec.models.sampling import inverse_cdf

__all__ = ["DRAWS", "Responses", "UserSimulator", "UserState", "check_slates"]


class DRAWS(IntEnum):
    """Purposes of a step's random numbers: one column each."""

    CLICK = 0
    BROWSE = 1
    ITEM = 2
    EVENT = 3
    GAP = 4
    LEAVE = 5


N_DRAWS = len(DRAWS)
STEP_LANE, _MEMBER_LANE, _TIRED_LANE, RETURN_LANE = range(4)
_ASKED = 256  # people on whose openings the gap head is looked at
_TRIES = 8  # draws of somebody who is tired of what they find; the last is taken in any case


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
    groups : int array, shape (I,), optional
        What people get tired of, with ``config.satiation``: the category of each item; by default the item itself.
    returns : Returns, optional
        When people come back, in a lifetime; by default as the model's gap head says (`GapHead`).
    """

    def __init__(
        self,
        model: SequenceModel,
        config: SimulatorConfig | None = None,
        *,
        arrivals: Arrivals | None = None,
        groups: NDArray[np.integer] | None = None,
        returns: Returns | None = None,
    ) -> None:
        self.model = model
        self.config = SimulatorConfig() if config is None else config
        self.arrivals: Arrivals = OwnOpening() if arrivals is None else arrivals
        self.forecaster = Forecaster(model, self.config)
        self.satiation: Satiation | None = None
        if self.config.satiation:
            rules = (self.config.satiation, self.config.satiation_decay, model.n_items)
            self.satiation = Satiation(*rules, groups=groups, device=model.device)

        self.returns: Returns | None = None
        if self.config.episode == "lifetime":
            self.returns = GapHead() if returns is None else returns
            if isinstance(self.returns, GapHead):
                with torch.no_grad():
                    self.returns.check(model.heads(self.reset(np.arange(_ASKED), rng=CounterRng(0))[0].memory))

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
        memory = self.model.read(history, self.fresh_memory(keys, rng))
        streak = torch.zeros(len(keys), dtype=torch.int64, device=self.model.device)
        had = streak.new_zeros(len(keys), 0) if self.satiation is None else self.satiation.arrived(history)
        zeros = np.zeros(len(keys), np.int64)
        state = UserState(
            memory=memory,
            key=keys,
            clock=zeros,
            streak=streak,
            had=had,
            visit=zeros,
            seen=zeros,
            day=zeros.astype(float),
        )
        return state, history

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
        appeal = None if self.satiation is None else self.satiation.appeal(state.had, shown)
        clicks = click_probs(forecast.log_probs_of(shown).double().exp(), self.config.kappa, appeal)  # (B, K)
        position = choose(clicks, draw[DRAWS.CLICK])
        clicked = position >= 0
        item = torch.where(clicked, shown.gather(1, position.clamp(min=0).unsqueeze(1)).squeeze(1), -1)
        if forecast.drawn is not None:
            alone = ~clicked & (draw[DRAWS.BROWSE] < self.config.organic_rate)
            item = torch.where(alone, self._wanted(state, forecast.drawn, alone, rng), item)
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
            disagreement=self._disagreement(heads, shown, appeal),
        )
        had = state.had if self.satiation is None else self.satiation.after(state.had, item)
        clock, seen = state.clock + 1, state.seen + 1
        return responses, replace(state, memory=memory, streak=streak, had=had, clock=clock, seen=seen)

    def _wanted(self, state: UserState, drawn: Tensor, alone: Tensor, rng: CounterRng) -> Tensor:
        """Return what people find alone, (B,): ``drawn`` from p, and drawn again by who is tired of it (rejection)."""
        if self.satiation is None:
            return drawn
        luck = rng.uniform(state.key, state.clock, lane=_TIRED_LANE, n=2 * _TRIES)  # (B, 2 * tries)
        rows = torch.nonzero(alone).squeeze(1)
        bound = self.satiation.largest_appeal(state.had)
        for attempt in range(_TRIES):
            appeal = self.satiation.appeal(state.had[rows], drawn[rows].unsqueeze(1)).squeeze(1) / bound[rows]
            accepts = torch.from_numpy(luck[rows.cpu().numpy(), 2 * attempt]).to(appeal) < appeal
            rows = rows[~accepts]
            if len(rows) == 0:
                break
            memory = state.memory.select(rows)
            again = torch.from_numpy(luck[rows.cpu().numpy(), 2 * attempt + 1]).to(self.model.device)
            found = self.forecaster(self.model.heads(memory), memory, again).drawn
            assert found is not None
            drawn = drawn.index_copy(0, rows, found)
        return drawn

    def _live_on(
        self, memory: RecurrentState, heads: Heads, item: Tensor, draw: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, RecurrentState]:
        """Return event, gap, hazard of leaving (all (B,)) and memory after ``item``; -1 leaves a person as it was."""
        acted, known = item >= 0, item.clamp(min=0)
        event = torch.zeros_like(item)
        if self.model.n_events > 1:
            event = inverse_cdf(heads.event_probs(known.unsqueeze(-1)).squeeze(-2).double(), draw[DRAWS.EVENT])
        gaps = heads.gap_probs() if self.returns is None else heads.gap_probs()[..., : self.returns.n_gaps]
        gap = inverse_cdf(gaps.double(), draw[DRAWS.GAP])
        after, stepped = self.model.step(BehaviourStep(known, event, gap), memory)
        if acted.all():
            return event, gap, self._hazard(after), stepped
        return event, gap, torch.where(acted, self._hazard(after), self._hazard(heads)), memory.where(acted, stepped)

    def _hazard(self, heads: Heads) -> Tensor:
        return heads.end_probs().double() if self.returns is None else self.returns.hazard(heads)

    def fresh_memory(self, keys: NDArray[np.int64], rng: CounterRng) -> RecurrentState:
        """Return the memory of people before any behaviour; of an ensemble, each with its member."""
        fresh = self.model.initial_state(len(keys))
        if not isinstance(self.model, EnsembleModel):
            return fresh
        uniform = rng.uniform(keys, 0, lane=_MEMBER_LANE)
        return self.model.assign(fresh, (uniform * len(self.model.members)).astype(np.int64))

    def _disagreement(self, heads: Heads, shown: Tensor, appeal: Tensor | None) -> NDArray[np.float64]:
        if not isinstance(heads, EnsembleHeads):
            return np.zeros(len(shown))
        each = [own.item_log_probs_of(shown).double().exp() for own in heads.each]
        each = [click_probs(probs, self.config.kappa, appeal) for probs in each]
        return torch.stack([clicks.sum(-1) for clicks in each]).std(0, correction=0).cpu().numpy()

    def _leave_probs(self, end: Tensor, streak: Tensor) -> Tensor:
        """Raise the learned hazard by a streak of useless slates, on the logit scale."""
        annoyance = self.config.impatience * streak.clamp(max=self.config.max_streak)
        return torch.sigmoid(torch.logit(end, eps=1e-9) + annoyance)

    def _draws(self, state: UserState, rng: CounterRng) -> Tensor:
        """Return the uniforms of a step, (n_draws, B), one row a purpose; double, so that 1 - 2**-53 stays below 1."""
        uniform = rng.uniform(state.key, state.clock, lane=STEP_LANE, n=N_DRAWS)
        return torch.from_numpy(np.ascontiguousarray(uniform.T)).to(self.model.device)
