r"""Monte-Carlo rewards: what the discriminator says, on average, of whole sequences that begin with a prefix.

.. math::

    Q(s_{1:t}) = \frac{1}{K} \sum_{k=1}^{K} (2 D(s_{1:t}, \hat s^{(k)}_{t+1:}) - 1),
    \quad \hat s^{(k)} \sim G(. | s_{1:t})

A step is worth what its continuations are worth; nothing is discounted, and nothing is said of a prefix as such.

References
----------
.. [1] Yu et al., "SeqGAN: Sequence generative adversarial nets with policy gradient", AAAI 2017.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rlrec.data.sequences import PaddedBatch, Sequences
from rlrec.gan.discriminator import Discriminator, JudgedBatch
from rlrec.gan.sampling import generate_sequences
from rlrec.gan.sampling_config import SamplingConfig
from rlrec.models.base import SequenceModel

_JUDGED = 1_024  # sequences judged at a time


def rollout_rewards(
    judge: Discriminator,
    model: SequenceModel,
    batch: PaddedBatch,
    sampling: SamplingConfig,
    *,
    n_rollouts: int,
    max_length: int,
    seed: int,
) -> Tensor:
    """Return Q of each prefix of sampled sequences, (B, T + 1), 0 at padding.

    At the end token it is the verdict on the sequence as it stands: nothing is left to roll out.

    Parameters
    ----------
    batch : PaddedBatch
        Sampled sequences, (B, T).
    n_rollouts : int
        Continuations K of each prefix.
    """
    starts = prefixes(batch)
    n = len(starts)
    rolled = generate_sequences(
        model, n * n_rollouts, seed=seed, max_length=max_length, sampling=sampling, starts=starts
    )
    judged = [
        rolled.pad(np.arange(begin, min(begin + _JUDGED, len(rolled)))) for begin in range(0, len(rolled), _JUDGED)
    ]
    verdicts = torch.cat([judge.verdicts(JudgedBatch.from_padded(part, judge.n_items)) for part in judged])
    rewards = torch.zeros(len(batch.length), batch.item.shape[1] + 1)
    rewards[:, :-1][torch.from_numpy(batch.mask)] = verdicts.view(n_rollouts, n).mean(0)
    ends = np.flatnonzero(batch.ended)
    finished = JudgedBatch.from_padded(batch, judge.n_items)
    rewards[ends, batch.length[ends]] = judge.verdicts(finished)[ends]
    return rewards


def prefixes(batch: PaddedBatch) -> Sequences:
    """Return every prefix of every sequence, row by row, shortest first: one for each behaviour of the batch."""
    row, step = np.nonzero(batch.mask)
    offsets = np.concatenate([[0], np.cumsum(step + 1)]).astype(np.int64)
    owner = np.repeat(np.arange(len(row)), step + 1)
    place = np.arange(offsets[-1]) - offsets[owner]
    n = len(row)
    return Sequences(
        offsets=offsets,
        item=batch.item[row[owner], place].astype(np.int32),
        event=batch.event[row[owner], place].astype(np.int16),
        gap=batch.gap[row[owner], place],
        value=None,
        start=np.zeros(n),
        user=np.arange(n),
        ended=np.zeros(n, np.bool_),
    )
