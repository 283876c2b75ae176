"""Plackett-Luce against enumeration of all slates."""

import itertools

import numpy as np
import pytest
import torch

from rlrec.agents.slates import (
    factored_log_prob,
    log_prob_of,
    sample_items_,
    sample_slates,
    slate_log_probs,
    slate_log_probs_and_entropies,
    top_slates,
)
from rlrec.models.sampling import inverse_cdf

LOGITS = torch.tensor([0.3, -1.0, 2.0, 0.0], dtype=torch.float64)


def enumerate_slates(k: int) -> tuple[torch.Tensor, np.ndarray]:
    weights = LOGITS.exp().tolist()
    slates = list(itertools.permutations(range(len(weights)), k))
    probs = []
    for slate in slates:
        left, prob = sum(weights), 1.0
        for item in slate:
            prob *= weights[item] / left
            left -= weights[item]
        probs.append(prob)
    return torch.tensor(slates), np.array(probs)


def test_slate_probabilities_are_those_of_enumeration_and_sum_to_one():
    for k in (1, 2, 3, 4):
        slates, expected = enumerate_slates(k)
        log_probs = slate_log_probs(LOGITS.expand(len(slates), -1), slates)
        np.testing.assert_allclose(log_probs.exp().numpy(), expected, rtol=1e-12)
        assert abs(expected.sum() - 1) < 1e-12


def test_entropy_is_unbiased_over_the_slates():
    slates, probs = enumerate_slates(3)
    log_probs, entropy = slate_log_probs_and_entropies(LOGITS.expand(len(slates), -1), slates)
    assert abs(float((entropy.numpy() * probs).sum()) - float(-(probs * np.log(probs)).sum())) < 1e-12
    torch.testing.assert_close(log_probs, slate_log_probs(LOGITS.expand(len(slates), -1), slates))


def test_samples_have_the_exact_frequencies_and_never_repeat_an_item():
    n, generator = 40_000, torch.Generator().manual_seed(0)
    drawn = sample_slates(LOGITS.expand(n, -1), torch.rand(n, 2, dtype=torch.float64, generator=generator))
    assert (drawn[:, 0] != drawn[:, 1]).all()
    slates, probs = enumerate_slates(2)
    counts = np.array([int((drawn == slate).all(1).sum()) for slate in slates])
    chi_square = ((counts - n * probs) ** 2 / (n * probs)).sum()
    assert chi_square < 31.3  # 99.9 % point with 11 degrees of freedom


def test_masked_items_are_never_drawn_and_keep_gradients_finite():
    logits = torch.tensor([[0.0, -torch.inf, 1.0, 0.5]]).expand(500, -1).clone().requires_grad_()
    drawn = sample_slates(logits.detach(), torch.rand(500, 3, dtype=torch.float64))
    assert not (drawn == 1).any()
    log_probs, entropy = slate_log_probs_and_entropies(logits, drawn)
    (log_probs.sum() + entropy.sum() + slate_log_probs(logits, drawn).sum()).backward()
    assert logits.grad.isfinite().all()
    assert entropy.isfinite().all()


def test_the_short_gradient_is_autograds():
    logits = torch.randn(5, 7, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    logits[:, 2] = -torch.inf
    item, weight = torch.tensor([[0], [1], [3], [4], [6]]), torch.tensor([1.0, -2.0, 0.5, 3.0, 0.0]).double()
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    expected = theirs.log_softmax(-1).gather(1, item).squeeze(1)
    torch.testing.assert_close(log_prob_of(ours, item), expected)
    (log_prob_of(ours, item) * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_a_drawn_item_and_its_probability_are_those_of_a_full_running_sum():
    logits = 3 * torch.randn(3_000, 203, generator=torch.Generator().manual_seed(2))
    logits[:, 7] = -torch.inf
    uniform = torch.rand(3_000, 1, dtype=torch.double, generator=torch.Generator().manual_seed(3))
    items, log_probs = sample_items_(logits.clone(), uniform)
    weights = logits.double().softmax(-1)
    expected = inverse_cdf(weights, uniform.squeeze(1))
    assert (items.squeeze(1) == expected).double().mean() > 0.999  # single precision may tip one on an edge
    assert not (items == 7).any()
    torch.testing.assert_close(log_probs, weights.gather(1, items).log().squeeze(1).float(), atol=1e-5, rtol=1e-5)
    assert torch.equal(sample_slates(logits, uniform), items)


@pytest.mark.parametrize("n", [6, 300])  # within one piece of rows, and over several
def test_the_factored_value_and_gradient_are_autograds(n):
    generator = torch.Generator().manual_seed(4)
    shapes = ((n, 3), (9, 3), (), (n, 2), (9, 2), (n,))
    query, frozen, alpha, hidden, learned, weight = (
        torch.randn(shape, dtype=torch.double, generator=generator) for shape in shapes
    )
    item = torch.randint(9, (n, 1), generator=generator)
    ours, theirs = ([tensor.clone().requires_grad_() for tensor in (alpha, hidden, learned)] for _ in range(2))
    logits = theirs[0] * query @ frozen.T + theirs[1] @ theirs[2].T
    expected = logits.log_softmax(-1).gather(1, item).squeeze(1)
    got = factored_log_prob(query, frozen, ours[0], ours[1], ours[2], item)
    torch.testing.assert_close(got, expected)
    (got * weight).sum().backward()
    (expected * weight).sum().backward()
    for mine, autograds in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, autograds.grad)


def test_the_top_slate_gives_ties_to_the_lower_index():
    assert top_slates(torch.tensor([[1.0, 2.0, 2.0, 0.0]]), 3).tolist() == [[1, 2, 0]]
    assert top_slates(torch.tensor([[1.0, 2.0, 2.0, 0.0]]), 1).tolist() == [[1]]


def test_a_slate_is_drawn_whole_where_all_but_one_item_are_next_to_nothing():
    logits = torch.tensor([[0.0, -300.0, -301.0, -700.0], [5.0, 4.0, 3.0, 2.0]])
    uniform = torch.rand(4_000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    slates = sample_slates(logits[:1].expand(4_000, -1), uniform)
    assert (slates[:, 0] == 0).all()
    assert (slates.sort(dim=1).values == torch.tensor([0, 1, 2])).all()
    assert float((slates[:, 1] == 1).double().mean()) == pytest.approx(1 / (1 + np.exp(-1.0)), abs=0.03)
    both = sample_slates(logits, uniform[:2])  # the other row is drawn as it would be alone
    assert torch.equal(both[1:], sample_slates(logits[1:], uniform[1:2]))
