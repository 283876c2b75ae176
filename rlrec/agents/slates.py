r"""Plackett-Luce: slates drawn position by position without replacement, with their exact probability.

.. math:: P(s_1, ..., s_K) = \prod_k \frac{e^{l_{s_k}}}{\sum_{j \notin \{s_1..s_{k-1}\}} e^{l_j}}

With K = 1 it is the ordinary categorical. Checked against enumeration of all slates (``tests/agents/test_slates.py``).

References
----------
.. [1] Plackett, "The analysis of permutations", Applied Statistics 24, 1975.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rlrec.models.sampling import blocked_cdf, inverse_cdf

_BLOCK = 64  # items summed at a time when one is drawn
_FAINT = 1e-20  # far above where single precision ends
_ROWS = 128  # people whose logits are held at a time in training


def sample_slates(logits: Tensor, uniform: Tensor) -> Tensor:
    """Draw a slate for each row.

    Parameters
    ----------
    logits : Tensor, shape (B, I)
        ``-inf`` where an item cannot be shown.
    uniform : Tensor, shape (B, K)
        Numbers in [0, 1), one a position.

    Returns
    -------
    Tensor, int64, shape (B, K)
        No item twice.
    """
    if uniform.shape[1] == 1:
        return sample_items_(logits.clone(), uniform)[0]
    weights, chosen = _relative(logits), []
    for position in range(uniform.shape[1]):
        item = inverse_cdf(weights, uniform[:, position])  # (B,)
        chosen.append(item)
        if position + 1 < uniform.shape[1]:
            weights = weights.scatter(-1, item.unsqueeze(-1), 0.0)
            faint = weights.amax(-1) < _FAINT  # what is left is next to nothing beside what was drawn, or underflowed
            if bool(faint.any()):
                drawn = torch.stack(chosen, dim=-1)[faint]
                weights[faint] = _relative(logits[faint].scatter(-1, drawn, -torch.inf))
    return torch.stack(chosen, dim=-1)


def _relative(logits: Tensor) -> Tensor:
    """Return exp(logits) beside the best of each row, (B, I), so that none overflows.

    The running sum over them needs double precision, the exponential does not.
    """
    return (logits - logits.amax(-1, keepdim=True)).exp_().double()


def sample_items_(logits: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Draw an item for each row, and tell its log probability, in few passes; ``logits`` are overwritten.

    Parameters
    ----------
    logits : Tensor, shape (B, I)
        Without a gradient; ``-inf`` where an item cannot be shown.
    uniform : Tensor, shape (B, 1)
        Numbers in [0, 1).

    Returns
    -------
    item : Tensor, int64, shape (B, 1)
    log_prob : Tensor, shape (B,)
    """
    weights = logits.sub_(logits.amax(-1, keepdim=True)).exp_()
    total, item = blocked_cdf(weights, min(_BLOCK, weights.shape[1]), uniform.squeeze(1))
    assert item is not None
    item = item.unsqueeze(1)
    return item, (weights.gather(1, item) / total).log().squeeze(1).to(logits.dtype)


def top_slates(logits: Tensor, k: int) -> Tensor:
    """Return the most probable slate of each row, (B, K), best first; ties go to the lower index."""
    if k == 1:
        return logits.argmax(-1, keepdim=True)
    return torch.sort(logits, dim=-1, descending=True, stable=True).indices[:, :k]


