"""Why an item: which past behaviours carried it, and which items the model holds to be near.

Checked against scoring each shortened history alone (``tests/models/test_explanations.py``).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rlrec.core.errors import InvalidArgumentError
from rlrec.data.sequences import Sequences
from rlrec.models.lstm import LSTMModel
from rlrec.models.recommender import Recommender


@dataclass(frozen=True, eq=False)
class Explanation:
    """What each past behaviour did for one recommended item."""

    item_id: Any
    """The item explained."""
    score: float
    """Its score after the whole history; log probability of a sequence model."""
    history_ids: tuple[Any, ...]
    """Past items, oldest first."""
    contributions: NDArray[np.float64]
    """(T,) score with the whole history minus score without that behaviour; above 0 it spoke for the item."""

    def strongest(self, n: int = 3) -> list[tuple[Any, float]]:
        """Return the ``n`` behaviours that spoke most for the item, strongest first."""
        order = np.argsort(-self.contributions, kind="stable")[:n]
        return [(self.history_ids[i], float(self.contributions[i])) for i in order]


def explain(
    model: Recommender, history: Iterable[Hashable] | Sequences, item_ids: Iterable[Hashable], *, last: int = 50
) -> list[Explanation]:
    r"""Explain items by leaving out each past behaviour, all shortened histories in one batch.

    .. math:: c_t = s(j \mid h) - s(j \mid h \setminus h_t)

    A difference, not a share: the contributions need not sum to the score, and a behaviour that repeats another shows
    little.

    Parameters
    ----------
    model : Recommender
    history : iterable of item ids, or Sequences with one sequence
        Oldest first. A sequence keeps its events and times, and a left-out behaviour's neighbours keep theirs.
    item_ids : iterable of item ids
        What to explain.
    last : int
        Only the latest behaviours are left out one by one, at most this many.

    Returns
    -------
    list of Explanation
        One for each item.

    Raises
    ------
    InvalidArgumentError
        If the history is empty: nothing in it can have carried an item.

    Examples
    --------
    >>> import rlrec
    >>> model = rlrec.MarkovModel.fit(rlrec.load_log("builtin:eshop2008"))
    >>> explain(model, ["A13", "A16"], ["A15"])[0].history_ids
    ('A13', 'A16')
    """
    whole = history if isinstance(history, Sequences) else model.histories([history])
    if len(whole) != 1 or whole.n_events == 0:
        raise InvalidArgumentError(
            f"history must hold at least one behaviour, got {len(whole)} sequences of {whole.n_events} in all: "
            "nothing carried the item"
        )
    if last < 1:
        raise InvalidArgumentError(f"last must be at least 1, got {last}")
    wanted = list(item_ids)
    shown = model.space.items.ids[whole.item[-last:]].tolist()
    shortened = _without_each(whole, len(shown))
    items = torch.from_numpy(model.space.items.index_of(wanted))
    with torch.no_grad():
        full = model.scores(whole)[0, items].double().cpu().numpy()  # (n,)
        less = model.scores(shortened)[:, items].double().cpu().numpy()  # (T, n)
    return [Explanation(item, float(full[i]), tuple(shown), full[i] - less[:, i]) for i, item in enumerate(wanted)]


def _without_each(whole: Sequences, n: int) -> Sequences:
    """Return one sequence for each of the last ``n`` behaviours, without it."""
    length = whole.n_events
    kept = np.ones((n, length), np.bool_)
    kept[np.arange(n), np.arange(length - n, length)] = False
    row = np.tile(np.arange(length), (n, 1))[kept]
    offsets = np.arange(n + 1) * (length - 1)
    gap = whole.gap[row]
    gap[offsets[:-1] if length > 1 else []] = 0  # what now opens the sequence follows nothing
    return replace(
        whole,
        offsets=offsets,
        item=whole.item[row],
        event=whole.event[row],
        gap=gap,
        value=None if whole.value is None else whole.value[row],
        start=np.repeat(whole.start, n),
        user=np.repeat(whole.user, n),
        ended=np.repeat(whole.ended, n),
    )


def nearest_items(model: LSTMModel, item_ids: Iterable[Hashable], k: int = 10) -> NDArray[Any]:
    """Return the ``k`` items nearest to each by the cosine of their learned vectors, by raw id, (n, k).

    Examples
    --------
    >>> import rlrec
    >>> train, valid, _ = rlrec.split_by_time(rlrec.load_log("builtin:eshop2008"))
    >>> model = rlrec.LSTMModel.fit(train, config=rlrec.LSTMConfig(n_epochs=1))
    >>> nearest_items(model, ["A13"], k=3).shape
    (1, 3)
    """
    if not 1 <= k < model.n_items:
        raise InvalidArgumentError(f"k must lie in 1..{model.n_items - 1} (the other items), got {k}")
    with torch.no_grad():
        vectors = torch.nn.functional.normalize(model.network.item_vectors(), dim=1)
        items = torch.from_numpy(model.space.items.index_of(item_ids)).to(vectors.device)
        near = vectors[items] @ vectors.T  # (n, I)
        near[torch.arange(len(items)), items] = -torch.inf
        best = near.topk(k, dim=1).indices.cpu().numpy()
    found: NDArray[Any] = model.space.items.ids[best]
    return found
