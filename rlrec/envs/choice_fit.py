r"""κ by maximum likelihood, from slates that people are known to have seen.

With :math:`s = \sum_{j \in S} p_j`, a click on i has probability :math:`p_i / (s + \kappa (1 - s))` and no click
:math:`\kappa (1 - s) / (s + \kappa (1 - s))`. So the log likelihood depends on κ through

.. math:: \ell(\kappa) = n_0 \log \kappa - \sum_t \log (s_t + \kappa (1 - s_t)) + \text{const}

with :math:`n_0` the slates without a click: p need not be known item by item, only the shown mass s. It is concave in
log κ (its second derivative is minus a sum of variances), so Newton's steps from any start find the maximum.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.core.estimate import Estimate

_STEPS = 100
_TOLERANCE = 1e-10


def fit_kappa(probs: NDArray[np.floating], clicked: NDArray[np.bool_]) -> Estimate:
    """Return the κ under which the clicks are most likely, with its 95 % interval.

    Trust it where ``probs`` come from a model that was fitted on other people and is calibrated: a model that is too
    sure of itself makes people look as if they liked to be led.

    Parameters
    ----------
    probs : float array, shape (N, K)
        p(item | h) of what each of N slates showed; rows sum to at most 1.
    clicked : bool array, shape (N,)
        Whether something was clicked.

    Returns
    -------
    Estimate
        Interval by the observed information of log κ; ``n`` counts slates. A κ above 1 says that people took *less* of
        what was shown than they would have picked anyway; the simulator wants it in (0, 1].

    Raises
    ------
    InvalidArgumentError
        If shapes disagree or rows sum to more than 1.
    DataError
        If all or none of the slates were clicked: no κ is the most likely one.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> probs = rng.dirichlet(np.ones(20), 50_000)[:, :3]
    >>> shown = probs.sum(1)
    >>> clicked = rng.random(50_000) < shown / (shown + 0.3 * (1 - shown))
    >>> round(fit_kappa(probs, clicked).value, 2)
    0.3
    """
    probs, clicked = np.asarray(probs, np.float64), np.asarray(clicked)
    if probs.ndim != 2 or clicked.shape != (len(probs),) or clicked.dtype != np.bool_:
        raise InvalidArgumentError(
            f"probs must have shape (N, K) and clicked be boolean of shape (N,), "
            f"got {probs.shape} and {clicked.dtype} {clicked.shape}"
        )
    shown = probs.sum(axis=1)
    if probs.size and (probs.min() < 0 or shown.max() > 1 + 1e-6):
        raise InvalidArgumentError("rows of probs must be probabilities that sum to at most 1")
    if clicked.all() or not clicked.any():
        which = "all" if clicked.all() else "none"
        raise DataError(f"{which} of the {len(clicked)} slates were clicked, so no kappa is the most likely one")
    log_kappa, information = _newton(np.minimum(shown, 1.0), float((~clicked).sum()))
    error = 1.96 / math.sqrt(information)
    return Estimate(
        value=math.exp(log_kappa),
        low=math.exp(log_kappa - error),
        high=math.exp(log_kappa + error),
        n=len(clicked),
        effective_sample_size=float(len(clicked)),
    )


def _newton(shown: NDArray[np.float64], n_unclicked: float) -> tuple[float, float]:
    """Return log κ at the maximum and the observed information there."""
    log_kappa = 0.0
    for _ in range(_STEPS):
        outside = math.exp(log_kappa) * (1.0 - shown)
        passes = outside / np.maximum(shown + outside, np.finfo(np.float64).tiny)  # (N,) probability of no click
        slope, information = n_unclicked - float(passes.sum()), float((passes * (1.0 - passes)).sum())
        step = float(np.clip(slope / max(information, 1e-12), -2.0, 2.0))  # a far start would overshoot
        log_kappa += step
        if abs(step) < _TOLERANCE:
            break
    return log_kappa, information
