"""Sampling by inverse CDF: one softmax, one running sum, one search: several times faster than multinomial."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def inverse_cdf(probs: Tensor, uniform: Tensor) -> Tensor:
    """Return the index in each row where the running sum first exceeds ``uniform``.

    Parameters
    ----------
    probs : Tensor, shape (B, n)
        Non-negative weights; they need not sum to 1.
    uniform : Tensor, shape (B,)
        Numbers in [0, 1).

    Returns
    -------
    Tensor, int64, shape (B,)
        Never an index with weight 0.

    Examples
    --------
    >>> inverse_cdf(torch.tensor([[0.2, 0.0, 0.8]]), torch.tensor([0.5]))
    tensor([2])
    """
    cumulative = probs.cumsum(-1)
    target = uniform.to(cumulative.dtype).contiguous().unsqueeze(-1) * cumulative[..., -1:]
    # A uniform so near 1 that it rounds up to the total must not fall off the end, nor on a weight of 0.
    target = torch.minimum(target, torch.nextafter(cumulative[..., -1:], torch.zeros_like(target)))
    return torch.searchsorted(cumulative, target, right=True).squeeze(-1)


def blocked_cdf(weights: Tensor, width: int, uniform: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return the sums of rows, and the index where the running sum first exceeds ``uniform`` times the row's.

    The sum runs over blocks first and then inside one block, so that long rows need no running sum of their own.

    Parameters
    ----------
    weights : Tensor, shape (B, n)
        Non-negative.
    width : int
        Entries of a block, at most n; the last block may be shorter.
    uniform : Tensor, shape (B,), optional
        Numbers in [0, 1).

    Returns
    -------
    total : Tensor, double, shape (B, 1)
    index : Tensor, int64, shape (B,), or None without ``uniform``
        Never one with weight 0.

    Examples
    --------
    >>> total, index = blocked_cdf(torch.tensor([[0.1, 0.0, 0.3, 0.6]]), 2, torch.tensor([0.3]))
    >>> round(total.item(), 4), index.item()
    (1.0, 2)
    """
    n = weights.shape[1]
    whole = n // width * width
    sums = weights[:, :whole].reshape(len(weights), -1, width).sum(-1)  # (B, n // width)
    if whole < n:
        sums = torch.cat([sums, weights[:, whole:].sum(-1, keepdim=True)], dim=1)
    sums = sums.double()
    if uniform is None:
        return sums.sum(-1, keepdim=True), None
    running = sums.cumsum(-1)
    total = running[:, -1:]
    target = torch.minimum(uniform.double().unsqueeze(-1) * total, torch.nextafter(total, torch.zeros_like(total)))
    block = torch.searchsorted(running, target, right=True)  # (B, 1)
    own = sums.gather(1, block)
    share = (target - running.gather(1, block) + own) / own  # (B, 1) how far into the block
    places = block * width + torch.arange(width, device=block.device)  # (B, width)
    inside = weights.gather(1, places.clamp(max=n - 1)).masked_fill(places >= n, 0.0)
    return total, block.squeeze(1) * width + inverse_cdf(inside.double(), share.squeeze(1).clamp(0.0, 1.0))


def as_uniform(values: NDArray[np.float64], like: Tensor) -> Tensor:
    """Move NumPy uniforms to the device of ``like``, in double precision so that 1 - 2**-53 stays below 1."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(like.device)
