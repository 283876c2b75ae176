r"""Fitted Q evaluation: a model of the return to go, by repeated regression on the log.

.. math:: q_{k+1} = \arg\min_q \sum_i \Big(r_i + \gamma \sum_a \pi_e(a|s'_i)\, q_k(s'_i, a) - q(s_i, a_i)\Big)^2

Needs no propensities and has no weights, hence little variance on long horizons; in exchange it is as biased as the
regression, and assumes that ``context`` is a state: it says all that matters about what comes next. Checked against
the closed form of a two-state MDP.

References
----------
.. [1] Le, Voloshin & Yue, "Batch Policy Learning under Constraints", ICML 2019.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rlrec.core.checks import check_at_least, check_positive
from rlrec.core.errors import DataError
from rlrec.evaluation.columns import FloatArray
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.q_model import folds
from rlrec.evaluation.regression import Predictor, Regressor, action_fitter, standardised
from rlrec.evaluation.target import QValues, Target, gather
from rlrec.evaluation.transitions import Transitions


def fit_fqe(
    logged: LoggedBatch,
    target: Target,
    *,
    gamma: float = 1.0,
    horizon: int | None = None,
    truncated: ArrayLike | None = None,
    model: Callable[[], Regressor] | None = None,
    ridge: float = 1e-3,
    n_folds: int = 5,
    n_iterations: int = 1000,
    seed: int = 0,
) -> QValues:
    r"""Cross-fit the return to go by fitted Q evaluation and read it off at the log.

    The default model is a ridge regression for each action on ``[1, context]``: tabular where the context is one-hot.

    Parameters
    ----------
    logged : LoggedBatch
        Episodes with a ``context`` that is a state.
    target : Target
        The policy; its probabilities of all actions are needed.
    gamma : float
        Discount per step, in (0, 1].
    horizon : int, optional
        Steps of an episode, where it ends by a clock: a row at step t then gets the return of the ``horizon - t`` steps
        left. Default: the fixed point, for episodes without a clock.
    truncated : bool array, shape (E,), optional
        Episodes whose last row is not an end: what followed was not logged, so the row is left out of the regression.
        Default: none (all of them, where there is a ``horizon``).
    model : callable returning a scikit-learn regressor, optional
        Fitted on ``[context, one-hot action]``, anew in each iteration.
    ridge : float
        Pseudo-rows of the prior towards the mean, for each coefficient (chosen here: small, since what it shrinks is
        multiplied over the steps).
    n_folds : int
        Folds over units.
    n_iterations : int
        At most so many without a ``horizon``.
    seed : int
        Seed of the folds.

    Returns
    -------
    QValues

    Raises
    ------
    DataError
        If the iteration does not settle: with :math:`\gamma = 1` and no ends it cannot, and regression with few
        features off the logger's path may diverge.

    Examples
    --------
    >>> action, episode = [0, 1, 1, 0] * 10, np.repeat(np.arange(20), 2)
    >>> log = LoggedBatch(action=action, reward=np.add(action, 1), episode=episode)
    >>> target = Target.of(log, np.full((40, 2), 0.5))
    >>> q = fit_fqe(log, target, gamma=0.5, horizon=2)
    >>> q.expected[:2].round(2).tolist()  # two steps of 1.5 with a discount of one half, then one step
    [2.25, 1.5]
    """
    check_positive("ridge", ridge)
    check_at_least("n_iterations", n_iterations, 1)
    moves = Transitions.of(logged, gamma, truncated, horizon)
    features = standardised(logged.context, logged.n_rows)
    fold = folds(logged, n_folds, seed)
    readings = _Readings(logged, target, features, moves, np.empty(logged.n_rows), np.empty(logged.n_rows))
    for k in range(n_folds):
        first, later = fold != k, (fold != k) & moves.known
        fit = [
            action_fitter(features[rows], logged.action[rows], target.n_actions, model=model, ridge=ridge).fit
            for rows in (first, later)
        ]
        predict = fit[0](logged.reward[first])
        readings.read(predict, fold == k, steps_left=1)
        last = n_iterations if horizon is None else horizon
        value = readings.values(predict)
        for step in range(2, last + 1):
            predict = fit[1]((logged.reward + gamma * moves.after(value))[later])
            before, value = value, readings.values(predict)
            readings.read(predict, fold == k, steps_left=step)
            if horizon is None and _settled(before, value, step, last):
                break
        if horizon is None:
            readings.read(predict, fold == k, steps_left=None)
    return QValues(readings.taken, readings.expected)


def _settled(before: FloatArray, value: FloatArray, step: int, last: int) -> bool:
    """Tell whether the iteration has come to rest, and raise where it never will."""
    change, size = float(np.abs(value - before).max()), float(np.abs(value).max())
    if change <= 1e-6 * max(size, 1e-12):  # far below any sampling error
        return True
    if not np.isfinite(change) or step == last:
        raise DataError(
            f"fitted Q evaluation must settle, got a change of {change:.3g} in iteration {step}; use gamma below 1, "
            "a horizon, or a context that tells more about the state"
        )
    return False


@dataclass(frozen=True, eq=False)
class _Readings:
    """Values of the model at the log's rows, filled as the iterations go."""

    logged: LoggedBatch
    target: Target
    features: FloatArray
    moves: Transitions
    taken: FloatArray
    expected: FloatArray

    def values(self, predict: Predictor) -> FloatArray:
        """Mean of q under the target at each row, shape (N,)."""
        return np.concatenate(
            [np.einsum("na,na->n", probs, predict(self.features[rows])) for rows, probs in self.target.chunks()]
        )

    def read(self, predict: Predictor, mine: np.ndarray, steps_left: int | None) -> None:
        """Keep q at the held-out rows with so many steps left; all of them for ``None``."""
        mine = mine if steps_left is None else mine & (self.moves.steps_left == steps_left)
        if not mine.any():
            return
        for rows, probs in self.target.chunks():
            here = np.flatnonzero(mine[rows]) + rows.start
            if len(here) == 0:
                continue
            values = predict(self.features[here])  # (b, I)
            self.taken[here] = gather(values, self.logged.action[here])
            self.expected[here] = np.einsum("na,na->n", probs[here - rows.start], values)
