r"""How real a simulated session looks, and rewards that count for as much: the discriminator as a check on an agent.

An agent that trains on simulated people earns most where the simulator is wrong in its favour. A discriminator that
knows simulated sessions from real ones sees some of that. With c the calibrated chance that the session so far is real
(against equally many real and simulated prefixes of its length), a reward is multiplied by

.. math:: w = 2 c \in (0, 2)

which is 1 where nothing can be told, and near 0 where no real session goes.

It also taxes what no real session shows because nobody recommended it: sessions under a new policy differ from the
log's for reasons that are no fault of the simulator. So judge by what an agent earns in a simulator of other people.

References
----------
.. [1] Bai, Guan & Wang, "A model-based reinforcement learning with adversarial training for online recommendation"
   (IRecGAN), NeurIPS 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor

from rlrec.core.checks import check_at_least
from rlrec.core.errors import CollapseError, DataError, InvalidArgumentError
from rlrec.data.sequences import Sequences
from rlrec.envs.rewards import FloatArray, Reward, Step
from rlrec.gan.config import GANConfig
from rlrec.gan.discriminator import Discriminator, JudgedBatch
from rlrec.models.threads import torch_seed, torch_threads

_MIN_SEQUENCES = 20  # of each kind
_HELD = 4  # one user in so many calibrates
_BATCH = 64  # windows of each kind in an update


@dataclass(frozen=True, kw_only=True)
class RealismConfig:
    """How the judge of sessions is trained."""

    window: int = 20
    """Last behaviours that it reads; the environment must keep as many (its ``window``)."""
    n_updates: int = 300
    """Updates of 64 windows of each kind (chosen here)."""

    def __post_init__(self) -> None:
        """Refuse what reads or learns nothing."""
        check_at_least("window", self.window, 1)
        check_at_least("n_updates", self.n_updates, 1)


class RealismJudge:
    """A calibrated discriminator of the items of a session so far. Build it with `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> from rlrec.data.sequences import Sequences
    >>> rng = np.random.default_rng(0)
    >>> offsets = np.arange(0, 401, 4)
    >>> real = Sequences.from_items(rng.integers(0, 2, 400), offsets)  # items 0 and 1
    >>> simulated = Sequences.from_items(rng.integers(1, 3, 400), offsets)  # items 1 and 2
    >>> judge = RealismJudge.fit(real, simulated, 3, seed=0)
    >>> chances = judge.chances(np.array([[0, 1, 0], [2, 1, -1]]))  # the latest first, -1 where there is none
    >>> bool(chances[0] > 0.9), bool(chances[1] < 0.1)
    (True, True)
    """

    def __init__(self, network: Discriminator, scale: float, shift: float, auc: float, window: int) -> None:
        self.network = network.eval()
        self.scale, self.shift = scale, shift
        self.auc = auc
        """AUC on prefixes of held-out users, each length counted alike: 0.5 cannot tell."""
        self.window = window

    @classmethod
    def fit(
        cls, real: Sequences, simulated: Sequences, n_items: int, *, config: RealismConfig | None = None, seed: int = 0
    ) -> RealismJudge:
        """Learn to tell prefixes of real sessions from prefixes of simulated ones.

        Every length has the same weight on both sides, so that a session is no forgery for its length. A quarter of
        the users of either set teaches nothing: the calibration (a line in the logit) and ``auc`` come from them.

        Parameters
        ----------
        real : Sequences
            Logged sessions, of people whom the simulator was fitted on or of others.
        simulated : Sequences
            Sessions of simulated people, served as the agent will serve them or by a baseline; see
            `simulated_sessions`.
        n_items : int
        config : RealismConfig, optional
        seed : int

        Raises
        ------
        DataError
            If either set has fewer than 20 sessions.
        CollapseError
            If the loss stops being finite.
        """
        config = RealismConfig() if config is None else config
        sets = [s.select(s.lengths > 0) for s in (real, simulated)]
        if min(map(len, sets)) < _MIN_SEQUENCES:
            raise DataError(
                f"the judge of realism needs at least {_MIN_SEQUENCES} real and simulated sessions, got "
                f"{len(sets[0])} and {len(sets[1])}"
            )
        rng = np.random.default_rng(seed)
        held = [_held(s, rng) for s in sets]
        taught = [s.select(~out) for s, out in zip(sets, held, strict=True)]
        asked = [s.select(out) for s, out in zip(sets, held, strict=True)]
        with torch_threads(1), torch_seed(seed):
            network = Discriminator(n_items, 1, GANConfig())
            _teach(network, taught, config, rng)
            logits, weights = zip(*_judged(network.eval(), asked, config.window, rng), strict=True)
        label = np.repeat([1, 0], [len(part) for part in logits])
        logit, weight = np.concatenate(logits), np.concatenate(weights)
        line = LogisticRegression().fit(logit[:, None], label, sample_weight=weight * len(label) / weight.sum())
        auc = float(roc_auc_score(label, logit, sample_weight=weight))
        return cls(network, float(line.coef_[0, 0]), float(line.intercept_[0]), auc, config.window)

    @torch.no_grad()
    def chances(self, recent: NDArray[np.int64]) -> FloatArray:
        """Return the calibrated chance that each session so far is real, (B,).

        Parameters
        ----------
        recent : int array, shape (B, W)
            Last items, the latest first, -1 where there is none, as `Step.recent`.
        """
        recent = recent[:, : self.window]
        length = (recent >= 0).sum(1)
        place = length[:, None] - 1 - np.arange(recent.shape[1])  # (B, W) of the w-th item from the start
        items = np.maximum(np.take_along_axis(recent, np.maximum(place, 0), axis=1), 0)
        with torch_threads(1):
            logit = _logits(self.network, items, np.maximum(length, 1))
        last = logit[torch.arange(len(items)), torch.from_numpy(np.maximum(length, 1) - 1)].double().numpy()
        chance: FloatArray = 1 / (1 + np.exp(-(self.scale * last + self.shift)))
        return np.where(length > 0, chance, 0.5)


@dataclass(frozen=True)
class RealismWeighted:
    """A reward times twice the chance that the session so far is real."""

    reward: Reward
    judge: RealismJudge
    needs_recent: ClassVar[bool] = True

    def __call__(self, step: Step) -> FloatArray:
        """Return the weighted term of each person, (B,)."""
        if step.recent is None:
            raise InvalidArgumentError(
                "RealismWeighted needs the last items of each person; step a RecommendationVectorEnv, which gives them"
            )
        return self.reward(step) * 2 * self.judge.chances(step.recent)


# ---- training -----------------------------------------------------------------------------------------------------


def _held(sequences: Sequences, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which sequences are those of a quarter of the users, (S,)."""
    users, code = np.unique(sequences.user, return_inverse=True)
    out: NDArray[np.bool_] = (rng.permutation(len(users)) % _HELD == 0)[code]
    return out


def _windows(
    sequences: Sequences, window: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return up to ``window`` behaviours in a row of each sequence, (S, W) padded with 0, and how many, (S,)."""
    length = np.minimum(sequences.lengths, window)
    start = sequences.offsets[:-1] + (rng.random(len(sequences)) * (sequences.lengths - length + 1)).astype(np.int64)
    place = np.arange(int(length.max()))
    rows = np.minimum(start[:, None] + place, sequences.n_events - 1)
    return np.where(place < length[:, None], sequences.item[rows], 0).astype(np.int64), length


def _weights(lengths: list[NDArray[np.int64]]) -> list[FloatArray]:
    """Return the weight of a prefix of each length, (W,), for each set: what both have of it in all over the set's."""
    width = max(int(length.max()) for length in lengths)
    counts = [np.bincount(length, minlength=width + 1)[::-1].cumsum()[::-1][1:] for length in lengths]  # at least t + 1
    both = np.minimum(*counts)
    return [both / np.maximum(count, 1) for count in counts]


def _logits(network: Discriminator, items: NDArray[np.int64], length: NDArray[np.int64]) -> Tensor:
    item = torch.from_numpy(np.ascontiguousarray(items))
    mask = torch.from_numpy(np.arange(items.shape[1]) < length[:, None])
    nothing = torch.zeros_like(item)
    logit: Tensor = network(JudgedBatch(item, nothing, nothing, mask))
    return logit


def _teach(network: Discriminator, sets: list[Sequences], config: RealismConfig, rng: np.random.Generator) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    by_length = _weights([np.minimum(s.lengths, config.window) for s in sets])
    network.train()
    for _ in range(config.n_updates):
        loss = torch.zeros(())
        for sequences, weights, real in zip(sets, by_length, (1.0, 0.0), strict=True):
            batch = sequences.select(rng.integers(0, len(sequences), _BATCH))
            items, length = _windows(batch, config.window, rng)
            mask = np.arange(items.shape[1]) < length[:, None]
            weight = torch.from_numpy(np.broadcast_to(weights[: items.shape[1]], mask.shape)[mask]).float()
            logit = _logits(network, items, length)[torch.from_numpy(mask)]
            target = torch.full_like(logit, real)
            each = torch.nn.functional.binary_cross_entropy_with_logits(logit, target, reduction="none")
            loss = loss + (weight * each).sum() / weight.sum().clamp(min=1e-9)
        if not bool(torch.isfinite(loss)):
            raise CollapseError("the loss of the judge of realism is no longer finite; look for broken sessions")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


@torch.no_grad()
def _judged(
    network: Discriminator, sets: list[Sequences], window: int, rng: np.random.Generator
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield the logits of all prefixes of each set, with weights that make each length count alike on both sides."""
    by_length = _weights([np.minimum(s.lengths, window) for s in sets])
    for sequences, weights in zip(sets, by_length, strict=True):
        items, length = _windows(sequences, window, rng)
        mask = np.arange(items.shape[1]) < length[:, None]
        logit = _logits(network, items, length)[torch.from_numpy(mask)].double().numpy()
        weight = np.broadcast_to(weights[: items.shape[1]], mask.shape)[mask]
        yield logit, weight / weight.sum()
