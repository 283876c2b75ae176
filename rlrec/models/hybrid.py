"""The hybrid: interest, neighbours and content in one vote, whose weights are learned on validation data.

Checked against a model that knows the answer and one that knows nothing (``tests/models/test_hybrid.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from rlrec.core.artifacts import Artifact
from rlrec.core.config import config_from_dict, config_to_dict
from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.models.config import HybridConfig
from rlrec.models.embedded import embedded_part, export_part
from rlrec.models.prefixes import prefixes, target_rows
from rlrec.models.recommender import Recommender, ScoreKind

_POPULARITY, _SEEN = "popularity", "seen"
_TERMS = 2**26  # numbers held while the weights are learned: 256 MB
_FEWEST_TARGETS = 200  # whatever the catalogue's size: fewer would not settle a handful of weights (chosen here)


class HybridModel(Recommender):
    r"""A conditional logit over the scores of its parts.

    .. math:: p(j \mid h) = \mathrm{softmax}_j \Big( \sum_m w_m z_m(j) + w_0 \log p_0(j) + w_s [j \in h] \Big)

    :math:`z_m` are log probabilities of a sequence model; of non-negative weights, the log of their share mixed with
    5 % popularity; of any other scores, their z-score in the row. :math:`w_s` learns whether people come back to an
    item. The weights maximise the likelihood of validation targets, which no part was fitted on.

    Examples
    --------
    >>> import rlrec
    >>> from rlrec.models.knn import ItemKNNModel
    >>> train, valid, test = rlrec.split_by_time(rlrec.load_log("builtin:eshop2008"))
    >>> parts = {"markov": rlrec.MarkovModel.fit(train), "item_knn": ItemKNNModel.fit(train)}
    >>> sorted(HybridModel.fit(parts, valid).weights)
    ['item_knn', 'markov', 'popularity', 'seen']
    """

    kind: ClassVar[str] = "models/hybrid"
    score_kind: ClassVar[ScoreKind] = "log_probs"

    def __init__(self, parts: Mapping[str, Recommender], weights: Mapping[str, float], config: HybridConfig) -> None:
        self.parts = dict(parts)
        self.weights = dict(weights)
        self.config = config
        self.space = next(iter(self.parts.values())).space

    @classmethod
    def fit(
        cls,
        parts: Mapping[str, Recommender],
        valid: InteractionLog | Sequences,
        *,
        config: HybridConfig | None = None,
        seed: int = 0,
        last_only: bool = False,
    ) -> HybridModel:
        """Learn the weights.

        Parameters
        ----------
        parts : mapping of name to Recommender
            Fitted on one log; the names ``popularity`` and ``seen`` are taken by the two terms that every hybrid has.
        valid : InteractionLog or Sequences
            Later than what the parts were fitted on.
        seed : int
            Picks ``max_targets`` among the validation targets.
        last_only : bool
            Only the last item of each sequence is a target: the earlier ones are training rows.

        Raises
        ------
        InvalidArgumentError
            If there are no parts, a name is taken, or the parts disagree about the items.
        DataError
            If ``valid`` has no target.
        """
        config = HybridConfig() if config is None else config
        _check_parts(parts)
        sequences = valid if isinstance(valid, Sequences) else valid.sequences()
        rows = target_rows(sequences, last_only=last_only)
        if len(rows) == 0:
            raise DataError("the validation part has no sequence with two behaviours, so there are no weights to learn")
        model = cls(parts, {}, config)
        n = min(config.max_targets, max(_TERMS // (model.n_items * (len(parts) + 2)), _FEWEST_TARGETS))
        if len(rows) > n:
            rows = np.sort(np.random.default_rng(seed).choice(rows, n, replace=False))
        histories, target = prefixes(sequences, rows)
        with torch.no_grad():
            found = model._terms(histories, lambda part: part.scores_at(sequences, rows))
            names, terms = zip(*found, strict=True)
        fitted = _fit_weights(torch.stack(terms, dim=-1), torch.from_numpy(target), config.ridge)
        return cls(parts, dict(zip(names, fitted, strict=True)), config)

    @torch.no_grad()
    def scores(self, sequences: Sequences) -> Tensor:
        """Return log p(item | history), (n, I)."""
        return self._vote(sequences, lambda part: part.scores(sequences))

    @torch.no_grad()
    def scores_at(self, sequences: Sequences, rows: NDArray[np.int64]) -> Tensor:
        """Return log p(item | what came before each flat row), (n, I); each part reads in its own way."""
        return self._vote(prefixes(sequences, rows).histories, lambda part: part.scores_at(sequences, rows))

    def _vote(self, histories: Sequences, score: Callable[[Recommender], Tensor]) -> Tensor:
        votes = torch.zeros(len(histories), self.n_items)
        for name, term in self._terms(histories, score):
            votes += self.weights[name] * term
        return votes.log_softmax(-1)

    def _terms(self, histories: Sequences, score: Callable[[Recommender], Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Yield every part's z and the two own terms, (n, I) each."""
        counts = torch.from_numpy(self.space.item_counts + 1.0)
        popularity = (counts / counts.sum()).float()
        for name, part in self.parts.items():
            yield name, _comparable(part, score(part).float().cpu(), popularity)
        yield _POPULARITY, popularity.log().expand(len(histories), -1)
        seen = torch.zeros(len(histories), self.n_items)
        row = np.repeat(np.arange(len(histories)), histories.lengths)
        seen[torch.from_numpy(row), torch.from_numpy(histories.item.astype(np.int64))] = 1.0
        yield _SEEN, seen

    # ---- disk --------------------------------------------------

    def _export(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, NDArray[Any]]]:
        parts: list[dict[str, Any]] = []
        arrays: dict[str, NDArray[Any]] = {}
        for name, part in self.parts.items():
            described, mine = export_part(name, part)
            parts.append(described)
            arrays |= mine
        return config_to_dict(self.config), {"parts": parts, "weights": self.weights}, arrays

    @classmethod
    def _from_artifact(cls, artifact: Artifact) -> HybridModel:
        parts = {part["name"]: embedded_part(artifact, part) for part in artifact.content["parts"]}
        config = config_from_dict(HybridConfig, artifact.config, where="manifest")
        return cls(parts, artifact.content["weights"], config)


