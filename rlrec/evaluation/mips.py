"""Marginalised IPS: weights on what an item is like, where there are too many items to weight each."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rlrec.core.checks import check_positive
from rlrec.core.errors import InvalidArgumentError, MissingPropensityError
from rlrec.evaluation.columns import FloatArray, IntArray
from rlrec.evaluation.estimation import OffPolicyEstimate
from rlrec.evaluation.intervals import IntervalConfig
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.problem import Problem
from rlrec.evaluation.target import Target, TargetLike

_ESTIMATED_NOTE = "p(embedding | action) was estimated from the log"


def mips(
    logged: LoggedBatch,
    target: TargetLike,
    embedding: ArrayLike,
    *,
    p_embedding: ArrayLike | None = None,
    self_normalised: bool = False,
    interval: IntervalConfig | None = None,
) -> OffPolicyEstimate:
    r"""Marginalised inverse propensity score.

    .. math:: \hat V = \frac1N \sum_i w(x_i, e_i)\, r_i, \qquad
              w(x, e) = \frac{\sum_a \pi_e(a|x)\, p(e|a)}{\sum_a \pi_b(a|x)\, p(e|a)}

    Unbiased if the embedding carries all of the action's effect on the reward and the logger shows each embedding that
    the target does; far less variable than `ips` with many actions. Biased by what an action does beside its embedding.

    Parameters
    ----------
    logged : LoggedBatch
        N decisions with ``behavior_probs`` (N, I).
    target : array (N, I), StochasticPolicy, callable or Target
        Must give the probability of every action.
    embedding : integer array, shape (N,) or (N, D)
        Category of the shown action in each of D dimensions (such as genre and price band), from 0.
    p_embedding : array, shape (I, C) or (I, C, D), optional
        Probability of each category given the action, dimensions independent given the action; a fixed category of an
        item is a row of one 1. Default: counted in the log, with one pseudo-row spread over the categories.
    self_normalised : bool
        Divide by the mean weight.
    interval : IntervalConfig, optional
        Default: the delta method on the units.

    Returns
    -------
    OffPolicyEstimate, reward units

    Raises
    ------
    MissingPropensityError
        If the log has no ``behavior_probs``.
    InvalidArgumentError
        For a wrong shape, a probability that is none, or a logged embedding of probability 0.

    References
    ----------
    .. [1] Saito & Joachims, "Off-Policy Evaluation for Large Action Spaces via Embeddings", ICML 2022.

    Examples
    --------
    Four items of two genres: what counts is how often the target shows each genre.

    >>> log = LoggedBatch(
    ...     action=[0, 1, 2, 3], reward=[1, 1, 0, 0], behavior_prob=[0.25] * 4, behavior_probs=np.full((4, 4), 0.25)
    ... )
    >>> genre = np.array([0, 0, 1, 1])
    >>> target = np.tile([0.625, 0.125, 0.125, 0.125], (4, 1))
    >>> mips(log, target, genre[log.action], p_embedding=np.eye(2)[genre]).value
    0.75
    """
    if logged.behavior_probs is None:
        raise MissingPropensityError(
            "behavior_probs must hold the logger's probability of every action for MIPS, got None; log them, or "
            "estimate them with fit_propensities(..., all_actions=True)"
        )
    read = Target.of(logged, target)
    codes = _categories(embedding, logged.n_rows)  # (N, D)
    caveats: tuple[str, ...] = ()
    if p_embedding is None:
        table, caveats = _counted(logged, codes, read.n_actions), (_ESTIMATED_NOTE,)
    else:
        table = _table(p_embedding, codes, read.n_actions)
    shown, wanted = _marginals(logged, read, codes, table)
    marginal = logged.with_behavior(shown, estimated=logged.estimated)
    p = Problem(marginal, Target(marginal, wanted), interval=interval or IntervalConfig())
    terms = p.rows(p.weights * logged.reward, p.weights if self_normalised else None)
    return p.estimate(terms, on_range=self_normalised, likelihood=True, caveats=caveats)


def _marginals(
    logged: LoggedBatch, target: Target, codes: IntArray, table: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Probability of each logged embedding under the logger and under the target, shape (N,) each."""
    assert logged.behavior_probs is not None
    shown, wanted = np.empty(logged.n_rows), np.empty(logged.n_rows)
    by_category = np.ascontiguousarray(table.transpose(2, 1, 0))  # (D, C, I)
    for rows, probs in target.chunks():
        likelihood = np.ones_like(probs)  # (B, I)
        for dimension, rows_of in enumerate(by_category):
            likelihood *= rows_of[codes[rows, dimension]]
        shown[rows] = np.einsum("na,na->n", logged.behavior_probs[rows], likelihood)
        wanted[rows] = np.einsum("na,na->n", probs, likelihood)
    if not shown.min() > 0:
        row = int(np.argmin(shown))
        raise InvalidArgumentError(
            f"p_embedding must give every logged embedding a chance, got probability 0 at row {row} (embedding "
            f"{codes[row].tolist()}, action {logged.action[row]}); check that both number the categories alike"
        )
    return np.minimum(shown, 1.0), np.minimum(wanted, 1.0)  # sums of probabilities may end at 1 + 1e-16


def _categories(embedding: ArrayLike, n_rows: int) -> IntArray:
    codes = np.asarray(embedding)
    codes = codes[:, None] if codes.ndim == 1 else codes
    if codes.ndim != 2 or len(codes) != n_rows or codes.dtype.kind not in "iu" or codes.min() < 0:
        raise InvalidArgumentError(
            f"embedding must be a non-negative integer array of shape (N={n_rows},) or (N, D), got {codes.dtype} "
            f"{codes.shape}; number the categories from 0"
        )
    return codes.astype(np.int64, copy=False)


def _table(p_embedding: ArrayLike, codes: IntArray, n_actions: int) -> FloatArray:
    table = np.asarray(p_embedding, dtype=np.float64)
    table = table[:, :, None] if table.ndim == 2 else table
    wanted = (n_actions, int(codes.max()) + 1, codes.shape[1])
    if table.ndim != 3 or table.shape[0] != wanted[0] or table.shape[1] < wanted[1] or table.shape[2] != wanted[2]:
        raise InvalidArgumentError(
            f"p_embedding must have shape (I={wanted[0]}, C>={wanted[1]}, D={wanted[2]}), got {np.shape(p_embedding)}; "
            "give a distribution over the categories for each action and dimension"
        )
    if not (table.min() >= 0 and np.abs(table.sum(axis=1) - 1).max() <= 1e-6):
        raise InvalidArgumentError(
            "p_embedding must hold distributions over the categories (axis 1), got one that does not sum to 1; divide "
            "by the sums"
        )
    return table


def _counted(logged: LoggedBatch, codes: IntArray, n_actions: int, pseudo_rows: float = 1.0) -> FloatArray:
    check_positive("pseudo_rows", pseudo_rows)
    n_categories = int(codes.max()) + 1
    cells = logged.action[:, None] * n_categories + codes  # (N, D)
    counts = np.stack(
        [np.bincount(cell, minlength=n_actions * n_categories).reshape(n_actions, n_categories) for cell in cells.T],
        axis=2,
    )  # (I, C, D)
    smoothed = counts + pseudo_rows / n_categories
    return np.asarray(smoothed / smoothed.sum(axis=1, keepdims=True), dtype=np.float64)
