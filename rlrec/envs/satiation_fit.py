r"""The strength of satiation by maximum likelihood, from the repeats of a log.

With the fatigue n of `rlrec.envs.satiation`, the next item has probability :math:`p_i e^{-\beta n_i} / Z(\beta)`,
:math:`Z = \sum_j p_j e^{-\beta n_j}`, so

.. math:: \ell(\beta) = \text{const} - \beta \sum_t n_{i_t} - \sum_t \log \Big(1 - \sum_g P_g (1 - e^{-\beta n_g})\Big)

over the groups g that somebody had lately, with :math:`P_g` the model's probability of the group. It is an exponential
family in β: concave, and Newton's steps find the maximum. It corrects what the model gets wrong about repeats: at β = 0
the model is right, below 0 people repeat more than it thinks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.checks import check_between, check_positive
from rlrec.core.errors import DataError
from rlrec.core.estimate import Estimate
from rlrec.data.sequences import Sequences
from rlrec.envs.satiation import check_groups, fatigue_weights
from rlrec.models.base import BehaviourBatch, SequenceModel

_SCORES = 20_000_000  # probabilities held at a time (80 MB)
_STEPS, _TOLERANCE = 100, 1e-9


class _Terms(NamedTuple):
    """What the likelihood needs of N behaviours; W groups lately had, each counted once."""

    own: NDArray[np.float64]
    """(N,) fatigue of the item that came."""
    fatigue: NDArray[np.float64]
    """(N, W) of the groups that were had."""
    mass: NDArray[np.float64]
    """(N, W) the model's probability of them; 0 where there is none, or a repetition."""


def fit_satiation(
    model: SequenceModel,
    sequences: Sequences,
    *,
    decay: float = 0.9,
    groups: NDArray[np.integer] | None = None,
    max_sequences: int = 2_000,
) -> Estimate:
    """Return the strength of satiation under which a log's repeats are most likely, with its 95 % interval.

    Trust it on sequences that the model was not fitted on: on its own training data a model knows the repeats.

    Parameters
    ----------
    model : SequenceModel
    sequences : Sequences
        Such as ``valid.sequences()``.
    decay : float
        As in the simulator's config.
    groups : int array, shape (I,), optional
        As in `UserSimulator`.
    max_sequences : int
        At most so many are read, evenly spaced.

    Returns
    -------
    Estimate
        Nats. A negative one says that people repeat *more* than the model thinks; the simulator takes none of those.

    Raises
    ------
    DataError
        If nothing is repeated: then no finite strength is the most likely one; or if nothing could have been.

    Examples
    --------
    >>> import pandas as pd
    >>> from rlrec.data.log import InteractionLog
    >>> from rlrec.models.counting import MarkovModel
    >>> rng = np.random.default_rng(0)
    >>> item = rng.integers(0, 5, 4_000)
    >>> log = InteractionLog.from_pandas(pd.DataFrame({"user_id": np.arange(4_000) // 20, "item_id": item}))
    >>> bool(abs(fit_satiation(MarkovModel.fit(log), log.sequences()).value) < 0.1)  # items come as they like
    True
    """
    check_positive("decay", decay)
    check_between("decay", decay, 0.0, 1.0)
    every = max(math.ceil(len(sequences) / max_sequences), 1)
    terms = _terms(model, sequences.select(np.arange(0, len(sequences), every)), decay, groups)
    if not (terms.mass > 0).any():
        raise DataError("no sequence has two behaviours, so nothing could have been repeated; give longer ones")
    if not (terms.own > 0).any():
        raise DataError(
            f"none of the {len(terms.own)} behaviours repeats anything, so no finite strength is the most likely one; "
            "declare one, such as 5, or hide seen items in the environment"
        )
    strength, information = _newton(terms)
    error = 1.96 / math.sqrt(max(information, 1e-12))
    n = len(terms.own)
    return Estimate(value=strength, low=strength - error, high=strength + error, n=n, effective_sample_size=float(n))


def _newton(terms: _Terms) -> tuple[float, float]:
    """Return β at the maximum and the observed information there."""
    strength, information = 0.0, 0.0
    for _ in range(_STEPS):
        tired = terms.mass * np.exp(-strength * terms.fatigue)
        z = 1.0 - terms.mass.sum(1) + tired.sum(1)
        mean = (tired * terms.fatigue).sum(1) / z  # (N,) expected fatigue of what comes
        information = float(((tired * terms.fatigue**2).sum(1) / z - mean**2).sum())
        step = float(np.clip((mean - terms.own).sum() / max(information, 1e-12), -1.0, 1.0))
        strength += step
        if abs(step) < _TOLERANCE:
            break
    return strength, information


@torch.no_grad()
def _terms(model: SequenceModel, sequences: Sequences, decay: float, groups: NDArray[np.integer] | None) -> _Terms:
    group_of = torch.from_numpy(check_groups(groups, model.n_items)).to(model.device)
    weights = torch.from_numpy(fatigue_weights(decay)).to(model.device)
    long = sequences.select(np.flatnonzero(sequences.lengths > 1))
    found = [
        _batch_terms(
            model, BehaviourBatch.from_padded(long.pad(index), model.device), group_of, weights, groups is None
        )
        for index in long.batches(n_tokens=max(_SCORES // model.n_items, 64))
    ]
    if not found:
        return _Terms(np.zeros(0), np.zeros((0, 1)), np.zeros((0, 1)))
    return _Terms(*(torch.cat(column).cpu().numpy() for column in zip(*found, strict=True)))


def _batch_terms(
    model: SequenceModel, tokens: BehaviourBatch, group_of: Tensor, weights: Tensor, each_its_own: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return own fatigue (n,), fatigue (n, W) and mass (n, W) of the behaviours that follow another."""
    heads, _ = model.forward(tokens)
    probs = heads.item_log_probs()[:, :-1].exp()  # (B, T - 1, I)
    follows = torch.arange(1, tokens.item.shape[1], device=model.device) < tokens.length.unsqueeze(1)  # (B, T - 1)
    row, place = follows.nonzero(as_tuple=True)
    group = group_of[tokens.item]  # (B, T)
    back = place.unsqueeze(1) - torch.arange(len(weights), device=model.device)  # (n, W) the latest first
    had = torch.where(back >= 0, group[row].gather(1, back.clamp(min=0)), -1)
    same = had.unsqueeze(1) == had.unsqueeze(2)  # (n, W, W)
    earlier = torch.tril(torch.ones_like(same[0]), diagonal=-1)
    counts_once = (had >= 0) & ~(same & earlier).any(2)
    here = probs[row, place]  # (n, I)
    mass_of = here if each_its_own else here.new_zeros(len(here), int(group_of.max()) + 1).index_add_(1, group_of, here)
    mass = torch.where(counts_once, mass_of.gather(1, had.clamp(min=0)), 0.0).double()
    own = (had == group[row, place + 1].unsqueeze(1)).double() @ weights
    return own, same.double() @ weights, mass
