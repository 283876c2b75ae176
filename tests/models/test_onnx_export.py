"""The ONNX graph beside the model: the same numbers, step by step, whatever the batch."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from rlrec.core.errors import MissingExtraError
from rlrec.models.base import BehaviourBatch, BehaviourStep
from tests.models.test_laws import MAKERS
from tests.small import cycle_log, cycle_model


@torch.no_grad()
def walk(session, model, n: int) -> None:
    tokens = BehaviourBatch.from_padded(cycle_log().sequences().pad(np.arange(n)))
    shape = (n, model.config.n_layers, model.config.hidden_size)
    feed = {"hidden": np.full(shape, 7.0, np.float32), "cell": np.full(shape, 7.0, np.float32)}  # not looked at
    feed["n_before"] = np.zeros(n, np.int64)
    state = model.initial_state(n)
    for t in range(3):
        step = tokens.at(t)
        heads, state = model.step(step, state)
        given = {key: getattr(step, key).numpy().astype(np.int64) for key in BehaviourStep._fields}
        log_probs, end, *after = session.run(None, feed | given)
        feed = dict(zip(("hidden", "cell", "n_before"), after, strict=True))
        np.testing.assert_allclose(log_probs, heads.item_log_probs().numpy(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(end, heads.end_probs().numpy(), rtol=1e-4, atol=1e-5)
    assert after[2].tolist() == [3] * n
    np.testing.assert_allclose(after[0], state.tensors[0].numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["gru", "lstm", "lstm_norm_2", "rnn"])
def test_the_graph_walks_with_the_model(name, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = MAKERS[name]()
    model.export_onnx(tmp_path / "step.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["step.onnx"]  # the weights are inside
    session = runtime.InferenceSession(str(tmp_path / "step.onnx"), providers=["CPUExecutionProvider"])
    for n in (1, 5):
        walk(session, model, n)


def test_the_model_is_as_before(tmp_path):
    pytest.importorskip("onnxscript")
    model = cycle_model()
    before = model.scores(model.histories([["i0"]]))
    model.export_onnx(tmp_path / "step.onnx")
    assert torch.equal(model.scores(model.histories([["i0"]])), before)
    assert all(parameter.requires_grad for parameter in model.network.parameters())


def test_without_the_extra_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"the ONNX export needs .*'onnx'.* pip install 'rlrec\[onnx\]'"):
        cycle_model().export_onnx(tmp_path / "step.onnx")
    assert not list(tmp_path.iterdir())
