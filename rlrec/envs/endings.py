"""How a step ends for each user: they stay, leave for good, are cut off, or come back for another visit."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rlrec.core.random import CounterRng
from rlrec.data.sequences import gap_bucket
from rlrec.envs.people import Responses, UserState
from rlrec.envs.returns import DAY
from rlrec.envs.simulator import RETURN_LANE, UserSimulator
from rlrec.envs.visible import Visible
from rlrec.models.base import BehaviourBatch, Heads, RecurrentState, SequenceModel
from rlrec.models.sampling import inverse_cdf

_VISIT_BITS = 40  # keys of people stay below 2**40


class Endings(NamedTuple):
    """What became of B users."""

    state: UserState
    visible: Visible
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    days_away: NDArray[np.float64] | None
    """(B,) NaN for who stays, infinite for never; None where an episode is one session."""


def end_step(
    simulator: UserSimulator,
    observer: SequenceModel,
    state: UserState,
    visible: Visible,
    responses: Responses,
    rng: CounterRng,
) -> Endings:
    """Return who is through, and everybody else where they are now."""
    config = simulator.config
    if simulator.returns is None:
        truncated = ~responses.left & (state.clock >= config.horizon)
        return Endings(state, visible, responses.left, truncated, None)
    away = np.full(len(state.key), np.nan)
    terminated = truncated = np.zeros(len(state.key), np.bool_)
    gone = np.flatnonzero(responses.left | (state.seen >= config.horizon))
    if len(gone):
        days, back, opening = come_back(simulator, state.select(gone), rng=rng)
        away[gone] = days
        terminated = np.isposinf(away)
        truncated = np.zeros_like(terminated)
        truncated[gone] = np.isfinite(days) & (back.day > config.horizon_days)
        again = np.flatnonzero(np.isfinite(days) & (back.day <= config.horizon_days))
        if len(again):
            rows, back = gone[again], back.select(again)
            state = state.put(rows, back)
            seen = _returned(simulator, observer, visible.select(rows), back, _rows(opening, again))
            visible = visible.put(rows, seen)
    return Endings(state, visible, terminated, truncated, away)


@torch.no_grad()
def come_back(
    people: UserSimulator, state: UserState, *, rng: CounterRng
) -> tuple[NDArray[np.float64], UserState, BehaviourBatch]:
    """Let people who just left stay away, and come back with the behaviour that opens their next visit.

    Returns
    -------
    days : float array, shape (B,)
        Away; infinite for who never comes back, whose rows below mean nothing.
    state : UserState
        At the start of the next visit.
    opening : BehaviourBatch
        Of the next visit, padded to (B, T).
    """
    assert people.returns is not None
    luck = rng.uniform(state.key, state.clock, lane=RETURN_LANE, n=4)  # (B, 4)
    heads = people.model.heads(state.memory)
    days = people.returns.seconds(heads, luck[:, :2]) / DAY
    if people.returns.keeps_memory:
        opening, memory = _resume(people, state.memory, heads, days, luck[:, 2:]), state.memory
    else:
        keys = state.key + ((state.visit + 1) << _VISIT_BITS)  # other luck at each visit
        opening, memory = people.arrivals.open(people.model, keys, rng), people.fresh_memory(state.key, rng)
    had = state.had if people.satiation is None else people.satiation.arrived(opening)
    back = replace(
        state,
        memory=people.model.read(opening, memory),
        streak=torch.zeros_like(state.streak),
        had=had,
        visit=state.visit + 1,
        seen=np.zeros_like(state.seen),
        day=state.day + days,
    )
    return days, back, opening


def _resume(
    people: UserSimulator, memory: RecurrentState, heads: Heads, days: NDArray[np.float64], luck: NDArray[np.float64]
) -> BehaviourBatch:
    """Return the behaviour with which people go on after ``days``, (B, 1)."""
    uniform = torch.from_numpy(np.ascontiguousarray(luck.T)).to(people.model.device)
    item = people.forecaster(heads, memory, uniform[0]).drawn
    assert item is not None
    event = inverse_cdf(heads.event_probs(item.unsqueeze(-1)).squeeze(-2).double(), uniform[1])
    gap = torch.from_numpy(gap_bucket(days * DAY)).to(people.model.device)
    return BehaviourBatch(item.unsqueeze(1), event.unsqueeze(1), gap.unsqueeze(1), torch.ones_like(item))


def _returned(
    simulator: UserSimulator, observer: SequenceModel, visible: Visible, back: UserState, opening: BehaviourBatch
) -> Visible:
    """Return what is seen of people who came back."""
    if observer is simulator.model:
        return visible.returned(opening, back.memory)
    assert simulator.returns is not None
    goes_on = simulator.returns.keeps_memory
    before = visible.memory if goes_on else observer.initial_state(len(visible.key))
    return visible.returned(opening, observer.read(opening, before))


def _rows(batch: BehaviourBatch, rows: NDArray[np.int64]) -> BehaviourBatch:
    return BehaviourBatch(*(column[rows] for column in batch))
