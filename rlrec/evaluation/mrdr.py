r"""More robust doubly robust: DR with the reward model that makes its variance smallest, not its residuals.

A model fitted by least squares cares most about what the logger shows; what DR needs is a good model where the target
goes and the weights are large. With :math:`u_a = \pi_e(a|x)\, q(x, a)` and :math:`\Omega = \mathrm{diag}(1/\pi_b) - 1
1^\top`, the model minimises an unbiased estimate of DR's variance,

.. math:: \sum_{i,t} \gamma^{2t}\, w_{i,t-1}^2\, \rho_{it}\;
          (u - 1_{a_{it}} R_{it})^\top\, \Omega\, (u - 1_{a_{it}} R_{it})

where R is the importance-weighted return to go.

References
----------
.. [1] Farajtabar, Chow & Ghavamzadeh, "More Robust Doubly Robust Off-policy Evaluation", ICML 2018.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import linalg

from rlrec.core.checks import check_positive
from rlrec.core.errors import MissingPropensityError
from rlrec.evaluation.action_blocks import action_rows, check_coefficients, spread
from rlrec.evaluation.columns import FloatArray
from rlrec.evaluation.episode_problem import EpisodeProblem
from rlrec.evaluation.estimation import OffPolicyEstimate
from rlrec.evaluation.intervals import IntervalConfig
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.q_model import folds
from rlrec.evaluation.regression import standardised
from rlrec.evaluation.sequential_ope import sequential_dr
from rlrec.evaluation.target import QValues, Target, TargetLike, gather


def mrdr(
    logged: LoggedBatch, target: TargetLike, *, gamma: float = 1.0, interval: IntervalConfig | None = None
) -> OffPolicyEstimate:
    r"""More robust doubly robust, for episodes; single recommendations are episodes of one step.

    .. math:: \hat V = \frac1n \sum_i \sum_t \gamma^t \big(w_{it} (r_{it} - q_{it}) + w_{i,t-1} v_{it}\big)

    Unbiased with exact propensities, whatever the model, which is cross-fitted. Of smaller variance than
    `sequential_dr` where no model fits well; the fit itself is weighted, so with very heavy weights it is noisy too.

    Parameters
    ----------
    logged : LoggedBatch
        Episodes with ``behavior_probs``, the logger's probability of every action, and usually a ``context``.
    target : array (N, I), StochasticPolicy, callable or Target
        Must give the probability of every action.
    gamma : float
        Discount per step, in (0, 1].
    interval : IntervalConfig, optional
        ``reward_range`` is that of the discounted return.

    Returns
    -------
    OffPolicyEstimate, discounted return

    Raises
    ------
    MissingPropensityError
        If the log has no ``behavior_probs``.
    InvalidArgumentError
        If actions times features exceed `action_blocks.MAX_COEFFICIENTS`.

    Examples
    --------
    >>> log = LoggedBatch(
    ...     action=[0, 1] * 50, reward=[1.0, 0.0] * 50, behavior_prob=[0.5] * 100, behavior_probs=np.full((100, 2), 0.5)
    ... )
    >>> round(mrdr(log, np.tile([0.9, 0.1], (100, 1))).value, 2)
    0.9
    """
    read = Target.of(logged, target)
    return sequential_dr(logged, read, q=fit_mrdr(logged, read, gamma=gamma), gamma=gamma, interval=interval)


def fit_mrdr(
    logged: LoggedBatch, target: Target, *, gamma: float = 1.0, ridge: float = 1.0, n_folds: int = 5, seed: int = 0
) -> QValues:
    """Cross-fit the linear model of the return to go, ``[1, context]`` for each action, that DR wants.

    Parameters
    ----------
    logged, target, gamma
        As in `mrdr`.
    ridge : float
        Weight of the prior towards the mean return to go, in units of the mean loss of a coefficient (chosen here).
    n_folds, seed
        Folds over units.

    Returns
    -------
    QValues
        For `mrdr`, or for `dr` where every episode has one step.
    """
    check_positive("ridge", ridge)
    if logged.behavior_probs is None:
        raise MissingPropensityError(
            "behavior_probs must hold the logger's probability of every action for MRDR, got None; log them, or use dr"
        )
    features = standardised(logged.context, logged.n_rows)
    check_coefficients(target.n_actions, features.shape[1])
    losses, returns = _losses(EpisodeProblem(logged, target, gamma))
    fold = folds(logged, n_folds, seed)
    parts = [_normal_equations(logged, target, features, losses * (fold == k), returns) for k in range(n_folds)]
    taken, expected = np.empty(logged.n_rows), np.empty(logged.n_rows)
    for k in range(n_folds):
        coefficients, base = _solve(
            [part for fold_of, part in enumerate(parts) if fold_of != k], ridge, target.n_actions
        )
        for rows, probs in target.chunks():
            here = np.flatnonzero(fold[rows] == k)
            values = base + features[rows][here] @ coefficients.T  # (b, I)
            taken[rows.start + here] = gather(values, logged.action[rows][here])
            expected[rows.start + here] = np.einsum("na,na->n", probs[here], values)
    return QValues(taken, expected)


def _losses(p: EpisodeProblem) -> tuple[FloatArray, FloatArray]:
    """Return each row's weight in the loss, and the weighted return to go that it regresses on, shape (N,) each."""
    ratios = p.logged.to_steps(p.target.taken / p.logged.require_behavior_prob(), fill=1.0)  # (E, T)
    rewards = p.logged.to_steps(p.logged.reward)
    returns = np.zeros_like(rewards)
    later = np.zeros(len(rewards))
    for step in range(rewards.shape[1] - 1, -1, -1):  # backwards through time, all episodes at once
        returns[:, step] = rewards[:, step] + p.gamma * later
        later = ratios[:, step] * returns[:, step]
    losses = p.discounts**2 * p.weights_before**2 * ratios
    inside = np.arange(rewards.shape[1]) < p.logged.lengths[:, None]
    return losses[inside], returns[inside]


