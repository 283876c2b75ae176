"""A trained agent as a policy: it acts on interest vectors, or on raw histories through its own observer."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.agents.config import PPOConfig
from rlrec.agents.networks import ResidualActorCritic
from rlrec.agents.observers import load_observer
from rlrec.agents.slates import sample_slates, slate_log_probs, top_slates
from rlrec.core.artifacts import artifact_parts, load_artifact, save_artifact
from rlrec.core.config import config_from_dict, config_to_dict
from rlrec.core.errors import ArtifactError, InvalidArgumentError
from rlrec.data.sequences import Sequences
from rlrec.models.base import SequenceModel

_OBSERVER = "observer"


def check_interests(observation: Any, size: int) -> NDArray[np.float32]:
    """Return observations as float32 (B, D), or raise a sentence."""
    array = np.asarray(observation, np.float32)
    if array.ndim != 2 or array.shape[1] != size:
        raise InvalidArgumentError(
            f"observation must hold interest vectors of shape (n, {size}), got {array.shape}; "
            "they come from the environment or from observer.interests(histories)"
        )
    return array


class AgentPolicy:
    """A residual policy with the observer that feeds it. Satisfies `rlrec.core.protocols.StochasticPolicy`.

    Made by `rlrec.agents.training.train_agent` or `load`. Random choices come from its own generator.

    Parameters
    ----------
    network : ResidualActorCritic
    observer : SequenceModel
        Turns histories into the interest vectors that the network acts on.
    config : PPOConfig
        What it was trained with.
    slate_size : int
        Items that it shows at a time, K.
    seed : int
        Of its random choices.
    """

    kind: ClassVar[str] = "agents/ppo"

    def __init__(
        self,
        network: ResidualActorCritic,
        observer: SequenceModel,
        config: PPOConfig,
        *,
        slate_size: int = 1,
        seed: int = 0,
    ) -> None:
        self.network = network.eval()
        self.observer = observer
        self.config = config
        self.slate_size = slate_size
        self._generator = torch.Generator().manual_seed(seed)

    @property
    def n_items(self) -> int:
        """Number of items I."""
        return self.observer.n_items

    @property
    def alpha(self) -> float:
        """Learned sharpness of the user model in the policy."""
        return float(self.network.log_alpha.detach().exp())

    # ---- acting -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], Any]:
        """Return actions, (B,) for single items or (B, K) for slates, and ``state`` as it came (there is none)."""
        logits = self._logits(observation)
        if deterministic:
            slates = top_slates(logits, self.slate_size)
        else:
            shape = (len(logits), self.slate_size)
            slates = sample_slates(logits, torch.rand(shape, dtype=torch.float64, generator=self._generator))
        return (slates[:, 0] if self.slate_size == 1 else slates).numpy(), state

    @torch.no_grad()
    def action_probs(self, observation: Any) -> NDArray[np.float64]:
        """Return the probability that each item is shown first, (B, I); for slates of one item, that it is shown."""
        return self._logits(observation).double().softmax(-1).numpy()

    @torch.no_grad()
    def slate_log_probs(self, observation: Any, slates: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the exact log probability of drawing each slate, (B, K) item indices, in this order; shape (B,)."""
        log_probs, _ = slate_log_probs(self._logits(observation).double(), torch.from_numpy(slates.astype(np.int64)))
        return log_probs.numpy()

    def _logits(self, observation: Any) -> Tensor:
        interests = check_interests(observation, self.observer.interest_size)
        return self.network.logits(torch.from_numpy(interests))

    @torch.no_grad()
    def recommend(
        self, histories: Iterable[Iterable[Hashable]] | Sequences, k: int = 10, *, exclude_seen: bool = False
    ) -> NDArray[Any]:
        """Return the ``k`` items that the agent would rather show, as raw ids, best first, shape (n, k).

        Parameters
        ----------
        histories : iterable of iterables of item ids, or Sequences
            Oldest first; an empty history is a newcomer.
        k : int
            At most the number of items; it need not be the slate size.
        exclude_seen : bool
            Leave out the items of the history.
        """
        if not 1 <= k <= self.n_items:
            raise InvalidArgumentError(f"k must lie in 1..{self.n_items} (the catalogue), got {k}")
        sequences = histories if isinstance(histories, Sequences) else self.observer.histories(histories)
        logits = self._logits(self.observer.interests(sequences))
        if exclude_seen:
            row = np.repeat(np.arange(len(sequences)), sequences.lengths)
            logits[torch.from_numpy(row), torch.from_numpy(sequences.item.astype(np.int64))] = -torch.inf
        ids: NDArray[Any] = self.observer.space.items.ids[top_slates(logits, k).numpy()]
        return ids

    # ---- disk ---------------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> None:
        """Write the agent, and its observer in a sub-folder, as JSON and safetensors."""
        with artifact_parts(folder, f"{_OBSERVER}-") as parts:
            self.observer.save(parts)
            save_artifact(
                folder,
                kind=self.kind,
                config=config_to_dict(self.config),
                content={"slate_size": self.slate_size, "parts": parts.name},
                arrays={name: tensor.numpy() for name, tensor in self.network.state_dict().items()},
                catalog_sha256=self.observer.space.catalog_sha256,
            )

    @classmethod
    def load(cls, folder: str | Path, *, seed: int = 0) -> AgentPolicy:
        """Read an agent that `save` wrote; nothing is unpickled."""
        folder = Path(folder)
        artifact = load_artifact(folder, kind=cls.kind)
        config = config_from_dict(PPOConfig, artifact.config, where="manifest")
        parts = Path(str(artifact.content.get("parts", _OBSERVER))).name  # the name alone: no path climbs out
        observer = load_observer(folder / parts)
        artifact.check_catalog(observer.space.catalog_sha256)
        network = build_network(observer, config)
        try:
            network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in artifact.arrays.items()})
        except RuntimeError as error:
            raise ArtifactError(f"the weights do not fit the config and observer saved with them: {error}") from error
        return cls(network, observer, config, slate_size=int(artifact.content["slate_size"]), seed=seed)


def build_network(observer: SequenceModel, config: PPOConfig) -> ResidualActorCritic:
    """Return an untrained network: the user model, sharpened."""
    return ResidualActorCritic(observer, alpha=config.alpha_init, rank=config.rank, hidden_size=config.hidden_size)
