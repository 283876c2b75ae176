r"""The whole distribution of the return under the target: its CDF, quantiles, and the mean of its worst part (CVaR).

With the self-normalised weight of each episode, :math:`\hat F(x) = \sum_i w_i 1[G_i \le x] / \sum_i w_i`. A policy may
earn more on average and still serve its worst-off users worse.

References
----------
.. [1] Chandak, Niekum, da Silva, Learned-Miller, Brunskill & Thomas, "Universal Off-Policy Evaluation", NeurIPS 2021.
.. [2] Huang, Leqi, Lipton & Azizzadenesheli, "Off-Policy Risk Assessment in Contextual Bandits", NeurIPS 2021.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rlrec.core.checks import check_between
from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.evaluation.columns import FloatArray
from rlrec.evaluation.episode_problem import EpisodeProblem
from rlrec.evaluation.episode_terms import episode_evidence
from rlrec.evaluation.estimation import OffPolicyEstimate
from rlrec.evaluation.intervals import IntervalConfig
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.target import TargetLike


@dataclass(frozen=True, eq=False)
class ReturnDistribution:
    """Discounted returns with their weights: one estimate after another is read off it.

    Consistent with exact propensities, with a bias of order 1/n; the weights are those of whole episodes, so its
    variance grows exponentially with the horizon, as that of `tis`. Discounts start with 1 at the first step.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1, 0, 1], reward=[1.0, 2.0, 3.0, 4.0], behavior_prob=[0.5] * 4)
    >>> returns = ReturnDistribution.of(log, [0.25, 0.75, 0.25, 0.75])
    >>> returns.cdf(2.0).value, returns.quantile(0.5), returns.cvar(0.5).value
    (0.5, 2.0, 1.75)
    """

    logged: LoggedBatch
    """The log."""
    returns: FloatArray
    """Discounted return of each episode, shape (E,)."""
    weights: FloatArray
    """Importance weight of each episode, shape (E,)."""
    interval: IntervalConfig = field(default_factory=IntervalConfig)
    """How to put intervals."""

    @classmethod
    def of(
        cls,
        logged: LoggedBatch,
        target: TargetLike,
        *,
        gamma: float = 1.0,
        interval: IntervalConfig | None = None,
    ) -> ReturnDistribution:
        """Weight the episodes of a log; arguments and errors as in `sequential_ope.tis`.

        Raises
        ------
        DataError
            If all weights are 0.
        """
        p = EpisodeProblem.of(logged, target, gamma, interval)
        weights = p.weights[:, -1]
        if not weights.sum() > 0:
            raise DataError("the weights must not all be 0, got no episode the target could produce; use another log")
        return cls(logged, p.rewards.sum(axis=1), weights, p.interval)

    def cdf(self, threshold: float) -> OffPolicyEstimate:
        r"""Return the probability of a return of at most ``threshold``, with a pointwise interval inside [0, 1]."""
        return self._mean((self.returns <= threshold).astype(np.float64), (0.0, 1.0), on_range=True)

    def quantile(self, share: float) -> float:
        """Return the smallest return whose CDF reaches ``share``, in (0, 1]."""
        _check_share("share", share)
        order, cumulative = self._cumulative()
        return float(self.returns[order[np.searchsorted(cumulative, share * (1 - 1e-12))]])

    def cvar(self, share: float) -> OffPolicyEstimate:
        r"""Return the mean return of the worst ``share`` of episodes, in (0, 1]; the mean at 1.

        .. math:: \mathrm{CVaR}_\alpha = q_\alpha - E[(q_\alpha - G)^+] / \alpha

        The interval treats :math:`q_\alpha` as known, which costs nothing to first order (it maximises the expression).

        References
        ----------
        .. [1] Rockafellar & Uryasev, "Optimization of Conditional Value-at-Risk", Journal of Risk 2000.
        """
        quantile = self.quantile(share)
        values = quantile - np.maximum(quantile - self.returns, 0.0) / share
        return self._mean(values, (float(values.min()), float(values.max())))

    def curve(self) -> tuple[FloatArray, FloatArray]:
        """Return the CDF as steps: sorted distinct returns and the probability up to each."""
        order, cumulative = self._cumulative()
        returns = self.returns[order]
        last = np.append(np.diff(returns) > 0, True)
        return returns[last], cumulative[last]

    def _cumulative(self) -> tuple[np.ndarray, FloatArray]:
        order = np.argsort(self.returns, kind="stable")
        cumulative = np.cumsum(self.weights[order])
        return order, cumulative / cumulative[-1]

    def _mean(self, values: FloatArray, value_range: tuple[float, float], on_range: bool = False) -> OffPolicyEstimate:
        tops = self.weights * values
        evidence = episode_evidence(
            self.logged,
            tops,
            self.weights,
            weights=self.weights,
            weighted_returns=tops,
            reward_range=value_range,
            on_range=on_range,
            likelihood=True,
        )
        return evidence.estimate(self.interval)


def _check_share(name: str, share: float) -> None:
    check_between(name, share, 0.0, 1.0)
    if share == 0:
        raise InvalidArgumentError(f"{name} must be above 0, got {share}; the worst 0 % of episodes are none")
