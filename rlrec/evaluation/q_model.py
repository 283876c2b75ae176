r"""Cross-fitted reward models: each row is predicted by a model that never saw its unit.

Without cross-fitting a flexible q-model memorises its own rewards, and DR's correction term vanishes exactly where
it is needed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlrec.core.checks import check_at_least, check_positive
from rlrec.core.errors import InvalidArgumentError
from rlrec.evaluation.columns import IntArray
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.regression import Regressor, action_fitter, standardised
from rlrec.evaluation.target import QValues, Target, gather


def folds(logged: LoggedBatch, n_folds: int, seed: int) -> IntArray:
    """Return a fold in 0..n_folds-1 for each row, shape (N,): rows of a unit stay together.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 0, 0, 0], reward=[0, 0, 0, 0], cluster=["a", "b", "a", "b"])
    >>> fold = folds(log, 2, seed=0)
    >>> bool(fold[0] == fold[2] != fold[1])
    True
    """
    check_at_least("n_folds", n_folds, 2)
    if logged.n_units < n_folds:
        raise InvalidArgumentError(
            f"n_folds must not exceed the number of units, got {n_folds} folds for {logged.n_units} "
            "units; use fewer folds"
        )
    of_unit = np.arange(logged.n_units) % n_folds
    np.random.default_rng(seed).shuffle(of_unit)
    if logged.cluster is not None:
        return of_unit[logged.cluster]
    return np.repeat(of_unit, logged.lengths)


def fit_q(
    logged: LoggedBatch,
    target: Target,
    *,
    model: Callable[[], Regressor] | None = None,
    n_actions: int | None = None,
    n_folds: int = 5,
    ridge: float = 1.0,
    seed: int = 0,
) -> QValues:
    r"""Cross-fit a reward model and read it off at the log.

    The default is a ridge regression for each action on ``logged.context`` with an intercept (a shrunken mean for each
    action where the log has no context). Only the target's policy at all actions is needed besides the log; the (N, I)
    predictions are made in chunks.

    Parameters
    ----------
    logged : LoggedBatch
        The log.
    target : Target
        The policy under which q is averaged.
    model : callable returning a scikit-learn regressor, optional
        Fitted on ``[context, one-hot action]``; a new one for each fold.
    n_actions : int, optional
        Number of actions, I; read off the target where it is left out.
    n_folds : int
        Folds (over units).
    ridge : float
        Pseudo-rows of the prior towards the mean reward, for each coefficient.
    seed : int
        Seed of the folds.

    Returns
    -------
    QValues

    Raises
    ------
    DataError
        If the target is known at the taken actions only.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1] * 50, reward=[1.0, 0.0] * 50, behavior_prob=[0.5] * 100)
    >>> target = Target.of(log, np.tile([0.9, 0.1], (100, 1)))
    >>> q = fit_q(log, target)
    >>> bool(abs(q.expected.mean() - 0.9) < 0.02)
    True
    """
    check_positive("ridge", ridge)
    fold = folds(logged, n_folds, seed)
    width = n_actions or target.n_actions
    features = standardised(logged.context, logged.n_rows)
    predictors = []
    for k in range(n_folds):
        rows = fold != k
        fitter = action_fitter(features[rows], logged.action[rows], width, model=model, ridge=ridge)
        predictors.append(fitter.fit(logged.reward[rows]))
    taken, expected = np.empty(logged.n_rows), np.empty(logged.n_rows)
    for rows, probs in target.chunks():
        values = np.empty(probs.shape)  # (B, I)
        for k, predict in enumerate(predictors):
            mine = fold[rows] == k
            values[mine] = predict(features[rows][mine])
        taken[rows] = gather(values, logged.action[rows])
        expected[rows] = np.einsum("na,na->n", probs, values)
    return QValues(taken, expected)