def _check_parts(parts: Mapping[str, Recommender]) -> None:
    if not parts:
        raise InvalidArgumentError("parts must hold at least one fitted model, got none")
    for name in parts:
        if name in (_POPULARITY, _SEEN) or "/" in name:
            raise InvalidArgumentError(f"a part may not be called {name!r}; call it something else, without '/'")
    spaces = [part.space.items for part in parts.values()]
    if any(items != spaces[0] for items in spaces):
        raise InvalidArgumentError(f"the parts {', '.join(parts)} know different items; fit them on one log")


def _comparable(part: Recommender, scores: Tensor, popularity: Tensor) -> Tensor:
    """Return z of a part's scores (n, I): on a scale that one weight can serve in every row."""
    if part.score_kind == "log_probs":
        return scores
    if part.score_kind == "weights":
        total = scores.sum(1, keepdim=True)
        share = torch.where(total > 0, scores / total.clamp(min=1e-30), popularity)
        return (0.95 * share + 0.05 * popularity).log()
    centred = scores - scores.mean(1, keepdim=True)
    return centred / scores.std(1, keepdim=True).clamp(min=1e-6)


def _fit_weights(terms: Tensor, target: Tensor, ridge: float) -> list[float]:
    """Maximise the likelihood of the targets (N,) under terms (N, I, M); a weak pull to equal weights settles twins."""
    n_parts = terms.shape[-1]
    start = torch.zeros(n_parts)
    start[:-2] = 1.0 / max(n_parts - 2, 1)
    weights = start.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(terms @ weights, target) + ridge * (weights - start).square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return [float(weight) for weight in weights.detach()]
