"""The catalogue's cross-entropy in one step, beside torch's."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from rlrec.models import softmax
from rlrec.models.config import LSTMConfig
from rlrec.models.lstm import LSTMModel
from rlrec.models.softmax import catalogue_loss
from tests.small import cycle_log


def problem(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    query, vectors, bias = (
        torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in ((7, 4), (11, 4), (11,))
    )
    return query, vectors, bias, torch.randint(0, 11, (7,), generator=generator)


@pytest.mark.parametrize("block", [2**19, 25])  # one block, and blocks of two rows
def test_loss_and_gradient_are_those_of_torch(block, monkeypatch):
    monkeypatch.setattr(softmax, "_BLOCK", block)
    query, vectors, bias, target = problem()
    weight = torch.arange(7.0, dtype=torch.float64)  # each target's loss has its own upstream gradient
    mine = catalogue_loss(query, vectors, bias, target)
    theirs = F.cross_entropy(F.linear(query, vectors, bias), target, reduction="none")
    torch.testing.assert_close(mine, theirs)
    gradients = [torch.autograd.grad((loss * weight).sum(), (query, vectors, bias)) for loss in (mine, theirs)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
    assert torch.autograd.gradcheck(lambda q, v, b: catalogue_loss(q, v, b, target), (query, vectors, bias))


def test_an_item_left_out_has_no_share_and_no_gradient():
    query, vectors, bias, _ = problem()
    out = bias.detach().clone()
    out[3] = -torch.inf
    out.requires_grad_()
    target = torch.tensor([0, 1, 2, 4, 5, 6, 7])
    loss = catalogue_loss(query, vectors, out, target)
    kept = [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]
    place = torch.tensor([0, 1, 2, 3, 4, 5, 6])
    torch.testing.assert_close(loss, catalogue_loss(query, vectors[kept], bias[kept], place))
    gradient = torch.autograd.grad(loss.sum(), (vectors, out))
    assert gradient[0][3].abs().max() == gradient[1][3] == 0


def test_a_target_beyond_any_float_probability_has_a_finite_loss():
    query, vectors = torch.tensor([[400.0]]), torch.tensor([[1.0], [0.0]])
    loss = catalogue_loss(query, vectors, torch.zeros(2), torch.tensor([1]))
    assert float(loss) == 400.0


def test_products_in_half_precision_come_close():
    query, vectors, bias, target = problem(torch.float32)
    exact = catalogue_loss(query, vectors, bias, target)
    rough = catalogue_loss(query, vectors, bias, target, dtype=torch.bfloat16)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0.02, atol=0.05)
    assert not torch.equal(rough, exact)


def test_a_network_trained_so_learns_the_cycle():
    small = {"embedding_size": 8, "hidden_size": 16, "dropout": 0.0, "input_dropout": 0.0, "batch_tokens": 64}
    config = LSTMConfig(**small, n_epochs=8, precision="bfloat16")
    model = LSTMModel.fit(cycle_log(), valid=cycle_log(40, seed=1), config=config, show_progress=False)
    assert model.recommend([["i0", "i1"], ["i4"]], k=1).tolist() == [["i2"], ["i5"]]
