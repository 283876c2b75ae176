"""One simulated person without torch: the same people, the same luck, a tenth of the price of a batch of one.

Formulas and random numbers are those of `UserSimulator.respond`; ``tests/envs/test_solo.py`` walks both side by side.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rlrec.core.random import CounterRng
from rlrec.envs.mind import Memory, Mind, can_be_one
from rlrec.envs.simulator import DRAWS, N_DRAWS, STEP_LANE, Responses, UserSimulator, check_slates
from rlrec.models.lstm import LSTMModel


class SoloSimulator:
    """A `UserSimulator` of one person at a time.

    Parameters
    ----------
    simulator : UserSimulator
        Whose people these are; see `can_be_solo`.
    """

    def __init__(self, simulator: UserSimulator) -> None:
        assert isinstance(simulator.model, LSTMModel)
        assert simulator.forecaster.table is not None
        self._simulator, self._config = simulator, simulator.config
        self._mind = Mind(simulator.model, simulator.forecaster.table)
        self._memory: Memory = self._mind.start
        self._key, self.clock, self._streak = 0, 0, 0

    @property
    def interest(self) -> NDArray[np.float32]:
        """The person's interest vector, (D,)."""
        return self._memory.hidden[-1].astype(np.float32)

    def arrive(self, key: int, rng: CounterRng) -> None:
        """Let person ``key`` come in with the history that the simulator's arrivals give."""
        history = self._simulator.arrivals.open(self._simulator.model, np.array([key]), rng)
        length = int(history.length[0])
        columns = (column[0, :length].tolist() for column in (history.item, history.event, history.gap))
        self._memory = self._mind.start
        for item, event, gap in zip(*columns, strict=True):
            self._memory = self._mind.step(self._memory, item, event, gap)
        self._key, self.clock, self._streak = key, 0, 0

    def respond(self, slate: NDArray[np.integer], rng: CounterRng) -> Responses:
        """Show a slate (K,) and let the person click, browse on alone, stay or leave; columns have one row."""
        config, mind = self._config, self._mind
        draw = rng.uniform_one(self._key, self.clock, lane=STEP_LANE, n=N_DRAWS)
        shown = check_slates(slate[None], 1, self._simulator.n_items)[0]
        before, browses = self._memory, config.organic_rate > 0
        log_probs, alone = mind.forecast(before, shown, draw[DRAWS.ITEM] if browses else None)
        clicks = _click_probs(log_probs, config.kappa)
        running = clicks.cumsum()
        position = int(running.searchsorted(draw[DRAWS.CLICK], side="right"))
        position = position if position < len(shown) else -1
        item = int(shown[position]) if position >= 0 else -1
        if item < 0 and browses and draw[DRAWS.BROWSE] < config.organic_rate:
            item = alone
        event = gap = 0
        if item >= 0:
            event = mind.draw_event(before, item, draw[DRAWS.EVENT]) if mind.n_events > 1 else 0
            gap = mind.draw_gap(before, draw[DRAWS.GAP])
            self._memory = mind.step(before, item, event, gap)
        self._streak = 0 if position >= 0 else self._streak + 1
        self.clock += 1
        leaving = self._leave_prob()
        return Responses(
            position=np.array([position]),
            item=np.array([item]),
            event=np.array([event]),
            gap=np.array([gap]),
            left=np.array([draw[DRAWS.LEAVE] < leaving]),
            click_probs=clicks[None],
            leave_probs=np.array([leaving]),
            streak=np.array([self._streak]),
            disagreement=_NONE,
        )

    def _leave_prob(self) -> float:
        """Raise the learned hazard by a streak of useless slates, on the logit scale."""
        end = min(max(self._mind.end_prob(self._memory), 1e-9), 1.0 - 1e-9)
        annoyance = self._config.impatience * min(self._streak, self._config.max_streak)
        return 1.0 / (1.0 + (1.0 - end) / end * math.exp(-annoyance))


_NONE = np.zeros(1)
_NONE.flags.writeable = False
_TINY = np.finfo(np.float64).tiny


def can_be_solo(simulator: UserSimulator) -> bool:
    """Return whether a simulator's people can be served by `SoloSimulator`."""
    plain = simulator.satiation is None and simulator.returns is None and simulator.forecaster.table is not None
    return plain and can_be_one(simulator.model)


def _click_probs(log_probs: NDArray[np.float32], kappa: float) -> NDArray[np.float64]:
    """Do as `rlrec.envs.choice.click_probs` for one slate."""
    probs = np.exp(log_probs, dtype=np.float64)
    shown = float(probs.sum())
    return probs / max(shown + kappa * max(1.0 - shown, 0.0), _TINY)
