"""Are the probabilities of a sequence model true? Base rates, calibration error and AUC of its yes-no heads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from rlrec.core.errors import DataError
from rlrec.data.sequences import PaddedBatch, Sequences
from rlrec.models.base import BehaviourBatch, SequenceModel

FloatArray = NDArray[np.float64]

_TOKENS = 4_096  # padded behaviours scanned at a time
_BINS = 15


class HeadCalibration(NamedTuple):
    """How true the probabilities of one head are, over N held-out chances."""

    rate: float
    """How often it happened."""
    predicted: float
    """Mean probability; equals ``rate`` for a head with the right base rate."""
    ece: float
    """Expected calibration error: mean distance of probability and frequency over bins of equal mass."""
    auc: float | None
    """Area under the ROC curve; None where it always or never happened."""
    reliability: tuple[tuple[float, float], ...]
    """(mean probability, frequency) of each bin, for a plot."""


def calibration_of(probs: FloatArray, happened: NDArray[np.bool_], *, n_bins: int = _BINS) -> HeadCalibration:
    r"""Compare probabilities (N,) with what happened (N,).

    .. math:: ECE = \sum_b \tfrac{n_b}{N} |\bar p_b - \bar y_b|

    over ``n_bins`` bins that hold equally many probabilities, ties going to one bin.

    References
    ----------
    .. [1] Naeini, Cooper & Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.

    Examples
    --------
    >>> found = calibration_of(np.full(4, 0.5), np.array([True, False, True, False]))
    >>> found.ece, found.rate
    (0.0, 0.5)
    """
    if len(probs) == 0:
        raise DataError("calibration needs at least one prediction, got none")
    edges = np.quantile(probs, np.linspace(0, 1, n_bins + 1)[1:-1])
    place = np.searchsorted(edges, probs, side="right")
    n = np.bincount(place, minlength=n_bins)
    filled = n > 0
    mean = np.bincount(place, weights=probs, minlength=n_bins)[filled] / n[filled]
    frequency = np.bincount(place, weights=happened, minlength=n_bins)[filled] / n[filled]
    constant = happened.all() or not happened.any()
    return HeadCalibration(
        rate=float(happened.mean()),
        predicted=float(probs.mean()),
        ece=float((n[filled] / len(probs)) @ np.abs(mean - frequency)),
        auc=None if constant else float(roc_auc_score(happened, probs)),
        reliability=tuple(zip(mean.tolist(), frequency.tolist(), strict=True)),
    )


@torch.no_grad()
def head_calibration(model: SequenceModel, real: Sequences) -> dict[str, HeadCalibration]:
    """Return the calibration of the end-of-session head, and of each event type where there are several.

    Parameters
    ----------
    model : SequenceModel
    real : Sequences
        Held-out sequences.

    Returns
    -------
    dict
        ``"end"``, after every behaviour whose sequel was seen, and the names of the event types, given the item.
    """
    ends: list[tuple[FloatArray, NDArray[np.bool_]]] = []
    events: list[tuple[FloatArray, NDArray[np.int64]]] = []
    for index in real.select(real.lengths > 0).batches(n_tokens=_TOKENS):
        batch = real.select(real.lengths > 0).pad(index)
        heads, _ = model.forward(BehaviourBatch.from_padded(batch, model.device))
        ends.append(_ends(batch, heads.end_probs().double().cpu().numpy()))
        if model.n_events > 1:
            following = torch.from_numpy(np.roll(batch.item, -1, axis=1)).to(model.device).unsqueeze(-1)
            probs = heads.event_probs(following).squeeze(-2).double().cpu().numpy()  # (B, T, n_events)
            inside = batch.mask[:, 1:]
            events.append((probs[:, :-1][inside], batch.event[:, 1:][inside]))
    found = {"end": calibration_of(*(np.concatenate(part) for part in zip(*ends, strict=True)))}
    if events:
        probs, event = (np.concatenate(part) for part in zip(*events, strict=True))
        names = model.space.event_names
        found |= {name: calibration_of(probs[:, code], event == code) for code, name in enumerate(names)}
    return found


def _ends(batch: PaddedBatch, probs: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return p(end) and whether it ended, after each behaviour whose sequel was seen."""
    last = np.arange(batch.item.shape[1])[None, :] == batch.length[:, None] - 1
    seen = batch.mask & (~last | batch.ended[:, None])
    return probs[seen], last[seen]
