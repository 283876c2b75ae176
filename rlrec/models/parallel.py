"""Data-parallel training: every process of a torch.distributed group takes its part of each batch.

Each head's loss is a mean over the targets of the whole batch, whichever process holds them, and the gradients are
added up. So two processes take the very steps of one, but for rounding and the draws of dropout: checked against one
process (``tests/models/test_parallel.py``). Without a group everything here does nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed

from rlrec.core.errors import InvalidArgumentError
from rlrec.models.gradients import flat_gradients, set_gradients
from rlrec.models.losses import HeadSums
from rlrec.models.network import SequenceNetwork

_COUNTS = ("n_item", "n_first", "n_end", "n_value")  # of a `HeadSums`


def n_processes() -> int:
    """Return how many processes train together; 1 without a group."""
    return distributed.get_world_size() if _is_grouped() else 1


def rank() -> int:
    """Return this process' number, from 0; 0 writes the files."""
    return distributed.get_rank() if _is_grouped() else 0


def check_together(*, sampled: bool) -> None:
    """Refuse what several processes cannot do together.

    Raises
    ------
    InvalidArgumentError
        If a sampled softmax is to be trained by more than one process.
    """
    if sampled and n_processes() > 1:
        raise InvalidArgumentError(
            f"a sampled softmax trains in one process, and there are {n_processes()}; "
            "set n_negatives=0 for the full softmax, or start without torchrun"
        )


def seed_epoch(seed: int, epoch: int) -> None:
    """Let every process draw its own dropout, and the same again after a kill; alone it keeps its generator."""
    if n_processes() > 1:
        torch.manual_seed(int(np.random.SeedSequence([seed, epoch, rank()]).generate_state(1, np.uint64)[0]))


def own_part(index: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Return this process' sequences of a batch, and what their losses count: 0 where the batch has too few for all."""
    mine = index[rank() :: n_processes()]
    return (mine, 1) if len(mine) else (index[:1], 0)


def over_all(sums: HeadSums, weight: int, device: torch.device) -> HeadSums:
    """Return this process' sums with the counts of all processes, so that each mean is over the whole batch."""
    if n_processes() == 1:
        return sums
    counts = torch.tensor([getattr(sums, name) for name in _COUNTS], device=device) * weight
    distributed.all_reduce(counts)
    scaled: dict[str, Any] = {name: part * weight for name, part in sums._asdict().items() if isinstance(part, Tensor)}
    return sums._replace(**scaled, **dict(zip(_COUNTS, counts.tolist(), strict=True)))


def add_up(network: SequenceNetwork, loss: Tensor) -> Tensor:
    """Replace the gradients by their sums over all processes, in one exchange; return the sum of the losses, ()."""
    if n_processes() == 1:
        return loss.detach()
    weights = [parameter for parameter in network.parameters() if parameter.requires_grad]
    flat = torch.cat([flat_gradients(weights), loss.detach().reshape(1)])
    distributed.all_reduce(flat)
    set_gradients(weights, flat[:-1])
    return flat[-1]


def of_first(value: float) -> float:
    """Return the first process' number in all of them: what decides when to stop must be the same, to the last bit."""
    if n_processes() == 1:
        return value
    held = torch.tensor([value], dtype=torch.float64)
    if distributed.get_backend() == "nccl":
        held = held.cuda()
    distributed.broadcast(held, 0)
    return float(held)


def wait() -> None:
    """Wait for the other processes."""
    if n_processes() > 1:
        distributed.barrier()


def _is_grouped() -> bool:
    return distributed.is_available() and distributed.is_initialized()
