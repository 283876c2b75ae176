r"""Marginal importance sampling: one weight for being in a state and taking an action, not one for the whole past.

With features :math:`\phi(s, a)` (one-hot: tabular) and :math:`\bar\phi(s) = \sum_a \pi_e(a|s)\,\phi(s, a)`, the weights
:math:`\zeta = \phi^\top \alpha` make the log satisfy the target's flow through every feature,

.. math:: \sum_i \zeta_i\, (\phi_i - \gamma \bar\phi'_i) = \frac1E \sum_e \bar\phi(s_{e0})

Their horizon-free variance is bought with the assumption that ``context`` is a state. For linear features, the
weighted rewards equal the value of the linear fixed point of fitted Q evaluation: each is the other's dual.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from rlrec.core.checks import check_at_least
from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.evaluation.action_blocks import action_rows, check_coefficients, spread
from rlrec.evaluation.columns import FloatArray
from rlrec.evaluation.episode_terms import episode_evidence
from rlrec.evaluation.estimation import OffPolicyEstimate
from rlrec.evaluation.intervals import IntervalConfig
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.target import Target, TargetLike
from rlrec.evaluation.transitions import Transitions

_MIN_RECIPROCAL_CONDITION = 1e-12


def marginal_is(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    gamma: float = 1.0,
    state: ArrayLike | None = None,
    truncated: ArrayLike | None = None,
    ridge: float = 0.0,
    interval: IntervalConfig | None = None,
) -> OffPolicyEstimate:
    r"""Marginal importance sampling, tabular or linear.

    .. math:: \hat V = \sum_i \zeta_i\, r_i

    Needs no propensities, and its variance grows with the horizon like that of the return, not exponentially. Biased
    where the weights are not linear in the features and the value is not either (one of the two suffices). The interval
    is that of the efficient influence function :math:`v(s_0) + E \sum_t \zeta_t (r_t + \gamma v'_t - q_t)`, whose mean
    is the estimate.

    Parameters
    ----------
    logged : LoggedBatch
        Episodes; the reward must not depend on more than the state and the action.
    target : array (N, I), StochasticPolicy, callable or Target
        Must give the probability of every action.
    gamma : float
        Discount per step, in (0, 1]; 1 needs episodes that end.
    state : integer array, shape (N,), optional
        Tabular states. Default: ``logged.context`` as linear features, one block for each action.
    truncated : bool array, shape (E,), optional
        Episodes that were cut off, not ended; their last row is left out.
    ridge : float
        Added to the system's diagonal, in rows; helps where features are nearly dependent.
    interval : IntervalConfig, optional
        ``reward_range`` is that of one reward.

    Returns
    -------
    OffPolicyEstimate, discounted return

    Raises
    ------
    DataError
        If the log does not determine the weights: the target goes where the logger never was.
    InvalidArgumentError
        If actions times features exceed `action_blocks.MAX_COEFFICIENTS`.

    References
    ----------
    .. [1] Liu, Li, Tang & Zhou, "Breaking the Curse of Horizon: Infinite-Horizon Off-Policy Estimation", NeurIPS 2018.
    .. [2] Uehara, Huang & Jiang, "Minimax Weight and Q-Function Learning for Off-Policy Evaluation", ICML 2020.
    .. [3] Kallus & Uehara, "Efficiently Breaking the Curse of Horizon in Off-Policy Evaluation with Double
       Reinforcement Learning", Operations Research 2022.

    Examples
    --------
    A single state, two steps: each is worth the target's mean reward, 0.75.

    >>> action, episode = [0, 1, 1, 0] * 25, np.repeat(np.arange(50), 2)
    >>> log = LoggedBatch(action=action, reward=action, episode=episode)
    >>> round(marginal_is(log, np.tile([0.25, 0.75], (100, 1)), state=[0, 1] * 50).value, 9)
    1.5
    """
    check_at_least("ridge", ridge, 0.0)
    read = Target.of(logged, target)
    flow = _solve(logged, read, gamma, _states(logged, state), Transitions.of(logged, gamma, truncated), ridge)
    starts, n = logged.offsets[:-1], logged.n_episodes
    corrections = flow.weights * (logged.reward + flow.ahead - flow.taken)
    mass = float(flow.weights.sum())  # discounted steps of an episode under the target
    shares = n * np.add.reduceat(flow.weights, starts) / mass
    declared = None if interval is None else interval.reward_range
    ends = sorted(mass * bound for bound in declared or logged.observed_range)
    return episode_evidence(
        logged,
        flow.value[starts] + n * np.add.reduceat(corrections, starts),
        weights=shares,
        weighted_returns=n * np.add.reduceat(flow.weights * logged.reward, starts),
        reward_range=(ends[0], ends[1]),
        min_weight=min(0.0, float(shares.min())),
    ).estimate(interval)


@dataclass(frozen=True, eq=False)
class _Flow:
    """The two solutions of a linear system, read off at the log; shape (N,) each."""

    weights: FloatArray
    """Occupancy of the target over that of the log, per row; 0 where what follows is unknown."""
    taken: FloatArray
    """The dual solution, q(s, a) at the logged action."""
    value: FloatArray
    """Its mean under the target."""
    ahead: FloatArray
    """The discounted value of the next row; 0 after an end."""


def _solve(
    logged: LoggedBatch, target: Target, gamma: float, features: FloatArray, moves: Transitions, ridge: float
) -> _Flow:
    p = features.shape[1]
    width = target.n_actions
    size = check_coefficients(width, p)
    phi = action_rows(logged.action, features, width)  # (N, I * p), sparse
    known = phi[np.flatnonzero(moves.known)]
    system = (known.T @ known).toarray() + ridge * np.eye(size)
    start = np.zeros(size)
    for rows, probs in target.chunks(size):
        mean = spread(probs, features[rows])  # (B, I * p)
        later = np.flatnonzero(logged.step[rows] > 0)
        system -= gamma * (phi[rows.start + later - 1].T @ mean[later])
        start += mean[logged.step[rows] == 0].sum(axis=0) / logged.n_episodes
    alpha, theta = _both(system, start, known.T @ logged.reward[moves.known])
    coefficients = theta.reshape(width, p)
    value = np.concatenate([((features[rows] @ coefficients.T) * probs).sum(axis=1) for rows, probs in target.chunks()])
    return _Flow((phi @ alpha) * moves.known, phi @ theta, value, gamma * moves.after(value))


def _both(system: FloatArray, start: FloatArray, moment: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Solve for the weights and for their dual; features that never occur get 0."""
    used = np.abs(system).sum(axis=1) > 0
    if np.abs(start[~used]).sum() > 1e-9:
        raise DataError(
            f"the log must show every state and action that the target starts with, got {int((~used).sum())} that it "
            "never shows; use a target closer to the logger, or context features instead of states"
        )
    part = system[np.ix_(used, used)]
    off = np.abs(system[np.ix_(used, ~used)]).sum()
    factors, row_order = linalg.lu_factor(part, check_finite=False)
    if off > 1e-9 or _reciprocal_condition(part, factors) < _MIN_RECIPROCAL_CONDITION:
        raise DataError(
            "the log must determine the weights, got a system without a unique solution; give a ridge above 0, a "
            "target closer to the logger, gamma below 1, or fewer features"
        )
    alpha, theta = np.zeros(len(start)), np.zeros(len(start))
    alpha[used] = linalg.lu_solve((factors, row_order), start[used], trans=1)
    theta[used] = linalg.lu_solve((factors, row_order), moment[used])
    return alpha, theta


def _reciprocal_condition(matrix: FloatArray, factors: FloatArray) -> float:
    """Estimate 1 / cond from LU factors, at a small share of the cost of singular values."""
    found, _ = linalg.lapack.dgecon(factors, float(np.abs(matrix).sum(axis=0).max()))
    return float(found)


def _states(logged: LoggedBatch, state: ArrayLike | None) -> FloatArray:
    if state is None:
        return np.hstack([np.ones((logged.n_rows, 1)), logged.require_context("marginal weights without a state")])
    codes = np.asarray(state)
    if codes.shape != (logged.n_rows,) or codes.dtype.kind not in "iu" or codes.min() < 0:
        raise InvalidArgumentError(
            f"state must be a non-negative integer array of shape (N={logged.n_rows},), got {codes.dtype} "
            f"{codes.shape}; number the states from 0"
        )
    one_hot: FloatArray = np.eye(int(codes.max()) + 1)[codes]
    return one_hot
