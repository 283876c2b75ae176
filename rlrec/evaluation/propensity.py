r"""Propensities for a log whose logger wrote none down: estimated from what it did, each row by a model that never saw
it.

Every estimate on such a log carries the model's error too, and says so. It is right only where ``context`` holds all
that the logger's choice depended on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from sklearn.linear_model import LogisticRegression

from rlrec.core.checks import check_at_least, check_positive
from rlrec.evaluation.columns import FloatArray
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.q_model import folds
from rlrec.evaluation.regression import standardised
from rlrec.evaluation.target import gather


class Classifier(Protocol):
    """Anything with scikit-learn's ``fit``, ``predict_proba`` and ``classes_``."""

    classes_: Any

    def fit(self, X: FloatArray, y: Any) -> Any:
        """Fit to features (N, p) and actions (N,)."""
        ...

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """Return the probability of each of ``classes_``."""
        ...


def fit_propensities(
    logged: LoggedBatch,
    n_actions: int | None = None,
    *,
    model: Callable[[], Classifier] | None = None,
    smoothing: float = 1.0,
    n_folds: int = 5,
    all_actions: bool = False,
    seed: int = 0,
) -> LoggedBatch:
    r"""Return the log with cross-fitted propensities.

    .. math:: \hat\pi_b(a|x) = (1 - \epsilon)\, f_{-k}(a|x) + \epsilon / I, \qquad \epsilon = s / (n_{-k} + s)

    with :math:`f_{-k}` a classifier fitted without the row's fold. The mixture keeps actions that other folds never
    show above 0.

    Parameters
    ----------
    logged : LoggedBatch
        The log; what it has for propensities is not looked at.
    n_actions : int, optional
        Number of actions, I. Default: those that occur.
    model : callable returning a scikit-learn classifier, optional
        Default: multinomial logistic regression on ``context``; frequencies where there is no context.
    smoothing : float
        Pseudo-rows s that are spread over all actions.
    n_folds : int
        Folds over units.
    all_actions : bool
        Keep the probability of every action too, (N, I), as MIPS and MRDR need.
    seed : int
        Seed of the folds.

    Returns
    -------
    LoggedBatch
        Marked ``estimated``.

    Raises
    ------
    InvalidArgumentError
        If there are fewer units than folds, or ``n_actions`` is too small.

    References
    ----------
    .. [1] Hirano, Imbens & Ridder, "Efficient Estimation of Average Treatment Effects Using the Estimated Propensity
       Score", Econometrica 2003.

    Examples
    --------
    >>> log = fit_propensities(LoggedBatch(action=[0, 1, 1, 1, 1] * 40, reward=[1.0] * 200))
    >>> log.behavior_prob[:2].round(1).tolist(), log.caveats
    ([0.2, 0.8], ('the propensities were estimated: their error is not in the interval',))
    """
    occurring = int(logged.action.max()) + 1
    width = occurring if n_actions is None else n_actions
    check_at_least("n_actions", width, occurring)
    check_positive("smoothing", smoothing)
    features = standardised(logged.context, logged.n_rows)
    fold = folds(logged, n_folds, seed)
    taken = np.empty(logged.n_rows)
    every = np.empty((logged.n_rows, width)) if all_actions else None
    for k in range(n_folds):
        train, held = fold != k, fold == k
        predict = _fit(features[train], logged.action[train], width, model, logged.context is None)
        share = smoothing / (int(train.sum()) + smoothing)
        probs = (1 - share) * predict(features[held]) + share / width  # (n_k, I)
        taken[held] = gather(probs, logged.action[held])
        if every is not None:
            every[held] = probs / probs.sum(axis=1, keepdims=True)
    return logged.with_behavior(np.minimum(taken, 1.0), every, estimated=True)


def _fit(
    features: FloatArray,
    action: np.ndarray,
    n_actions: int,
    model: Callable[[], Classifier] | None,
    only_counts: bool,
) -> Callable[[FloatArray], FloatArray]:
    present = np.unique(action)
    if model is None and (only_counts or len(present) == 1):
        shares = np.bincount(action, minlength=n_actions) / len(action)
        return lambda x: np.tile(shares, (len(x), 1))
    fitted: Classifier = LogisticRegression(max_iter=1000) if model is None else model()
    fitted.fit(features, action)

    def predict(x: FloatArray) -> FloatArray:
        probs = np.zeros((len(x), n_actions))
        probs[:, fitted.classes_] = fitted.predict_proba(x)
        return probs

    return predict
