"""How a step ends for each user: they stay, leave for good, are cut off, or come back for another visit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlrec.core.random import CounterRng
from rlrec.envs.people import Responses, UserState
from rlrec.envs.simulator import UserSimulator
from rlrec.envs.visible import Visible
from rlrec.models.base import BehaviourBatch, SequenceModel


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
        days, back, opening = simulator.come_back(state.select(gone), rng=rng)
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
