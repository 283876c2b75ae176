"""New users: the sequence model's forecast, bent to what their group takes, less with every step of their own.

Checked against counts by hand (``tests/models/test_newcomers.py``).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from rlrec.core.artifacts import Artifact
from rlrec.core.config import config_from_dict, config_to_dict
from rlrec.core.errors import DataError, InvalidArgumentError, UnknownIdError
from rlrec.data.features import Categorical, FeatureTable, Numeric
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.models.base import SequenceModel
from rlrec.models.config import NewcomerConfig
from rlrec.models.embedded import embedded_part, export_part
from rlrec.models.prefixes import prefixes
from rlrec.models.recommender import Recommender, ScoreKind

_STRENGTHS = np.array([10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5])
_WEIGHTS = (0.0, 0.25, 0.5, 1.0)
_PATIENCE = (0.0, 1.0, 3.0, 10.0, 30.0)
_MOST_GROUPS = 100  # a feature with more labels is no group but a name (chosen here)
_AGE_GROUPS = 5  # quantiles of a numeric feature (chosen here)
_MOST_TARGETS = 2_000  # validation behaviours that the patience is chosen on


class NewcomerModel(Recommender):
    r"""Popularity in the user's demographic or context group, over the sequence model's forecast.

    .. math:: p(j \mid g, h) \propto p_M(j \mid h) \left(\frac{p_g(j)}{p_0(j)}\right)^{w \tau / (\tau + |h|)}, \qquad
              p_g(j) = \frac{n_{gj} + s\, p_0(j)}{n_g + s}

    The model knows what people open with and go on to; the group's lift says how its people differ. The group g is the
    user feature, and s the strength, whose leave-one-out likelihood on the training rows is highest; the weight w and
    the patience :math:`\tau`, in behaviours, are chosen on validation users, and w may be 0. Users come by their index
    in the log that was fitted on; raw histories belong to nobody and get the model alone, unless `recommend_to` names
    their group.
    """

    kind: ClassVar[str] = "models/newcomers"
    score_kind: ClassVar[ScoreKind] = "log_probs"

    def __init__(
        self,
        model: SequenceModel,
        table: NDArray[np.float64],
        labels: tuple[str, ...],
        group_of_user: NDArray[np.int64],
        feature: str,
        config: NewcomerConfig,
    ) -> None:
        self.model = model
        self.space = model.space
        self.table = table  # (G + 1, I) p_g; the last row is everyone
        self.labels = labels
        self.group_of_user = group_of_user  # (n_users,) -1 where unknown
        self.feature = feature
        self.config = config

    @classmethod
    def fit(
        cls,
        train: InteractionLog,
        model: SequenceModel,
        *,
        valid: InteractionLog | None = None,
        config: NewcomerConfig | None = None,
    ) -> NewcomerModel:
        """Count what each group takes.

        Parameters
        ----------
        model : SequenceModel
            Fitted on ``train``; its forecast is bent to the group's taste.
        valid : InteractionLog, optional
            New users, to choose the weight and the patience on; without them they are the config's.

        Raises
        ------
        DataError
            If the log's users have no feature that can group them.
        """
        config = NewcomerConfig() if config is None else config
        feature, groups, labels, strength = _best_grouping(train, config.feature)
        table = _group_table(train, groups, len(labels), strength)
        made = cls(model, table, labels, groups, feature, config)
        return made if valid is None else made._with_patience(valid.sequences())

    def _with_patience(self, valid: Sequences) -> NewcomerModel:
        """Return this model with the weight and patience that the first steps of validation users speak for."""
        rows = _early_rows(valid)
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST_TARGETS)).astype(int)]
        if not len(rows):
            return self
        histories, target = prefixes(valid, rows)
        forecast = self.model.scores_at(valid, rows).cpu()
        lift, n = self._lift(self._groups(histories)), histories.lengths
        nats = {
            (weight, patience): F.cross_entropy(
                forecast + _exponent(weight, patience, n) * lift, torch.from_numpy(target)
            ).item()
            for weight in _WEIGHTS
            for patience in _PATIENCE
        }
        weight, patience = min(nats, key=lambda key: nats[key])
        config = replace(self.config, weight=weight, patience=patience)
        return NewcomerModel(self.model, self.table, self.labels, self.group_of_user, self.feature, config)

    # ---- use ----------------------------------------------------------------------------------------------------

    def histories(self, histories: Iterable[Iterable[Hashable]]) -> Sequences:
        """Return lists of raw item ids as sequences of nobody in particular."""
        sequences = super().histories(histories)
        return replace(sequences, user=np.full(len(sequences), -1))

    @torch.no_grad()
    def scores(self, sequences: Sequences) -> Tensor:
        """Return log p(item | group, history), (n, I)."""
        return self._mix(self._groups(sequences), sequences)

    def recommend_to(
        self, groups: Iterable[str], histories: Iterable[Iterable[Hashable]] | None = None, k: int = 10
    ) -> NDArray[Any]:
        """Return the ``k`` best items for newcomers of these groups, by raw id, (n, k).

        Parameters
        ----------
        groups : iterable of str
            Labels of `feature`, one a person; see `labels`.
        histories : optional
            What each did so far; by default nothing.

        Raises
        ------
        UnknownIdError
            Naming a group that the training users do not have.
        """
        wanted = [str(group) for group in groups]
        unknown = [group for group in wanted if group not in self.labels]
        if unknown:
            raise UnknownIdError(f"{self.feature} {unknown[0]!r} is no group; the groups are {', '.join(self.labels)}")
        sequences = self.histories([[]] * len(wanted) if histories is None else histories)
        if len(sequences) != len(wanted):
            raise InvalidArgumentError(f"histories must have one entry a group ({len(wanted)}), got {len(sequences)}")
        codes = np.array([self.labels.index(group) for group in wanted], np.int64)
        best = torch.sort(self._mix(codes, sequences), dim=1, descending=True, stable=True).indices[:, :k]
        recommended: NDArray[Any] = self.space.items.ids[best.numpy()]
        return recommended

    def _groups(self, sequences: Sequences) -> NDArray[np.int64]:
        user = sequences.user
        known = (user >= 0) & (user < len(self.group_of_user))
        return np.where(known, self.group_of_user[np.where(known, user, 0)], -1)

    @torch.no_grad()
    def _mix(self, groups: NDArray[np.int64], sequences: Sequences) -> Tensor:
        exponent = _exponent(self.config.weight, self.config.patience, sequences.lengths)
        return (self.model.scores(sequences).cpu() + exponent * self._lift(groups)).log_softmax(1)

    def _lift(self, groups: NDArray[np.int64]) -> Tensor:
        """Return log p_g(j) / p_0(j), (n, I); group -1 is everyone, whose lift is 0."""
        lift = np.log(self.table / self.table[-1]).astype(np.float32)
        return torch.from_numpy(lift[groups])

    # ---- disk ---------------------------------------------------------------------------------------------------

    def _export(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, NDArray[Any]]]:
        part, arrays = export_part("model", self.model)
        content = {"part": part, "labels": list(self.labels), "feature": self.feature}
        own = {"table": self.table, "group_of_user": self.group_of_user}
        return config_to_dict(self.config), content, own | arrays

    @classmethod
    def _from_artifact(cls, artifact: Artifact) -> NewcomerModel:
        model = embedded_part(artifact, artifact.content["part"])
        assert isinstance(model, SequenceModel)
        content, arrays = artifact.content, artifact.arrays
        config = config_from_dict(NewcomerConfig, artifact.config, where="manifest")
        labels = tuple(content["labels"])
        return cls(model, arrays["table"], labels, arrays["group_of_user"], content["feature"], config)


def _exponent(weight: float, patience: float, n_behaviours: NDArray[np.int64]) -> Tensor:
    """Return how much the group's lift counts after this many behaviours, (n, 1): all of the weight after none."""
    share = np.where(n_behaviours == 0, 1.0, patience / np.maximum(patience + n_behaviours, 1e-9))
    return torch.from_numpy((weight * share).astype(np.float32)).unsqueeze(1)