class _LogProb(torch.autograd.Function):
    """log softmax of one item a row, for which autograd would make two gradients over the catalogue and add them."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, item: Tensor) -> Tensor:
        best = logits.amax(-1, keepdim=True)
        weights = (logits - best).exp_()  # (B, I)
        total = weights.sum(-1, keepdim=True)
        ctx.save_for_backward(weights, total, item)
        return (logits.gather(-1, item) - best - total.log()).squeeze(-1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        weights, total, item = ctx.saved_tensors
        grad = grads[0].unsqueeze(-1)
        return (weights * (-grad / total)).scatter_add_(-1, item, grad), None


def log_prob_of(logits: Tensor, item: Tensor) -> Tensor:
    """Return log softmax(logits) at one item a row, (B,), in as few passes over the catalogue as it takes.

    Parameters
    ----------
    logits : Tensor, shape (B, I)
        ``-inf`` where an item cannot be shown, but not in a whole row.
    item : Tensor, int64, shape (B, 1)
    """
    found: Tensor = _LogProb.apply(logits, item)  # type: ignore[no-untyped-call]
    return found


class _FactoredLogProb(torch.autograd.Function):
    """log softmax of factored logits at one item a row; see `factored_log_prob`.

    The gradient by a logit is [item] - p, so that by a row is a vector of the table minus their mean under p, which is
    taken here while p is at hand. The mean of the frozen logits alone follows from those of all and of the learned.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, frozen: Tensor, alpha: Tensor, hidden: Tensor, learned: Tensor, item: Tensor
    ) -> Tensor:
        rows, table = torch.cat([alpha * query, hidden], dim=1), torch.cat([frozen, learned], dim=1)
        n_rows, n_items = len(rows), len(table)
        weights = rows.new_empty(n_rows, n_items)
        # Used again and again: new memory costs more than sums in it.
        logits = rows.new_empty(min(_ROWS, n_rows), n_items)
        score, best, total, mean = rows.new_empty(4, n_rows, 1)
        for begin in range(0, n_rows, _ROWS):
            part = slice(begin, begin + _ROWS)
            x = torch.mm(rows[part], table.T, out=logits[: len(rows[part])])
            torch.gather(x, 1, item[part], out=score[part])
            torch.amax(x, 1, keepdim=True, out=best[part])
            w = torch.exp(x.sub_(best[part]), out=weights[part])
            torch.sum(w, 1, keepdim=True, out=total[part])
            mean[part] = torch.linalg.vecdot(w, x).unsqueeze(1)
        mean = mean / total + best  # (B, 1) of the logits under p
        chosen, expected = learned[item.squeeze(1)], (weights @ learned) / total  # (B, R)
        by_alpha = (score - mean).squeeze(1) - ((chosen - expected) * hidden).sum(1)
        ctx.save_for_backward(weights, total, item, hidden, chosen - expected, by_alpha / alpha)
        found: Tensor = (score - best - total.log()).squeeze(1)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        weights, total, item, hidden, by_hidden, by_alpha = ctx.saved_tensors
        grad = grads[0].unsqueeze(1)  # (B, 1)
        by_item = (weights.T @ (hidden * (-grad / total))).index_add_(0, item.squeeze(1), hidden * grad)
        return None, None, grads[0] @ by_alpha, grad * by_hidden, by_item, None


def factored_log_prob(
    query: Tensor, frozen: Tensor, alpha: Tensor, hidden: Tensor, learned: Tensor, item: Tensor
) -> Tensor:
    r"""Return log softmax(α query · frozenᵀ + hidden · learnedᵀ) at one item a row, (B,).

    As `log_prob_of` without logits to hand over: one matrix over the catalogue is kept, and beside the logits two
    products with the learned vectors are made, for the value and the gradient together.

    Parameters
    ----------
    query : Tensor, shape (B, E)
        Gets no gradient, nor does ``frozen``.
    frozen : Tensor, shape (I, E)
    alpha : Tensor, shape ()
    hidden : Tensor, shape (B, R)
    learned : Tensor, shape (I, R)
    item : Tensor, int64, shape (B, 1)
    """
    found: Tensor = _FactoredLogProb.apply(query, frozen, alpha, hidden, learned, item)  # type: ignore[no-untyped-call]
    return found


def slate_log_probs(logits: Tensor, slates: Tensor) -> Tensor:
    """Return the exact log probability of ``slates`` (B, K) of items, in this order; shape (B,)."""
    log_prob = logits.new_zeros(len(logits))
    for position in range(slates.shape[1]):
        item = slates[:, position : position + 1]  # (B, 1)
        log_prob = log_prob + log_prob_of(logits, item)
        if position + 1 < slates.shape[1]:
            logits = logits.scatter(-1, item, -torch.inf)
    return log_prob


def slate_log_probs_and_entropies(logits: Tensor, slates: Tensor) -> tuple[Tensor, Tensor]:
    """Return the exact log probability of ``slates`` (B, K) and an estimate of the entropy, both (B,).

    The entropy is the sum of the positions' conditional entropies along the given slate: exact for K = 1, and unbiased
    over slates drawn from these logits (the chain rule). It costs more passes over the catalogue.
    """
    log_prob = entropy = logits.new_zeros(len(logits))
    for position in range(slates.shape[1]):
        item = slates[:, position : position + 1]  # (B, 1)
        log_p = logits.log_softmax(-1)  # (B, I)
        log_prob = log_prob + log_p.gather(-1, item).squeeze(-1)
        entropy = entropy - (log_p.exp() * log_p.clamp(min=torch.finfo(log_p.dtype).min)).sum(-1)
        if position + 1 < slates.shape[1]:
            logits = logits.scatter(-1, item, -torch.inf)
    return log_prob, entropy
