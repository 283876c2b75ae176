"""One step of the LSTM as an ONNX graph, for a server without Python.

Needs ``onnx`` and ``onnxscript`` to write (extra ``onnx``). Checked against the model, step by step
(``tests/models/test_onnx_export.py``).
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from rlrec.core.artifacts import atomic_path
from rlrec.core.errors import MissingExtraError
from rlrec.models.base import BehaviourStep, RecurrentState

if TYPE_CHECKING:
    from rlrec.models.lstm import LSTMModel

INPUTS = ("item", "event", "gap", "hidden", "cell", "n_before")
OUTPUTS = ("log_probs", "end_probs", "next_hidden", "next_cell", "next_n_before")


def export_onnx(model: LSTMModel, path: str | Path) -> None:
    """Write the step function of a fitted model, of any cell, as one ONNX file.

    Inputs, for any batch B: ``item``, ``event``, ``gap`` and ``n_before`` (B,), int64; ``hidden`` and ``cell``
    (B, layers, H), float32. ``n_before`` counts the behaviours already taken in; where it is 0 the graph begins from
    the model's own start, whatever ``hidden`` and ``cell`` hold. Outputs: ``log_probs`` (B, I) of the next item and
    ``end_probs`` (B,), both calibrated; ``next_hidden``, ``next_cell`` and ``next_n_before`` for the next call. Indices
    are those of ``model.space.items``.

    Raises
    ------
    MissingExtraError
        If ``onnx`` or ``onnxscript`` is not installed.
    """
    for package in ("onnx", "onnxscript"):
        _require(package)
    step = _Step(model).eval()
    n, batch = 2, torch.export.Dim("batch")
    size = (n, model.config.n_layers, model.config.hidden_size)
    whole = [torch.zeros(n, dtype=torch.int64, device=model.device) for _ in range(4)]
    # Each input a tensor of its own: one tensor given twice becomes one input of the graph.
    example = (*whole[:3], torch.zeros(size, device=model.device), torch.zeros(size, device=model.device), whole[3])
    with torch.no_grad(), atomic_path(path) as temporary, _silence():
        torch.onnx.export(
            step,
            example,
            temporary,
            input_names=INPUTS,
            output_names=OUTPUTS,
            dynamic_shapes=tuple({0: batch} for _ in INPUTS),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


class _Step(nn.Module):
    """The graph: tensors in, tensors out."""

    def __init__(self, model: LSTMModel) -> None:
        super().__init__()
        self.network, self.calibration = model.network, model.calibration

    def forward(
        self, item: Tensor, event: Tensor, gap: Tensor, hidden: Tensor, cell: Tensor, n_before: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        network, scales = self.network, self.calibration
        opens = (n_before == 0).view(-1, 1, 1)
        before = (torch.where(opens, network.start_hidden, hidden), torch.where(opens, network.start_cell, cell))
        after = network.step(BehaviourStep(item, event, gap), RecurrentState(before))
        next_hidden, next_cell = after.tensors
        top = next_hidden[:, -1]
        log_probs = (network.item_logits(top) * scales.item_scale).log_softmax(-1)
        end = torch.sigmoid(network.end_logit(top) * scales.end_scale + scales.end_shift)
        return log_probs, end, next_hidden, next_cell, n_before + 1


def _require(package: str) -> None:
    import importlib

    try:
        importlib.import_module(package)
    except ImportError as error:
        raise MissingExtraError(package, "onnx", "the ONNX export") from error


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporter's own progress and its notes on packages that no graph of ours needs to itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
