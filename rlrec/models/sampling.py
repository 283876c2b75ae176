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
    target = uniform.to(cumulative.dtype).unsqueeze(-1) * cumulative[..., -1:]
    # A uniform so near 1 that it rounds up to the total must not fall off the end, nor on a weight of 0.
    target = torch.minimum(target, torch.nextafter(cumulative[..., -1:], torch.zeros_like(target)))
    return torch.searchsorted(cumulative, target, right=True).squeeze(-1)


def as_uniform(values: NDArray[np.float64], like: Tensor) -> Tensor:
    """Move NumPy uniforms to the device of ``like``, in double precision so that 1 - 2**-53 stays below 1."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(like.device)