def _early_rows(sequences: Sequences) -> NDArray[np.int64]:
    """Return the flat rows of the first ten behaviours of each sequence, the opening one included."""
    position = np.arange(sequences.n_events) - np.repeat(sequences.offsets[:-1], sequences.lengths)
    return np.flatnonzero(position < 10)


def _best_grouping(train: InteractionLog, wanted: str | None) -> tuple[str, NDArray[np.int64], tuple[str, ...], float]:
    """Return the feature that predicts best, each user's group by it, the groups' names, and the strength."""
    candidates = _groupings(train.user_features)
    if wanted is not None:
        if wanted not in candidates:
            raise DataError(f"feature {wanted!r} cannot group users; those that can: {', '.join(candidates) or 'none'}")
        candidates = {wanted: candidates[wanted]}
    if not candidates:
        raise DataError(
            "the log's users have no feature that can group them; load it with users=..., a table with user_id"
        )
    scored = {
        (name, strength): _left_out_nats(train, groups, len(labels), strength)
        for name, (groups, labels) in candidates.items()
        for strength in _STRENGTHS
    }
    name, strength = min(scored, key=lambda key: scored[key])
    groups, labels = candidates[name]
    return name, groups, labels, float(strength)


def _groupings(features: FeatureTable | None) -> Mapping[str, tuple[NDArray[np.int64], tuple[str, ...]]]:
    """Return each feature's groups: labels as they are, numbers in quantiles."""
    found = {}
    for name, column in ({} if features is None else features).items():
        if isinstance(column, Categorical) and 2 <= len(column.labels) <= _MOST_GROUPS:
            found[name] = (column.codes.astype(np.int64), column.labels)
        elif isinstance(column, Numeric) and np.isfinite(column.values).sum() >= _AGE_GROUPS:
            found[name] = _quantile_groups(column.values)
    return found


