r"""Cross-entropy over the catalogue as one step: logits, softmax and gradient in blocks that stay in the cache.

.. math:: \ell_n = \log \sum_j e^{q_n \cdot v_j + b_j} - (q_n \cdot v_{t_n} + b_{t_n})

What is kept for the backward pass is the softmax, in the precision of the products; torch keeps logits and log softmax.
Checked against ``torch.nn.functional.cross_entropy`` and by ``gradcheck`` (``tests/models/test_softmax.py``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_BLOCK = 2**19  # logits of a block: 2 MB in single precision (measured: from 2**18 to 2**20 alike, slower beyond)


class _CatalogueLoss(torch.autograd.Function):
    """(query (N, E), vectors (I, E), bias (I,), target (N,), dtype of the products) → nats of each target (N,)."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, vectors: Tensor, bias: Tensor, target: Tensor, dtype: torch.dtype) -> Tensor:
        low_query, low_vectors = query.to(dtype), vectors.to(dtype)
        losses = query.new_empty(len(target))
        errors = low_query.new_empty(len(target), len(vectors))  # softmax - one-hot
        transposed = low_vectors.t()
        size = max(_BLOCK // len(vectors), 1)
        for begin in range(0, len(target), size):
            rows = slice(begin, begin + size)
            logits = (low_query[rows] @ transposed).to(query.dtype).add_(bias)
            wanted = target[rows].unsqueeze(1)
            probs = logits.softmax(1)
            # log sum exp by the best item, whose probability never underflows; as fast as softmax alone.
            normaliser = logits.amax(1, keepdim=True) - probs.amax(1, keepdim=True).log()
            losses[rows] = (normaliser - logits.gather(1, wanted)).squeeze(1)
            probs.scatter_add_(1, wanted, -torch.ones_like(normaliser))
            errors[rows] = probs
        ctx.save_for_backward(low_query, low_vectors, errors)
        return losses

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, Tensor, Tensor, None, None]:
        (grad,) = grads
        low_query, low_vectors, errors = ctx.saved_tensors
        weighted = torch.cat([low_query * grad.unsqueeze(1).to(low_query.dtype), grad.unsqueeze(1).to(errors.dtype)], 1)
        table = (errors.t() @ weighted).to(grad.dtype)  # (I, E + 1): of the vectors, and of the bias
        of_query = (errors @ low_vectors).to(grad.dtype) * grad.unsqueeze(1)
        return of_query, table[:, :-1], table[:, -1], None, None


def catalogue_loss(
    query: Tensor, vectors: Tensor, bias: Tensor, target: Tensor, *, dtype: torch.dtype | None = None
) -> Tensor:
    """Return the nats of each target under a softmax over all items, shape (N,).

    Parameters
    ----------
    query : Tensor, shape (N, E)
    vectors : Tensor, shape (I, E)
    bias : Tensor, shape (I,)
        Minus infinity leaves an item out.
    target : Tensor, shape (N,)
    dtype : torch.dtype, optional
        Of the matrix products; sums, softmax and loss keep the query's precision.
    """
    losses: Tensor = _CatalogueLoss.apply(query, vectors, bias, target, dtype or query.dtype)  # type: ignore[no-untyped-call]
    return losses
