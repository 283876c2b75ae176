"""Batched simulated people. No Gymnasium in here: see ``vector.py`` and ``single.py`` for the shells.

A person has a sequence model's memory, a key (who it is) and a clock (its own step). Every random number is a function
of (seed, key, clock, purpose), so a person does not depend on the others in the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.errors import InvalidSlateError
from rlrec.core.random import CounterRng
from rlrec.envs.choice import choose, click_probs
from rlrec.envs.config import SimulatorConfig
from rlrec.models.base import BehaviourStep, Heads, RecurrentState, SequenceModel
from rlrec.models.sampling import as_uniform, inverse_cdf

_CLICK, _BROWSE, _ITEM, _EVENT, _GAP, _LEAVE, _OPEN = range(7)  # purposes of random numbers: one lane each
_N_LANES = 7


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

    def where(self, mask: NDArray[np.bool_], other: UserState) -> UserState:
        """Return ``other``'s people where ``mask`` (B,) is true."""
        torch_mask = torch.from_numpy(mask).to(self.streak.device)
        return UserState(
            memory=self.memory.where(torch_mask, other.memory),
            key=np.where(mask, other.key, self.key),
            clock=np.where(mask, other.clock, self.clock),
            streak=torch.where(torch_mask, other.streak, self.streak),
        )


class Responses(NamedTuple):
    """What B people did with their slates; all (B,)."""

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

    @property
    def clicked(self) -> NDArray[np.bool_]:
        """True where something shown was taken."""
        return self.position >= 0


class UserSimulator:
    """People who behave as a sequence model says, and choose from slates by a conditional logit.

    Parameters
    ----------
    model : SequenceModel
        How people behave.
    config : SimulatorConfig, optional
        What the log cannot say.
    """

    def __init__(self, model: SequenceModel, config: SimulatorConfig | None = None) -> None:
        self.model = model
        self.config = SimulatorConfig() if config is None else config

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.model.n_items

    @torch.no_grad()
    def reset(self, keys: NDArray[np.int64], *, rng: CounterRng) -> tuple[UserState, BehaviourStep]:
        """Let people arrive with one behaviour of their own, as logged sessions open.

        Parameters
        ----------
        keys : int array, shape (B,)
            Who arrives; the same key is the same person with the same luck.

        Returns
        -------
        state : UserState
        opening : BehaviourStep
            The visible opening behaviour, (B,).
        """
        fresh = self.model.initial_state(len(keys))
        draw = self._draws(keys, np.full(len(keys), -1), rng)
        heads = self.model.heads(fresh)
        item = inverse_cdf(heads.item_log_probs().double().exp(), draw[:, _OPEN])
        event = _sample_event(heads, item, draw[:, _EVENT])
        opening = BehaviourStep(item, event, torch.zeros_like(item))
        _, memory = self.model.step(opening, fresh)
        streak = torch.zeros(len(keys), dtype=torch.int64, device=item.device)
        return UserState(memory, keys, np.zeros(len(keys), np.int64), streak), opening

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
        checked = check_slates(slates, len(state.key), self.n_items)
        shown = torch.from_numpy(checked).to(state.streak.device)  # (B, K)
        draw = self._draws(state.key, state.clock, rng)
        heads = self.model.heads(state.memory)
        position = choose(
            click_probs(heads.item_log_probs_of(shown).double().exp(), self.config.kappa), draw[:, _CLICK]
        )
        clicked = position >= 0
        item = torch.where(clicked, shown.gather(1, position.clamp(min=0).unsqueeze(1)).squeeze(1), -1)
        alone = ~clicked & (draw[:, _BROWSE] < self.config.organic_rate)
        if alone.any():
            found = inverse_cdf(heads.item_log_probs().double().exp(), draw[:, _ITEM])
            item = torch.where(alone, found, item)
        acted = item >= 0
        event = _sample_event(heads, item.clamp(min=0), draw[:, _EVENT])
        gap = inverse_cdf(heads.gap_probs().double(), draw[:, _GAP])
        after, stepped = self.model.step(BehaviourStep(item.clamp(min=0), event, gap), state.memory)
        streak = torch.where(clicked, 0, state.streak + 1)
        end = torch.where(acted, after.end_probs(), heads.end_probs()).double()
        left = draw[:, _LEAVE] < self._leave_probs(end, streak)
        responses = Responses(
            position=position.cpu().numpy(),
            item=item.cpu().numpy(),
            event=torch.where(acted, event, 0).cpu().numpy(),
            gap=torch.where(acted, gap, 0).cpu().numpy(),
            left=left.cpu().numpy(),
        )
        memory = state.memory.where(acted, stepped)
        return responses, UserState(memory, state.key, state.clock + 1, streak)

    def _leave_probs(self, end: Tensor, streak: Tensor) -> Tensor:
        """Raise the learned hazard by a streak of useless slates, on the logit scale."""
        annoyance = self.config.impatience * streak.clamp(max=self.config.max_streak)
        return torch.sigmoid(torch.logit(end, eps=1e-9) + annoyance)

    def _draws(self, key: NDArray[np.int64], clock: NDArray[np.int64], rng: CounterRng) -> Tensor:
        """Return all the uniforms of a step, (B, lanes): one per purpose."""
        uniform = rng.uniform(key, clock, lane=0, n=_N_LANES)
        return as_uniform(uniform, self.model.initial_state(0).tensors[0])


def _sample_event(heads: Heads, item: Tensor, uniform: Tensor) -> Tensor:
    return inverse_cdf(heads.event_probs(item.unsqueeze(-1)).squeeze(-2).double(), uniform)


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
