"""The gradients of a network as one vector."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def flat_gradients(weights: Sequence[nn.Parameter]) -> Tensor:
    """Return the gradients of P numbers, one weight after another, (P,); zeros where a weight has none."""
    return torch.cat([torch.zeros_like(w).flatten() if w.grad is None else w.grad.flatten() for w in weights])


def set_gradients(weights: Sequence[nn.Parameter], flat: Tensor) -> None:
    """Give ``weights`` the gradients that stand in ``flat`` (P,), in their order."""
    for weight, part in zip(weights, torch.split(flat, [w.numel() for w in weights]), strict=True):
        weight.grad = part.view_as(weight)
