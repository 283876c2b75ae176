"""The residual policy starts as the sharpened user model."""

import numpy as np
import pytest
import torch

from rlrec.agents.config import PPOConfig
from rlrec.agents.networks import forecast_of
from rlrec.agents.policies import build_network
from rlrec.core.errors import InvalidTypeError
from rlrec.models.counting import MarkovModel
from tests.agents.conftest import ring_log


def states(model):
    return model.encode(model.histories([[], [3], [3, 4, 5], [0, 1, 2, 3, 4]]))


def test_the_forecast_is_the_models_own_also_before_any_behaviour(model):
    state = states(model)
    got = forecast_of(model)(model.interest(state))
    torch.testing.assert_close(got, model.heads(state).item_log_probs())


def test_a_counting_model_forecasts_from_its_interest_vector():
    model = MarkovModel.fit(ring_log())
    state = states(model)
    got = forecast_of(model)(model.interest(state))
    torch.testing.assert_close(got, model.heads(state).item_log_probs())


def test_a_new_agent_is_the_softmax_of_alpha_log_p(model):
    network = build_network(model, PPOConfig(alpha_init=2.0))
    state = states(model)
    with torch.no_grad():
        probs = network.logits(model.interest(state)).softmax(-1).double().numpy()
    expected = model.heads(state).item_log_probs().detach().double().exp().numpy() ** 2
    np.testing.assert_allclose(probs, expected / expected.sum(1, keepdims=True), rtol=1e-4)


def test_the_forecast_does_not_learn(model):
    network = build_network(model, PPOConfig())
    network.logits(model.interest(states(model))).square().sum().backward()
    names = {name for name, parameter in network.named_parameters()}
    assert not any(name.startswith("forecast") for name in names)
    assert network.item_bonus.grad is not None
    assert not any(name.startswith("forecast") for name in network.state_dict())


@pytest.mark.parametrize("observer", ["lstm", "counts"])
def test_log_probabilities_of_items_are_those_of_the_logits_and_so_are_their_gradients(model, observer):
    if observer == "counts":
        model = MarkovModel.fit(ring_log())
    torch.manual_seed(0)
    network = build_network(model, PPOConfig())
    torch.nn.init.normal_(network.item_correction)
    interest = model.interest(states(model)).detach()
    items, weight = torch.tensor([[1], [0], [4], [2]]), torch.tensor([1.0, -2.0, 0.5, 3.0])
    grads, values = [], []
    for part in (interest, {"interest": interest}):  # a part may carry a mask, so it goes through the logits
        network.zero_grad()
        found = network.log_probs_of(part, items)
        (found * weight).sum().backward()
        values.append(found.detach())
        grads.append({name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None})
    torch.testing.assert_close(*values, atol=1e-5, rtol=1e-4)
    assert grads[0].keys() == grads[1].keys() >= {"log_alpha", "item_correction", "item_bonus"}
    for name in grads[0]:
        torch.testing.assert_close(grads[0][name], grads[1][name], atol=1e-5, rtol=1e-3)


def test_what_cannot_forecast_is_refused():
    with pytest.raises(InvalidTypeError, match="observer"):
        forecast_of("nothing")
