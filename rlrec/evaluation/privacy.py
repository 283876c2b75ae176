"""Privacy of synthetic sequences: whether somebody can tell who was in the training set.

A membership-inference audit. Members are training sequences, strangers are real ones that the generator never saw; an
attack scores each, and its AUC says how often a member scores above a stranger: 0.5 learns nothing.

=============  ==============================================================================================
attack         score of a sequence
=============  ==============================================================================================
``nearest``    largest cosine similarity, in items and transitions, to a synthetic sequence (black box)
``refit``      mean log-likelihood of its transitions under a Markov model fitted on the synthetic set (black box)
``white_box``  mean log-likelihood of its items under the generator itself
=============  ==============================================================================================

Members and strangers may differ for another reason, as when the strangers are later in time. So each black-box attack
is also run on a third set of real sequences in the place of the synthetic set: it holds neither, and what the attack
reaches on it is no leak. `PrivacyAudit.leak` is what is left.

An audit is a lower bound: it shows leaks that these attacks find, and proves no absence.

Checked against: a copied training set (caught), strangers in its place (not caught).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.metrics import roc_auc_score

from rlrec.core.errors import DataError
from rlrec.core.estimate import Estimate
from rlrec.data.sequences import Sequences
from rlrec.evaluation.detectors import auc_estimate
from rlrec.evaluation.fidelity import copied_share
from rlrec.evaluation.sequence_features import FloatArray, owners, transition_pairs, typicality, width_of
from rlrec.models.base import BehaviourBatch, SequenceModel

_MIN = 20
_CHUNK = 512  # sequences compared at a time
_TOKENS = 4_096


@dataclass(frozen=True, kw_only=True)
class PrivacyAudit:
    """What the attacks reached, and how much was copied."""

    nearest: Estimate
    """AUC of the nearest-neighbour attack."""
    refit: Estimate
    """AUC of the attack by a model refitted on the synthetic set."""
    nearest_control: Estimate | None
    """The same with real strangers in the place of the synthetic set; None where no third set was given."""
    refit_control: Estimate | None
    white_box: Estimate | None
    """AUC of the generator's own likelihood; None where no generator was given."""
    distance_to_training: float
    """Median distance of a synthetic sequence to the nearest training sequence, 1 - cosine, in [0, 1]."""
    distance_of_strangers: float
    """The same for real strangers; a synthetic set that comes nearer copies."""
    copied: dict[str, float]
    """Shares of whole sequences and of 5-grams that training has, see `copied_share`."""
    copied_by_strangers: dict[str, float]
    """The same for real strangers, who copy nobody."""

    @property
    def black_box(self) -> Estimate:
        """The better of the two black-box attacks."""
        return max(self.nearest, self.refit, key=lambda found: found.value)

    @property
    def leak(self) -> float:
        """AUC of the black-box attack that gains most over its control, as 0.5 + gain; never below 0.5."""
        pairs = ((self.nearest, self.nearest_control), (self.refit, self.refit_control))
        gains = [found.value - (0.5 if control is None else max(control.value, 0.5)) for found, control in pairs]
        return 0.5 + max(*gains, 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; the estimates with their intervals."""
        names = ("nearest", "refit", "nearest_control", "refit_control", "white_box")
        found = {name: getattr(self, name) for name in names}
        values: dict[str, Any] = {name: None if value is None else value.to_dict() for name, value in found.items()}
        return values | {
            "leak": self.leak,
            "distance_to_training": self.distance_to_training,
            "distance_of_strangers": self.distance_of_strangers,
            "copied": self.copied,
            "copied_by_strangers": self.copied_by_strangers,
        }


def audit_privacy(
    synthetic: Sequences,
    members: Sequences,
    strangers: Sequences,
    *,
    other_real: Sequences | None = None,
    generator: SequenceModel | None = None,
    max_n: int = 2_000,
    seed: int = 0,
) -> PrivacyAudit:
    """Attack a synthetic set, and its generator where it is given.

    Parameters
    ----------
    synthetic : Sequences
        What is to be released.
    members : Sequences
        The training set.
    strangers : Sequences
        Real sequences that neither the generator nor its validation saw.
    other_real : Sequences, optional
        A third real set, for the controls.
    generator : SequenceModel, optional
        For the white-box attack.
    max_n : int
        Most members and most strangers that are attacked.
    seed : int
        Picks them.

    Raises
    ------
    DataError
        If a set has fewer than 20 sequences.

    Examples
    --------
    A training set given out as it is. Sessions of one or two items are everybody's, so only longer ones can give their
    owners away:

    >>> import rlrec
    >>> parts = (part.sequences() for part in rlrec.split_by_time(rlrec.load_log("builtin:eshop2008")))
    >>> train, valid, test = (sequences.select(sequences.lengths >= 5) for sequences in parts)
    >>> copied = audit_privacy(train, train, test, max_n=200)
    >>> copied.nearest.value > 0.9
    True
    """
    smallest = min(len(synthetic), len(members), len(strangers))
    if smallest < _MIN:
        raise DataError(
            f"a privacy audit needs at least {_MIN} sequences of each kind, got {len(synthetic)} synthetic, "
            f"{len(members)} members and {len(strangers)} strangers"
        )
    rng = np.random.default_rng(seed)
    n = min(len(members), len(strangers), max_n)
    picked = [s.select(np.sort(rng.permutation(len(s))[:n])) for s in (members, strangers)]
    with_third = other_real is not None and len(other_real) >= _MIN
    third = other_real if with_third else None
    judged = synthetic.select(np.sort(rng.permutation(len(synthetic))[:n]))
    return PrivacyAudit(
        nearest=_attack(*(similarity(s, synthetic) for s in picked)),
        refit=_attack(*(_transition_likelihood(s, synthetic) for s in picked)),
        nearest_control=None if third is None else _attack(*(similarity(s, third) for s in picked)),
        refit_control=None if third is None else _attack(*(_transition_likelihood(s, third) for s in picked)),
        white_box=None if generator is None else _attack(*(mean_log_likelihood(generator, s) for s in picked)),
        distance_to_training=float(np.median(1 - similarity(judged, members))),
        distance_of_strangers=float(np.median(1 - similarity(picked[1], members))),
        copied=copied_share(synthetic, members),
        copied_by_strangers=copied_share(strangers, members),
    )


def _attack(members: FloatArray, strangers: FloatArray) -> Estimate:
    n = len(members)
    auc = float(roc_auc_score(np.repeat([1, 0], n), np.concatenate([members, strangers])))
    return auc_estimate(auc, n)


def similarity(sequences: Sequences, base: Sequences) -> FloatArray:
    """Return each sequence's largest cosine similarity to one of ``base``, (S,), in bags of items and transitions."""
    width = width_of(sequences, base)
    mine, theirs = (_bags(s, width) for s in (sequences, base))
    known = np.unique(np.concatenate([mine[1], theirs[1]]), return_inverse=True)[1]
    columns = int(known.max(initial=0)) + 1
    rows = _unit_rows(mine[0], known[: len(mine[1])], len(sequences), columns)
    others = _unit_rows(theirs[0], known[len(mine[1]) :], len(base), columns).T.tocsc()
    best = np.zeros(len(sequences))
    for begin in range(0, len(sequences), _CHUNK):
        part = rows[begin : begin + _CHUNK] @ others
        best[begin : begin + _CHUNK] = part.max(axis=1).toarray().ravel()
    return best


def _bags(sequences: Sequences, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (sequence, code) of all items and transitions; transitions are numbered after the items."""
    owner = owners(sequences)
    inside = owner[1:][np.diff(owner) == 0]
    codes = [sequences.item.astype(np.int64), width + transition_pairs(sequences, width)]
    return np.concatenate([owner, inside]), np.concatenate(codes)


def _unit_rows(row: NDArray[np.int64], column: NDArray[np.int64], n: int, n_columns: int) -> Any:
    counts = sparse.csr_matrix((np.ones(len(row)), (row, column)), shape=(n, n_columns))
    norm = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1))).ravel()
    return sparse.diags(1 / np.maximum(norm, 1e-12)) @ counts


def _transition_likelihood(sequences: Sequences, base: Sequences) -> FloatArray:
    """Return each sequence's mean log p(next | item), (S,), under smoothed counts of ``base``."""
    opening, log_p = typicality(sequences, base)
    owner = owners(sequences)
    sums = np.bincount(owner[1:][np.diff(owner) == 0], weights=log_p, minlength=len(sequences)) + opening
    mean: FloatArray = sums / np.maximum(sequences.lengths, 1)
    return mean


@torch.no_grad()
def mean_log_likelihood(model: SequenceModel, sequences: Sequences) -> FloatArray:
    """Return each sequence's mean log p(item | past) under a model, nats, (S,); 0 where it is empty."""
    found = np.zeros(len(sequences))
    for index in sequences.batches(n_tokens=_TOKENS):
        batch = sequences.pad(index)
        if batch.item.shape[1] == 0:
            continue
        tokens = BehaviourBatch.from_padded(batch, "cpu")
        heads, _ = model.forward(tokens._replace(length=tokens.length.clamp(min=1)))
        opening = model.heads(model.initial_state(len(index))).item_log_probs()  # (B, I)
        first = opening.gather(1, tokens.item[:, :1])
        later = heads.item_log_probs()[:, :-1].gather(2, tokens.item[:, 1:].unsqueeze(2)).squeeze(2)
        log_p = torch.cat([first, later], dim=1).double().numpy() * batch.mask  # (B, T)
        found[index] = log_p.sum(axis=1) / np.maximum(batch.length, 1)
    return found
