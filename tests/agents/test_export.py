"""An exported policy gives what the policy gives, for any number of users."""

import numpy as np
import pytest
import torch

from rlrec.agents.actor_critic import PlainActorCritic
from rlrec.agents.export import export_onnx, export_program
from rlrec.agents.policies import CONFIGS, AgentPolicy, build_network
from rlrec.core.errors import MissingExtraError, NotReadyError
from tests.small import N_ITEMS, cycle_log, cycle_model


def interests(n: int) -> np.ndarray:
    read = cycle_model().interests(cycle_log().sequences())[: n - 1]
    return np.concatenate([cycle_model().interests([[]]), read])  # a newcomer first: its forecast has its own scale


def policy(name: str) -> AgentPolicy:
    config = CONFIGS[name](hidden_size=8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network(cycle_model(), config)
        for parameter in network.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return AgentPolicy(network, cycle_model(), config)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_exported_program_is_the_policy(name):
    agent = policy(name)
    run = export_program(agent).module()
    for n in (1, 2, 7):
        seen = interests(n)
        with torch.no_grad():
            logits = run(torch.from_numpy(seen))
        assert logits.shape == (n, N_ITEMS)
        np.testing.assert_allclose(logits.double().softmax(-1).numpy(), agent.action_probs(seen), atol=1e-6)


@pytest.mark.parametrize("name", ["agents/ppo", "agents/qrdqn", "agents/sqn"])
def test_the_onnx_file_is_the_policy(name, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    agent = policy(name)
    export_onnx(agent, tmp_path / "policy.onnx")
    session = runtime.InferenceSession(str(tmp_path / "policy.onnx"), providers=["CPUExecutionProvider"])
    for n in (1, 5):
        seen = interests(n)
        (logits,) = session.run(["logits"], {"interest": seen})
        with torch.no_grad():
            np.testing.assert_allclose(logits, agent.logits(seen).numpy(), rtol=1e-4, atol=1e-4)


def test_what_cannot_be_exported_says_so(tmp_path, monkeypatch):
    config = CONFIGS["agents/ppo"]()
    with pytest.raises(NotReadyError, match="this one has none"):
        export_program(AgentPolicy(PlainActorCritic(3, 2, 4), None, config, n_items=2))
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(MissingExtraError, match="ONNX export needs the package 'onnx'; install it with: pip install"):
        export_onnx(policy("agents/ppo"), tmp_path / "policy.onnx")
