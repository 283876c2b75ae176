"""Testing the estimators on our own simulator: there the logger is known, and a roll-out tells the truth.

Many logs are collected with a known logger; each estimator judges each target on each log, and is compared with the
target's mean return on many more simulated users.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.core.estimate import Estimate
from rlrec.core.progress import progress
from rlrec.core.protocols import StochasticPolicy
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.evaluation.collect import collect
from rlrec.evaluation.columns import FloatArray
from rlrec.evaluation.selftest_config import SelfTestConfig
from rlrec.evaluation.selftest_tracks import TRACKS, Case, Run, TrackName


@dataclass(frozen=True)
class Score:
    """How an estimator did, over all logs and targets."""

    bias: float
    """Mean absolute bias over the targets, reward units."""
    z: float
    """Largest bias of a target in standard errors, the truth's error included; above 3 there is a bias."""
    rmse: float
    """Root mean squared error, reward units."""
    coverage: float
    """Share of the 95 % intervals that held the truth."""
    reliable: float
    """Share of the estimates that passed the support gate."""
    reliable_coverage: float | None
    """Coverage among those; None where there is none."""
    rank_correlation: float | None
    """Spearman's, between estimates and truths of the targets, mean over logs; None for fewer than 3 targets."""
    seconds: float
    """Mean time of an estimate, models that it shares with others counted where they were first needed."""
    failed: float
    """Share of logs on which it refused."""

    def to_dict(self) -> dict[str, float | None]:
        """Return the plain values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class SelfTest:
    """Scores by estimator, and the truths that they were measured against."""

    track: TrackName
    """The setting."""
    truths: dict[str, float]
    """Mean return of each target."""
    logger_return: float
    """Mean return of the logger."""
    scores: dict[str, Score]
    """By estimator."""

    def to_dict(self) -> dict[str, Any]:
        """Return the plain values."""
        scores = {name: score.to_dict() for name, score in self.scores.items()}
        return {"truths": self.truths, "logger_return": self.logger_return, "scores": scores}


def selftest(
    track: TrackName,
    env: RecommendationVectorEnv,
    logger: StochasticPolicy,
    targets: Mapping[str, StochasticPolicy],
    *,
    config: SelfTestConfig | None = None,
    seed: int = 0,
    show_progress: bool | None = None,
) -> SelfTest:
    """Run every estimator of a setting.

    Parameters
    ----------
    track : {"bandit", "slate", "sequential"}
        The setting; for the first two the environment's horizon must be 1.
    env : RecommendationVectorEnv
        The people.
    logger : StochasticPolicy
        Who logs; must give every item that a target shows a chance.
    targets : mapping of str to StochasticPolicy
        Whom to judge; 3 or more for a rank correlation.
    config : SelfTestConfig, optional
        Size of the test.
    seed : int
        Of the logs; the truths are measured on other users.
    show_progress : bool, optional
        Force the progress bar on or off.

    Raises
    ------
    InvalidArgumentError
        If there is no target, or sessions are longer than the setting's.
    """
    size, setting = config or SelfTestConfig(), TRACKS[track]
    if not targets:
        raise InvalidArgumentError("targets must name at least one policy, got none")
    horizon = env.simulator.config.horizon
    if setting.one_step and horizon != 1:
        raise InvalidArgumentError(f"env must have a horizon of 1 for the {track} track, got {horizon}")
    truths = {
        name: collect(
            env, policy, n_users=size.n_truth_users, seed=seed - 1, draw=setting.draw, keep_observations=False
        ).returns
        for name, policy in targets.items()
    }
    tallies = {name: _Tally(size.n_logs, len(targets)) for name in setting.estimators}
    logger_returns = []
    for index in progress(range(size.n_logs), description=f"{track} logs", unit="log", show=show_progress):
        episodes = collect(env, logger, n_users=size.n_users, seed=seed + 1 + index, draw=setting.draw)
        logger_returns.append(episodes.returns.mean())
        for column, target in enumerate(targets.values()):
            case = Case(episodes, logger, target, setting.draw)
            for name, run in setting.estimators.items():
                tallies[name].add(index, column, run, case)
    scores = {name: tally.score(list(truths.values())) for name, tally in tallies.items()}
    means = {name: float(returns.mean()) for name, returns in truths.items()}
    return SelfTest(track, means, float(np.mean(logger_returns)), scores)


class _Tally:
    """What one estimator said, log by target."""

    def __init__(self, n_logs: int, n_targets: int) -> None:
        self._said = np.full((4, n_logs, n_targets), np.nan)  # value, low, high, reliable
        self._seconds = 0.0

    def add(self, index: int, column: int, run: Run, case: Case) -> None:
        """Judge a case; a refusal is counted, not hidden."""
        began = time.perf_counter()
        try:
            found: Estimate = run(case)
        except DataError:
            return
        finally:
            self._seconds += time.perf_counter() - began
        self._said[:, index, column] = found.value, found.low, found.high, found.reliable

    def score(self, truths: list[FloatArray]) -> Score:
        """Compare with the truths."""
        value, low, high, reliable = self._said  # (L, P) each
        truth = np.array([returns.mean() for returns in truths])  # (P,)
        there = np.isfinite(value)
        n = np.maximum(there.sum(axis=0), 1)
        error = np.where(there, value - truth, 0.0)
        bias = error.sum(axis=0) / n  # (P,)
        spread = np.where(there, error - bias, 0.0)
        noise = (spread**2).sum(axis=0) / np.maximum(n - 1, 1) / n + np.array([r.var() / len(r) for r in truths])
        held = (low <= truth) & (truth <= high)  # False where it refused
        trusted = held[reliable == 1.0]
        total = max(int(there.sum()), 1)
        return Score(
            bias=float(np.abs(bias).mean()),
            z=float(np.abs(bias / np.sqrt(np.maximum(noise, 1e-300))).max()),
            rmse=float(np.sqrt((error**2).sum() / total)),
            coverage=float(held.sum() / total),
            reliable=float((reliable == 1.0).sum() / total),
            reliable_coverage=float(trusted.mean()) if len(trusted) else None,
            rank_correlation=_rank_correlation(value, truth),
            seconds=self._seconds / value.size,
            failed=float(1 - there.mean()),
        )


def _rank_correlation(value: FloatArray, truth: FloatArray) -> float | None:
    whole = value[np.isfinite(value).all(axis=1)]
    if len(truth) < 3 or len(whole) == 0:
        return None
    ranks = stats.rankdata(whole, axis=1) - (len(truth) + 1) / 2
    own = stats.rankdata(truth) - (len(truth) + 1) / 2
    norms = np.sqrt((ranks**2).sum(axis=1) * (own**2).sum())
    return float(np.mean(np.divide(ranks @ own, norms, out=np.zeros(len(whole)), where=norms > 0)))
