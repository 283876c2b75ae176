"""How sequences are drawn from a generator. Free of torch, so the command line can print it without loading it."""

from __future__ import annotations

from dataclasses import dataclass

from rlrec.core.checks import check_at_least, check_between, check_positive
from rlrec.core.errors import InvalidArgumentError


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """Knobs of ancestral sampling; the defaults draw from the model as it is. `fit_sampling` turns them on validation.

    A step's probabilities are sharpened or flattened, multiplied for items that the sequence already has, restricted
    to the allowed items, cut to their head, and normalised, in this order.
    """

    temperature: float = 1.0
    """Exponent 1 / temperature on p(item | h) after the first behaviour; below 1 the likely gets likelier."""
    first_temperature: float = 1.0
    """The same for the item that opens a sequence."""
    repeat_factor: float = 1.0
    """Factor on p of items that occurred earlier in the sequence, but for the last one: 0 where nobody repeats."""
    immediate_factor: float = 1.0
    """Factor on p of the last item coming again at once."""
    item_factors: tuple[float, ...] = ()
    """Factor on p of each item, for tastes that drifted since training; empty is 1."""
    top_k: int = 0
    """Draw from the k most probable items only; 0 is all."""
    top_p: float = 1.0
    """Draw from the smallest set of items with at least this probability only; 1 is all (Holtzman et al. 2020)."""
    allowed_items: tuple[int, ...] = ()
    """Item indices that may occur; empty is all."""
    event_order: tuple[tuple[int, int], ...] = ()
    """Pairs (before, after): the second event happens to an item only after the first happened to it, see
    `learn_event_order`."""
    length_probs: tuple[float, ...] = ()
    """Probability of each length from 1 on, drawn beforehand; empty lets the end-of-session head decide."""

    def __post_init__(self) -> None:
        """Refuse knobs that leave nothing to draw."""
        check_positive("temperature", self.temperature)
        check_positive("first_temperature", self.first_temperature)
        check_at_least("repeat_factor", self.repeat_factor, 0.0)
        check_at_least("immediate_factor", self.immediate_factor, 0.0)
        check_at_least("item_factors", min(self.item_factors, default=0.0), 0.0)
        check_at_least("top_k", self.top_k, 0)
        check_between("top_p", self.top_p, 1e-6, 1.0)
        if self.allowed_items and min(self.allowed_items) < 0:
            raise InvalidArgumentError(f"allowed_items must be indices from 0, got {min(self.allowed_items)}")
        if self.length_probs and not (min(self.length_probs) >= 0 and sum(self.length_probs) > 0):
            raise InvalidArgumentError("length_probs must be non-negative and have a positive entry")

    @property
    def remembers(self) -> bool:
        """True where the items of a sequence must be remembered."""
        return self.repeat_factor != 1.0 or self.immediate_factor != 1.0

    @property
    def cuts(self) -> bool:
        """True where only the head of the distribution is drawn from."""
        return self.top_k > 0 or self.top_p < 1.0
