"""Fitted Q evaluation as an estimator: the mean value of first states under a fitted model."""

from __future__ import annotations

from numpy.typing import ArrayLike

from rlrec.evaluation.estimation import OffPolicyEstimate
from rlrec.evaluation.fitted_q import fit_fqe
from rlrec.evaluation.intervals import IntervalConfig
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.sequential_ope import sequential_dm
from rlrec.evaluation.target import Target, TargetLike


def fqe(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    gamma: float = 1.0,
    horizon: int | None = None,
    truncated: ArrayLike | None = None,
    interval: IntervalConfig | None = None,
) -> OffPolicyEstimate:
    r"""Fitted Q evaluation: `sequential_dm` with the cross-fitted model of `fitted_q.fit_fqe`.

    .. math:: \hat V = \frac1n \sum_i \sum_a \pi_e(a|s_{i0})\, \hat q(s_{i0}, a)

    Needs no propensities, and its variance does not explode with the horizon. As biased as the regression is, and
    wrong where ``context`` is not a state. Its interval tells only about the sampling of first states, and a note says
    so; for another model call `fit_fqe` and hand its result to `sequential_dm` or `sequential_dr`.

    Parameters
    ----------
    logged : LoggedBatch
        Episodes with ``context``, the state.
    target : array (N, I), StochasticPolicy, callable or Target
        Must give the probability of every action.
    gamma, horizon, truncated
        As in `fitted_q.fit_fqe`.
    interval : IntervalConfig, optional
        ``reward_range`` is that of the discounted return.

    Returns
    -------
    OffPolicyEstimate, discounted return

    Raises
    ------
    DataError
        If the target is known at the taken actions only, or the iteration does not settle.

    References
    ----------
    .. [1] Le, Voloshin & Yue, "Batch Policy Learning under Constraints", ICML 2019.

    Examples
    --------
    >>> import numpy as np
    >>> log = LoggedBatch(action=[0, 1, 1, 0] * 10, reward=[1.0] * 40, episode=np.repeat(np.arange(20), 2))
    >>> round(fqe(log, np.full((40, 2), 0.5), gamma=0.5, horizon=2).value, 6)
    1.5
    """
    read = Target.of(logged, target)
    q = fit_fqe(logged, read, gamma=gamma, horizon=horizon, truncated=truncated)
    return sequential_dm(logged, read, q=q, gamma=gamma, interval=interval)
