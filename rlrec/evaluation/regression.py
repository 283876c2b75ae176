"""Regressions on (context, action): one ridge regression for each action, or any scikit-learn regressor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from rlrec.core.errors import InvalidArgumentError
from rlrec.evaluation.columns import FloatArray, IntArray

_OUTER_VALUES = 1 << 21  # 16 MiB of outer products at a time

Predictor = Callable[[FloatArray], FloatArray]
"""Maps features (B, p) to values of all actions (B, I)."""


class Regressor(Protocol):
    """Anything with scikit-learn's ``fit(X, y)`` and ``predict(X)``."""

    def fit(self, X: FloatArray, y: FloatArray) -> Any:
        """Fit to features (N, p) and rewards (N,)."""
        ...

    def predict(self, X: FloatArray) -> FloatArray:
        """Return a reward for each row."""
        ...


class ActionFitter(Protocol):
    """Fits the same rows to one outcome after another."""

    def fit(self, outcome: FloatArray) -> Predictor:
        """Return the predictor fitted to an outcome (N,)."""
        ...


def action_fitter(
    features: FloatArray, action: IntArray, n_actions: int, *, model: Callable[[], Regressor] | None, ridge: float
) -> ActionFitter:
    """Return ridge regressions for each action, or ``model`` on ``[features, one-hot action]``."""
    if len(action) == 0:
        raise InvalidArgumentError("a model of rewards needs at least one row to fit, got none; use fewer folds")
    if model is None:
        return ActionRidge(features, action, n_actions, ridge)
    return _OneHotFitter(features, action, n_actions, model)


class ActionRidge:
    """One ridge regression for each action, all at once; what does not depend on the outcome is computed once.

    Parameters
    ----------
    features : array, shape (N, p)
        The first column is usually 1.
    action : integer array, shape (N,)
        Which action's regression the row belongs to.
    n_actions : int
        I; an action without rows predicts the mean outcome.
    ridge : float
        Pseudo-rows of the prior towards the mean outcome, for each coefficient.

    Examples
    --------
    >>> fitter = ActionRidge(np.ones((4, 1)), np.array([0, 0, 1, 1]), 2, ridge=1e-9)
    >>> fitter.fit(np.array([1.0, 1.0, 0.0, 0.5]))(np.ones((1, 1))).round(6).tolist()
    [[1.0, 0.25]]
    """

    def __init__(self, features: FloatArray, action: IntArray, n_actions: int, ridge: float) -> None:
        self._order = np.argsort(action, kind="stable")
        self._features = features[self._order]
        self._present, self._first = np.unique(action[self._order], return_index=True)
        self._n_actions = n_actions
        p = features.shape[1]
        gram = np.tile(ridge * np.eye(p), (n_actions, 1, 1))  # (I, p, p)
        gram[self._present] += self._grams(action[self._order])
        self._inverse = np.linalg.inv(gram)

    def _grams(self, action: IntArray) -> FloatArray:
        """Sum outer products for each action that occurs, a few MiB at a time."""
        n, p = self._features.shape
        sums = np.zeros((self._n_actions, p * p))
        size = max(1, _OUTER_VALUES // (p * p))
        for start in range(0, n, size):
            x = self._features[start : start + size]
            present, first = np.unique(action[start : start + size], return_index=True)
            outer = (x[:, :, None] * x[:, None, :]).reshape(len(x), p * p)
            sums[present] += np.add.reduceat(outer, first, axis=0)
        return sums[self._present].reshape(-1, p, p)

    def fit(self, outcome: FloatArray) -> Predictor:
        """Return the predictor fitted to an outcome (N,)."""
        base = float(outcome.mean())
        moments = np.zeros((self._n_actions, self._features.shape[1]))
        weighted = self._features * (outcome[self._order] - base)[:, None]
        moments[self._present] = np.add.reduceat(weighted, self._first, axis=0)
        coefficients = np.einsum("apq,aq->ap", self._inverse, moments)
        return lambda x: base + x @ coefficients.T


class _OneHotFitter:
    """A new scikit-learn regressor for each outcome, on features beside a one-hot action."""

    def __init__(self, features: FloatArray, action: IntArray, n_actions: int, model: Callable[[], Regressor]) -> None:
        self._inputs = np.hstack([features, np.eye(n_actions)[action]])
        self._n_actions = n_actions
        self._model = model

    def fit(self, outcome: FloatArray) -> Predictor:
        fitted = self._model()
        fitted.fit(self._inputs, outcome)
        return lambda x: self._predict(fitted, x)

    def _predict(self, fitted: Regressor, x: FloatArray) -> FloatArray:
        repeated = np.repeat(x, self._n_actions, axis=0)  # (B * I, p): row by row, action by action
        one_hot = np.tile(np.eye(self._n_actions), (len(x), 1))
        values = np.asarray(fitted.predict(np.hstack([repeated, one_hot])), dtype=np.float64)
        return values.reshape(len(x), self._n_actions)


def standardised(context: FloatArray | None, n_rows: int) -> FloatArray:
    """Return ``[1, context]`` with columns of mean 0 and spread 1, shape (N, 1 + d); only ones without a context."""
    ones = np.ones((n_rows, 1))
    if context is None:
        return ones
    spread = context.std(axis=0)
    return np.hstack([ones, (context - context.mean(axis=0)) / np.where(spread > 0, spread, 1.0)])
