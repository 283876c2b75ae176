"""A trained policy as a program without rlrec: `torch.export`, or ONNX for other runtimes.

What is exported is the network, from interest vectors to the logits of all items: softmax gives the probabilities, the
largest is the best item. The interest vectors come from the observer, wherever it runs. Nothing is pickled or traced by
example: `torch.export` reads the program, with the number of users left open.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from rlrec.agents.actor_critic import ActorCritic
from rlrec.agents.policies import AgentPolicy
from rlrec.core.artifacts import atomic_path
from rlrec.core.errors import MissingExtraError, NotReadyError

INPUT, OUTPUT = "interest", "logits"


class _Logits(nn.Module):
    """From interest vectors (B, D) to logits (B, I)."""

    def __init__(self, network: ActorCritic) -> None:
        super().__init__()
        self.network = network

    def forward(self, interest: Tensor) -> Tensor:
        return self.network.logits(interest)


def export_program(policy: AgentPolicy) -> torch.export.ExportedProgram:
    """Return the policy's network as a program of `torch.export`, for any number of users.

    Its ``module()`` takes interest vectors (B, D), float32, and returns logits (B, I). Masks are the caller's.

    Raises
    ------
    NotReadyError
        If the policy has no observer, so that the size of an interest vector is unknown.
    """
    observer = getattr(policy, "observer", None)
    if observer is None:
        raise NotReadyError("only an agent that acts on an observer's interest vectors is exported; this one has none")
    example = torch.zeros(2, observer.interest_size)  # 2, because a program seen with 1 may be special for 1
    batch = torch.export.Dim("batch", min=1)
    return torch.export.export(_Logits(policy.network).eval(), (example,), dynamic_shapes=({0: batch},))


def export_onnx(policy: AgentPolicy, path: str | Path) -> None:
    """Write the policy's network as an ONNX file: input ``interest`` (B, D), output ``logits`` (B, I).

    Raises
    ------
    MissingExtraError
        If onnx or onnxscript is not installed.
    NotReadyError
        As for `export_program`.
    """
    program = export_program(policy)
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "onnx", "ONNX export") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own exporter, about its own insides
        written = torch.onnx.export(program, (), input_names=[INPUT], output_names=[OUTPUT], verbose=False)
    assert written is not None
    with atomic_path(Path(path)) as temporary:
        written.save(str(temporary))