class _Equations(NamedTuple):
    """The loss of some rows as a quadratic form of the coefficients."""

    system: FloatArray
    """(I * p, I * p)"""
    moments: FloatArray
    """(I * p, 2): of the returns, and of ones, which is what a base that is taken off the returns takes off."""
    losses: FloatArray
    """(2,): weighted returns, and weights."""


def _normal_equations(
    logged: LoggedBatch, target: Target, features: FloatArray, losses: FloatArray, returns: FloatArray
) -> _Equations:
    """Sum up the rows whose ``losses`` are above 0."""
    assert logged.behavior_probs is not None
    width, p = target.n_actions, features.shape[1]
    size = width * p
    blocks, outer, moment = np.zeros((width, p, p)), np.zeros((size, size)), np.zeros((size, 2))
    ratio = target.taken / logged.require_behavior_prob()
    for rows, every in target.chunks(size):
        used = np.flatnonzero(losses[rows] > 0)
        at = rows.start + used
        x, loss, probs, behavior = features[at], losses[at], every[used], logged.behavior_probs[at]
        spreads = np.divide(probs**2, behavior, out=np.zeros_like(probs), where=behavior > 0) * loss[:, None]  # (b, I)
        blocks += np.einsum("na,np,nq->apq", spreads, x, x, optimize=True)
        mean = spread(probs, x)  # (b, I * p)
        outer += mean.T @ (mean * loss[:, None])
        pull = loss[:, None] * np.column_stack([returns[at], np.ones(len(at))])  # (b, 2)
        moment += action_rows(logged.action[at], x * ratio[at][:, None], width).T @ pull - mean.T @ pull
    totals = losses @ np.column_stack([returns, np.ones(len(returns))])
    return _Equations(linalg.block_diag(*blocks) - outer, moment, totals)


def _solve(parts: list[_Equations], ridge: float, n_actions: int) -> tuple[FloatArray, float]:
    """Solve the sum of the parts: coefficients (I, p) around the weighted mean return."""
    system, moments, (pulled, loss) = (np.sum(column, axis=0) for column in zip(*parts, strict=True))
    base = float(pulled / loss) if loss > 0 else 0.0
    n = len(moments)
    scale = ridge * float(loss) / n or 1.0
    coefficients = np.linalg.solve(system + scale * np.eye(n), moments @ [1.0, -base])
    return coefficients.reshape(n_actions, -1), base
