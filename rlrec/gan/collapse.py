"""The collapse alarm: a generator that narrows to a few items is stopped while its best checkpoint is still good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rlrec.data.sequences import Sequences
from rlrec.evaluation.fidelity import repeat_rate


class Breadth(NamedTuple):
    """How wide a sample is."""

    entropy: float
    """Of the item frequencies, nats."""
    n_distinct: int
    """Distinct items."""
    repeat_rate: float
    """Share of behaviours whose item came before in the same sequence."""

    @classmethod
    def of(cls, sample: Sequences) -> Breadth:
        """Measure a sample."""
        counts = np.bincount(sample.item)
        share = counts[counts > 0] / max(sample.n_events, 1)
        return cls(float(-(share * np.log(share)).sum()), int((counts > 0).sum()), repeat_rate(sample))


@dataclass(frozen=True)
class CollapseAlarm:
    """Compares each round's sample with the first one's: equal numbers of sequences, so the counts compare."""

    first: Breadth
    share: float
    """The alarm rings when entropy or distinct items fall below this share of the first round's."""

    def reason(self, now: Breadth) -> str | None:
        """Return why a sample counts as collapsed, or None."""
        if now.entropy < self.share * self.first.entropy:
            return f"the entropy of the items fell from {self.first.entropy:.2f} to {now.entropy:.2f} nats"
        if now.n_distinct < self.share * self.first.n_distinct:
            return f"the distinct items of a round fell from {self.first.n_distinct} to {now.n_distinct}"
        if now.repeat_rate > 0.5 > 2 * self.first.repeat_rate:
            return f"the repeat rate rose from {self.first.repeat_rate:.2f} to {now.repeat_rate:.2f}"
        return None
