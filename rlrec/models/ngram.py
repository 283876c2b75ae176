"""The n-gram model of behaviour: interpolated Kneser-Ney over items. Instant to fit, hard to beat, a generator too.

Checked against counts done by hand (``tests/models/test_ngram.py``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.artifacts import Artifact
from rlrec.core.config import config_from_dict
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.models.base import BehaviourBatch, BehaviourStep, Heads, RecurrentState
from rlrec.models.config import DEFAULT_STRENGTH, NGramConfig
from rlrec.models.counting import CountingHeads, CountingModel, count_tables, items_before
from rlrec.models.selection import ValidationTargets, mean_nats
from rlrec.models.space import BehaviourSpace

_STRENGTHS = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0)  # tried on validation


class NGramModel(CountingModel):
    r"""Interpolated Kneser-Ney: the longest context that was seen speaks, shorter ones fill in.

    .. math::

        p_m(j \mid c) = \frac{\max(n_m(c, j) - d_m, 0)}{n_m(c) + \theta}
        + \frac{d_m N_{1+}(c) + \theta}{n_m(c) + \theta}\, p_{m-1}(j \mid c')

    c holds the last m items, c' leaves out the oldest, and :math:`N_{1+}(c)` counts distinct successors. At the highest
    order :math:`n_m` counts occurrences. Below it, with ``continuation``, it counts the distinct items that came before
    (c, j); a context that opens a sequence keeps its occurrences. :math:`p_0` is add-one-smoothed popularity. A context
    that was never seen leaves the word to the shorter one. With :math:`\theta = 0` this is Kneser-Ney; a larger one
    trusts a context of few occurrences less, as Pitman-Yor does (Teh 2006), and shop sessions gain by it.

    References
    ----------
    .. [1] Kneser & Ney, "Improved backing-off for m-gram language modeling", ICASSP 1995.
    .. [2] Teh, "A hierarchical Bayesian language model based on Pitman-Yor processes", ACL 2006.
    """

    kind: ClassVar[str] = "models/ngram"
    config: NGramConfig

    @classmethod
    def fit(
        cls,
        train: InteractionLog,
        *,
        config: NGramConfig | None = None,
        valid: InteractionLog | None = None,
        last_only: bool = False,
    ) -> NGramModel:
        """Count a log.

        Parameters
        ----------
        valid : InteractionLog, optional
            Chooses ``strength`` where the config leaves it open, by the likelihood of what comes next there.
        last_only : bool
            Only the last item of each validation sequence counts (leave-last-out).
        """
        config = NGramConfig() if config is None else config
        if config.strength is None and valid is not None:
            options = [cls.fit(train, config=replace(config, strength=strength)) for strength in _STRENGTHS]
            targets = ValidationTargets.of(valid, last_only=last_only)
            return min(options, key=lambda model: mean_nats(model, targets))
        if config.strength is None:
            config = replace(config, strength=DEFAULT_STRENGTH)
        return cls(BehaviourSpace.of(train), count_tables(train) | _count_orders(train, config), config)

    @property
    def context_size(self) -> int:
        """Items that the model looks back at."""
        return self.config.order - 1

    # ---- state: the last items, (B, order - 1), oldest first; -1 at the start, -2 before it ----------------------

    def initial_state(self, batch_size: int) -> RecurrentState:
        """Return the state before any behaviour."""
        context = torch.full((batch_size, self.context_size), -2)
        context[:, -1] = -1
        return RecurrentState((context,))

    def forward(self, tokens: BehaviourBatch, state: RecurrentState | None = None) -> tuple[Heads, RecurrentState]:
        """Scan: the state after t is the items up to t."""
        state = self.initial_state(len(tokens.length)) if state is None else state
        longer = torch.cat([state.tensors[0], tokens.item], dim=1)  # (B, context + T)
        contexts = longer.unfold(1, self.context_size, 1)[:, 1:]  # (B, T, context)
        rows = torch.arange(len(tokens.length))
        return NGramHeads(self, contexts), RecurrentState((contexts[rows, tokens.length - 1],))

    def step(self, tokens: BehaviourStep, state: RecurrentState) -> tuple[Heads, RecurrentState]:
        """Take one behaviour in."""
        after = RecurrentState((torch.cat([state.tensors[0][:, 1:], tokens.item.unsqueeze(1)], dim=1),))
        return self.heads(after), after

    def heads(self, state: RecurrentState) -> Heads:
        """Return what comes next."""
        return NGramHeads(self, state.tensors[0])

    def scores_at(self, sequences: Sequences, rows: NDArray[np.int64]) -> Tensor:
        """Return log p(item | the items before each flat row), (n, I)."""
        context = items_before(sequences, rows, self.context_size)
        return NGramHeads(self, torch.from_numpy(context)).item_log_probs()

    def interest(self, state: RecurrentState) -> Tensor:
        """Return p(item | history), (B, I)."""
        return self.context_probs(state.tensors[0]).float()

    # ---- probabilities ------------------------------------------------------------------------------------------

    def item_probs(self, last: Tensor) -> Tensor:
        """Return p(item | last item alone), (*last.shape, I)."""
        context = torch.full((*last.shape, self.context_size), -2)
        context[..., -1] = last
        return self.context_probs(context)

    def context_probs(self, context: Tensor) -> Tensor:
        """Return p(item | context) for contexts (..., order - 1), shape (..., I), double."""
        flat = context.reshape(-1, self.context_size)
        probs = self.tables["popularity"].repeat(len(flat), 1)  # (n, I)
        node = torch.zeros(len(flat), dtype=torch.int64)  # (n,) context one item shorter; 0: empty
        for m in range(1, self.config.order):
            node, found = self._child(m, node, flat[:, -m])
            rows = torch.nonzero(found).squeeze(1)
            if not len(rows):
                break
            self._mix(m, node[rows], rows, probs)
        return probs.view(*context.shape[:-1], self.n_items)

    def _child(self, m: int, parent: Tensor, older: Tensor) -> tuple[Tensor, Tensor]:
        """Return which context of m items extends ``parent`` by an older item, and where there is one."""
        keys = self.tables[f"key{m}"]
        wanted = parent * (self.n_items + 1) + older + 1
        at = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
        found = (parent >= 0) & (older >= -1) & (keys[at] == wanted)
        return torch.where(found, at, -1), found

    def _mix(self, m: int, node: Tensor, rows: Tensor, probs: Tensor) -> None:
        """Mix the successors of contexts ``node`` into ``probs`` at ``rows``, in place."""
        probs[rows] *= self.tables[f"backoff{m}"][node].unsqueeze(1)
        begin, end = self.tables[f"row{m}"][node], self.tables[f"row{m}"][node + 1]
        lengths = end - begin
        owner = torch.repeat_interleave(torch.arange(len(node)), lengths)
        within = torch.arange(len(owner)) - torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
        entry = begin[owner] + within
        where = (rows[owner], self.tables[f"column{m}"][entry])
        probs.index_put_(where, self.tables[f"weight{m}"][entry], accumulate=True)

    @classmethod
    def _config(cls, values: dict[str, Any]) -> NGramConfig:
        return config_from_dict(NGramConfig, values, where="manifest")

    @classmethod
    def _from_artifact(cls, artifact: Artifact) -> NGramModel:
        model = super()._from_artifact(artifact)
        assert isinstance(model, NGramModel)
        return model


class NGramHeads(CountingHeads):
    """Heads after contexts (..., order - 1); all but the item's look at the last item only."""

    def __init__(self, model: NGramModel, context: Tensor) -> None:
        super().__init__(model, context[..., -1])
        self._ngram = model
        self._context = context

    def item_log_probs(self) -> Tensor:
        """Return log p(item | context), (..., I)."""
        return self._ngram.context_probs(self._context).log().float()


class _Counts(NamedTuple):
    """Distinct (context, next item) pairs of one order, sorted by context, then item."""

    node: NDArray[np.int64]
    """(P,) context."""
    item: NDArray[np.int64]
    """(P,) what came next."""
    n: NDArray[np.int64]
    """(P,) n_m(c, j)."""


def _count_orders(train: InteractionLog, config: NGramConfig) -> dict[str, Tensor]:
    """Return the tables of every order.

    Contexts form a trie: one of m items is a pair (context of the m - 1 newer items, the m-th newest item), so its key
    ``parent * (I + 1) + older + 1`` fits 64 bits at any order. An older item of -1 is the start of the sequence.
    """
    sequences, n_items = train.sequences(), train.n_items
    item = sequences.item.astype(np.int64)
    position = np.arange(len(item)) - np.repeat(sequences.offsets[:-1], sequences.lengths)
    node = np.zeros(len(item), np.int64)  # (N,) context of each behaviour at the order below; -1 beyond the start
    tables: dict[str, Tensor] = {}
    for m in range(1, config.order):
        older = _item_before(item, position, m)
        node, keys = _extend(node, older, n_items)
        before = _item_before(item, position, m + 1)
        lower = config.continuation and m < config.order - 1
        counts = _count_pairs(node, item, before if lower else None, n_items)
        tables |= _order_tables(m, counts, keys, config)
    return tables


def _item_before(item: NDArray[np.int64], position: NDArray[np.int64], m: int) -> NDArray[np.int64]:
    """Return the item m places before each behaviour, -1 just before its sequence, -2 further back."""
    shifted = np.concatenate([np.full(m, -2), item])[: len(item)]
    return np.where(position >= m, shifted, np.where(position == m - 1, -1, -2))


def _extend(
    parent: NDArray[np.int64], older: NDArray[np.int64], n_items: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each behaviour's context one item longer (-1 where it passes the start) and the sorted keys."""
    valid = (parent >= 0) & (older >= -1)
    keys, index = np.unique(parent[valid] * (n_items + 1) + older[valid] + 1, return_inverse=True)
    node = np.full(len(parent), -1, np.int64)
    node[valid] = index
    return node, keys


def _count_pairs(
    node: NDArray[np.int64], item: NDArray[np.int64], before: NDArray[np.int64] | None, n_items: int
) -> _Counts:
    """Count occurrences of (context, item), or the distinct ``before`` where one is given and lies in the sequence."""
    valid = node >= 0
    pair = node[valid] * n_items + item[valid]
    if before is not None:
        older = before[valid]  # -2 where the context opens its sequence: such pairs keep their occurrences
        opening, inside = pair[older < -1], np.unique(np.stack([pair, older])[:, older >= -1], axis=1)[0]
        pair = np.concatenate([opening, inside])
    pairs, counts = np.unique(pair, return_counts=True)
    return _Counts(pairs // n_items, pairs % n_items, counts)


def _order_tables(m: int, counts: _Counts, keys: NDArray[np.int64], config: NGramConfig) -> dict[str, Tensor]:
    d = absolute_discount(counts.n) if config.discount is None else config.discount
    theta = DEFAULT_STRENGTH if config.strength is None else config.strength
    total = np.bincount(counts.node, weights=counts.n, minlength=len(keys)) + theta  # n_m(c) + theta
    distinct = np.bincount(counts.node, minlength=len(keys))  # N_{1+}(c)
    arrays = {
        "key": keys,
        "row": np.searchsorted(counts.node, np.arange(len(keys) + 1)),
        "column": counts.item,
        "weight": np.maximum(counts.n - d, 0) / total[counts.node],
        "backoff": (d * distinct + theta) / total,
    }
    return {f"{name}{m}": torch.from_numpy(array) for name, array in arrays.items()}


def absolute_discount(counts: NDArray[np.int64]) -> float:
    r"""Return Ney's estimate :math:`d = n_1 / (n_1 + 2 n_2)` from how many pairs occur once and twice, in [0.1, 0.95].

    Examples
    --------
    >>> absolute_discount(np.array([1, 1, 1, 2, 5]))
    0.6
    """
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    return float(np.clip(once / max(once + 2 * twice, 1), 0.1, 0.95))