def _quantile_groups(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    known = np.isfinite(values)
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, _AGE_GROUPS + 1)))
    inner = edges[1:-1]
    groups = np.where(known, np.searchsorted(inner, np.where(known, values, 0.0), side="right"), -1)
    bounds = [edges[0], *inner, edges[-1]]
    return groups, tuple(f"{low:g} to {high:g}" for low, high in pairwise(bounds))


def _counts(train: InteractionLog, groups: NDArray[np.int64], n_groups: int) -> NDArray[np.float64]:
    """Return rows of each group and item, (G, I); rows of users without a group are left out."""
    group = groups[train.user]
    cells = group[group >= 0] * train.n_items + train.item[group >= 0]
    return np.bincount(cells, minlength=n_groups * train.n_items).reshape(n_groups, -1).astype(np.float64)


def _everyone(train: InteractionLog) -> NDArray[np.float64]:
    popularity: NDArray[np.float64] = (train.item_counts + 1.0) / (train.n_events + train.n_items)
    return popularity


def _group_table(
    train: InteractionLog, groups: NDArray[np.int64], n_groups: int, strength: float
) -> NDArray[np.float64]:
    counts, everyone = _counts(train, groups, n_groups), _everyone(train)
    table = (counts + strength * everyone) / (counts.sum(axis=1, keepdims=True) + strength)
    return np.concatenate([table, everyone[None]])


def _left_out_nats(train: InteractionLog, groups: NDArray[np.int64], n_groups: int, strength: float) -> float:
    """Return nats a row with the row itself left out of its group's counts, the groupless at popularity."""
    counts, everyone = _counts(train, groups, n_groups), _everyone(train)
    total = counts.sum(axis=1, keepdims=True)
    left_out = (counts - 1 + strength * everyone) / np.maximum(total - 1 + strength, 1e-9)
    nats = -(counts * np.log(np.where(counts > 0, left_out, 1.0))).sum()
    rest = train.item_counts - counts.sum(axis=0)
    return float((nats - (rest * np.log(everyone)).sum()) / max(train.n_events, 1))
