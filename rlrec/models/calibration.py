"""Calibration of the heads on validation data: a temperature for each, and a shift where a base rate must hold.

A head trained with dropout and a large step swings with its last batches: on eshop2008 the raw end-of-session head was
off by half. Two numbers fitted by maximum likelihood on validation data put it right (Platt 1999; Guo et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from rlrec.models.losses import Targets
from rlrec.models.network import SequenceNetwork

_LOG_SCALE = (-5.0, 5.0)  # no head is off by more than e^5
_LOGITS = 2**25  # item logits held, a few times over, while a scale is fitted: 256 MB
_FEWEST_TARGETS = 500  # whatever the catalogue's size: their likelihood tells one number (chosen here)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Scales and shifts applied to the raw logits: ``calibrated = scale * logit + shift``."""

    item_scale: float = 1.0
    first_scale: float = 1.0
    """For the item that opens a sequence, which is predicted from nothing but the start."""
    end_scale: float = 1.0
    end_shift: float = 0.0
    event_scale: float = 1.0
    event_shift: tuple[float, ...] = ()
    gap_scale: float = 1.0

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return asdict(self) | {"event_shift": list(self.event_shift)}

    @classmethod
    def from_dict(cls, values: dict[str, object]) -> Calibration:
        """Read back what `to_dict` gave."""
        shift = values.get("event_shift", [])
        assert isinstance(shift, list)
        return replace(cls(**{k: v for k, v in values.items() if k != "event_shift"}), event_shift=tuple(shift))  # type: ignore[arg-type]


@torch.no_grad()
def _small_logits(network: SequenceNetwork, targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
    event = network.event_logits(targets.next_hidden, targets.item.unsqueeze(-1)).squeeze(-2)
    gap = network.gap_logits(targets.next_hidden)
    return event.double(), gap.double(), network.end_logit(targets.end_hidden).double()


def _item_scale(network: SequenceNetwork, targets: Targets, wanted: Tensor) -> float:
    """Fit the scale of the item logits of the targets in ``wanted`` (N,), or of some of them where all fill memory.

    Every n-th would not do: sequences of one length put them all on the same place.
    """
    rows = torch.nonzero(wanted).squeeze(1)
    if not len(rows):
        return 1.0
    size = max(_LOGITS // network.n_items, _FEWEST_TARGETS)
    if len(rows) > size:
        rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:size].to(rows.device)]
    with torch.no_grad():
        logits = network.item_logits(targets.next_hidden[rows]).double()  # (n, I)
    item = targets.item[rows]
    return _exp(_minimise(lambda p: F.cross_entropy(logits * _scale(p), item), 1, len(targets.item))[0])


def calibrate(network: SequenceNetwork, targets: Targets) -> Calibration:
    """Fit all scales and shifts by maximum likelihood (L-BFGS, double precision)."""
    event, gap, end = _small_logits(network, targets)
    later, first = ~targets.is_first, targets.is_first
    flags = targets.end.double()
    n_events = event.shape[1]

    def gap_loss(p: Tensor) -> Tensor:
        return F.cross_entropy(gap[later] * _scale(p), targets.gap[later])

    def end_loss(p: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(end * _scale(p) + p[1], flags)

    def event_loss(p: Tensor) -> Tensor:
        return F.cross_entropy(event * _scale(p) + p[1:], targets.event)

    n = len(targets.item)
    both_ends_seen = bool(0 < flags.sum() < len(flags))
    end_fit = _minimise(end_loss, 2, n) if both_ends_seen else [0.0, 0.0]
    event_fit = _minimise(event_loss, 1 + n_events, n) if n_events > 1 else [0.0] * (1 + n_events)
    return Calibration(
        item_scale=_item_scale(network, targets, later),
        first_scale=_item_scale(network, targets, first),
        gap_scale=_exp(_minimise(gap_loss, 1, n)[0]) if later.any() else 1.0,
        end_scale=_exp(end_fit[0]),
        end_shift=end_fit[1],
        event_scale=_exp(event_fit[0]),
        event_shift=tuple(event_fit[1:]),
    )


def _scale(parameters: Tensor) -> Tensor:
    """Return the scale that the first parameter stands for, within the bounds that `_exp` keeps."""
    return parameters[0].clamp(*_LOG_SCALE).exp()


def _exp(log_scale: float) -> float:
    return float(torch.tensor(log_scale).clamp(*_LOG_SCALE).exp())


def _minimise(loss: Callable[[Tensor], Tensor], n_parameters: int, n: int) -> list[float]:
    """Minimise the mean loss of ``n`` targets from zero under a standard normal prior.

    A handful of validation sequences can be separable: without a prior the end head then said that everybody leaves.
    """
    parameters = torch.zeros(n_parameters, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=100, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(parameters) + 0.5 / n * parameters.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return [float(value) for value in parameters.detach()]
