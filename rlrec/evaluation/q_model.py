r"""Cross-fitted reward models: each row is predicted by a model that never saw its unit.

Without cross-fitting a flexible q-model memorises its own rewards, and DR's correction term vanishes exactly where
it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from rlrec.core.checks import check_at_least, check_positive
from rlrec.core.errors import InvalidArgumentError
from rlrec.evaluation.logged import FloatArray, IntArray, LoggedBatch
from rlrec.evaluation.target import QValues, Target, gather

_OUTER_VALUES = 1 << 21  # 16 MiB of outer products at a time


class Regressor(Protocol):
    """Anything with scikit-learn's ``fit(X, y)`` and ``predict(X)``."""

    def fit(self, X: FloatArray, y: FloatArray) -> Any:
        """Fit to features (N, p) and rewards (N,)."""
        ...

    def predict(self, X: FloatArray) -> FloatArray:
        """Return a reward for each row."""
        ...


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
    width = n_actions or next(iter(target.chunks()))[1].shape[1]
    features = _features(logged)
    predictors = [_fit(logged, features, fold != k, width, model, ridge) for k in range(n_folds)]
    taken, expected = np.empty(logged.n_rows), np.empty(logged.n_rows)
    for rows, probs in target.chunks():
        values = np.empty(probs.shape)  # (B, I)
        for k, predict in enumerate(predictors):
            mine = fold[rows] == k
            values[mine] = predict(features[rows][mine])
        taken[rows] = gather(values, logged.action[rows])
        expected[rows] = np.einsum("na,na->n", probs, values)
    return QValues(taken, expected)


def _features(logged: LoggedBatch) -> FloatArray:
    ones = np.ones((logged.n_rows, 1))
    if logged.context is None:
        return ones
    spread = logged.context.std(axis=0)
    scaled = (logged.context - logged.context.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.hstack([ones, scaled])  # (N, 1 + d)


def _fit(
    logged: LoggedBatch,
    features: FloatArray,
    rows: np.ndarray,
    n_actions: int,
    model: Callable[[], Regressor] | None,
    ridge: float,
) -> Callable[[FloatArray], FloatArray]:
    action, reward, inputs = logged.action[rows], logged.reward[rows], features[rows]
    if model is None:
        coefficients, base = fit_ridge(inputs, action, reward, n_actions, ridge)
        return lambda x: base + x @ coefficients.T
    fitted = model()
    fitted.fit(np.hstack([inputs, np.eye(n_actions)[action]]), reward)
    return lambda x: _predict_all(fitted, x, n_actions)


def _predict_all(model: Regressor, inputs: FloatArray, n_actions: int) -> FloatArray:
    repeated = np.repeat(inputs, n_actions, axis=0)  # (B * I, 1 + d): row by row, action by action
    one_hot = np.tile(np.eye(n_actions), (len(inputs), 1))
    return np.asarray(model.predict(np.hstack([repeated, one_hot])), dtype=np.float64).reshape(len(inputs), n_actions)


def fit_ridge(
    inputs: FloatArray, action: IntArray, reward: FloatArray, n_actions: int, ridge: float
) -> tuple[FloatArray, float]:
    """Fit one ridge regression for each action at once; returns coefficients (I, p) around the mean reward.

    Examples
    --------
    >>> coefficients, base = fit_ridge(np.ones((4, 1)), np.array([0, 0, 1, 1]), np.array([1.0, 1, 0, 0]), 2, 1e-9)
    >>> (base + coefficients[:, 0]).round(6).tolist()
    [1.0, 0.0]
    """
    base, p = float(reward.mean()), inputs.shape[1]
    order = np.argsort(action, kind="stable")
    inputs, reward, action = inputs[order], reward[order] - base, action[order]
    gram, moment = np.zeros((n_actions, p * p)), np.zeros((n_actions, p))
    size = max(1, _OUTER_VALUES // (p * p))
    for start in range(0, len(action), size):
        x, y = inputs[start : start + size], reward[start : start + size]
        present, first = np.unique(action[start : start + size], return_index=True)
        outer = (x[:, :, None] * x[:, None, :]).reshape(len(x), p * p)
        gram[present] += np.add.reduceat(outer, first, axis=0)
        moment[present] += np.add.reduceat(x * y[:, None], first, axis=0)
    system = gram.reshape(n_actions, p, p) + ridge * np.eye(p)
    coefficients = np.asarray(np.linalg.solve(system, moment[:, :, None])[:, :, 0], dtype=np.float64)
    return coefficients, base
