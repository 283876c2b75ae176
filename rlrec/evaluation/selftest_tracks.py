"""The three settings in which the estimators are tested against our own simulator, and what runs in each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rlrec.core.estimate import Estimate
from rlrec.core.protocols import StochasticPolicy
from rlrec.data.trajectories import Trajectories
from rlrec.evaluation import ope
from rlrec.evaluation.columns import FloatArray
from rlrec.evaluation.fitted_q import fit_fqe
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.logged_trajectories import (
    decisions,
    policy_probs,
    slate_probs,
    slates,
    target_choices,
    target_slate_probs,
)
from rlrec.evaluation.q_model import fit_q
from rlrec.evaluation.slate_draws import PlackettLuce, SlateDraw, Slots
from rlrec.evaluation.target import QValues, Target

TrackName = Literal["bandit", "slate", "sequential"]
_N_GROUPS = 4  # of items by popularity, for MIPS (chosen here)


@dataclass(frozen=True, eq=False)
class Case:
    """One log with one target; what several estimators need is made once."""

    episodes: Trajectories
    """What the logger did."""
    logger: StochasticPolicy
    """Who logged."""
    target: StochasticPolicy
    """Whom to judge."""
    draw: SlateDraw
    """How slates were drawn."""

    @cached_property
    def log(self) -> LoggedBatch:
        """Single recommendations."""
        return decisions(self.episodes, self.logger)

    @cached_property
    def probs(self) -> Target:
        """The target on them."""
        return Target.of(self.log, policy_probs(self.target, self.episodes))

    @cached_property
    def q(self) -> QValues:
        """Reward model of a single recommendation."""
        return fit_q(self.log, self.probs)

    @cached_property
    def q_to_go(self) -> QValues:
        """Model of the return to go; two folds, for speed."""
        return fit_fqe(self.log, self.probs, truncated=self.episodes.truncated, n_folds=2)

    @cached_property
    def state(self) -> NDArray[np.int64]:
        """What the policies saw, numbered: a state where observations are few, (N,)."""
        assert self.episodes.observation is not None
        return np.unique(self.episodes.observation, axis=0, return_inverse=True)[1].ravel()

    @cached_property
    def groups(self) -> FloatArray:
        """Group of each item by its share of the log, as one-hot rows, (I, G)."""
        counts = np.bincount(self.log.action, minlength=self.probs.n_actions)
        rank = counts.argsort().argsort()
        return np.asarray(np.eye(_N_GROUPS)[rank * _N_GROUPS // len(rank)], dtype=np.float64)

    @cached_property
    def given(self) -> FloatArray:
        """The target's probability of each item in its slot, (N, K)."""
        return target_slate_probs(self.target, self.episodes, self.draw)

    @cached_property
    def cascade(self) -> LoggedBatch:
        """Positions from top to bottom."""
        return slates(self.episodes, "cascade")

    @cached_property
    def choices(self) -> Target:
        """The target on them."""
        return Target.of(self.cascade, target_choices(self.target, self.episodes, self.draw))

    @cached_property
    def q_below(self) -> QValues:
        """Model of the reward from a position on; two folds, for speed."""
        return fit_fqe(self.cascade, self.choices, horizon=self.episodes.slate_size, n_folds=2)


Run = Callable[[Case], Estimate]


@dataclass(frozen=True)
class Track:
    """A setting: what is shown, how it is drawn, and the estimators that apply."""

    draw: SlateDraw
    """How slates are drawn."""
    one_step: bool
    """True where a session is one slate long."""
    estimators: dict[str, Run]
    """By name."""


def _plain(name: str) -> Run:
    row = ope.ESTIMATORS[name]
    if row.needs_model:
        return lambda case: row.function(case.log, case.probs, q=case.q)
    return lambda case: row.function(case.log, case.probs)


def _mips(case: Case) -> Estimate:
    embedding = case.groups.argmax(axis=1)[case.log.action]
    return ope.mips(case.log, case.probs, embedding, p_embedding=case.groups)


def _slate(name: str, probability: Literal["slate", "cascade", "item"], **given: bool) -> Run:
    function = ope.ESTIMATORS[name].function
    return lambda case: function(slates(case.episodes, probability), slate_probs(case.given, probability), **given)


def _to_go(name: str) -> Run:
    function = ope.ESTIMATORS[name].function
    return lambda case: function(case.log, case.probs, q=case.q_to_go)


BANDITS = ("dm", "ips", "clipped_ips", "snips", "sg_ips", "dr", "clipped_dr", "sndr", "switch_dr", "dros", "sg_dr")

TRACKS: dict[TrackName, Track] = {
    "bandit": Track(PlackettLuce(), True, {name: _plain(name) for name in BANDITS} | {"mips": _mips}),
    "slate": Track(
        Slots(),
        True,
        {
            "sips": _slate("sips", "slate"),
            "sips (self-normalised)": _slate("sips", "slate", self_normalised=True),
            "rips": _slate("rips", "cascade"),
            "cascade_dr": lambda case: ope.cascade_dr(case.cascade, case.choices, q=case.q_below),
            "iips": _slate("iips", "item"),
            "pseudo_inverse": _slate("pseudo_inverse", "item"),
        },
    ),
    "sequential": Track(
        PlackettLuce(),
        False,
        {
            "tis": lambda case: ope.tis(case.log, case.probs),
            "tis (self-normalised)": lambda case: ope.tis(case.log, case.probs, self_normalised=True),
            "pdis": lambda case: ope.pdis(case.log, case.probs),
            "pdis (self-normalised)": lambda case: ope.pdis(case.log, case.probs, self_normalised=True),
            "fqe": _to_go("sequential_dm"),
            "sequential_dr": _to_go("sequential_dr"),
            "wdr": _to_go("wdr"),
            "magic": _to_go("magic"),
            "mrdr": lambda case: ope.mrdr(case.log, case.probs),
            "marginal_is": lambda case: ope.marginal_is(
                case.log, case.probs, state=case.state, truncated=case.episodes.truncated, ridge=0.01
            ),
        },
    ),
}
"""The settings by name."""
