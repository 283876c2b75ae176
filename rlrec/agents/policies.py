"""A trained agent as a policy: it acts on observations, or on raw histories through its own observer."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.agents.actor_critic import ActorCritic, CandidateActorCritic
from rlrec.agents.config import (
    A2CConfig,
    AgentConfig,
    DQNConfig,
    MaskablePPOConfig,
    PPOConfig,
    QRDQNConfig,
    SlateQConfig,
)
from rlrec.agents.continuous_config import ContinuousConfig, DDPGConfig, SACConfig, TD3Config
from rlrec.agents.logged_networks import ResidualTwoHeadNetwork
from rlrec.agents.logit_policy import LogitPolicy
from rlrec.agents.networks import ResidualActorCritic, forecast_of
from rlrec.agents.observation import as_tensors, check_interests
from rlrec.agents.observers import load_observer
from rlrec.agents.offline_config import CQLConfig, SQNConfig
from rlrec.agents.proto_networks import ProtoNetwork
from rlrec.agents.q_networks import ResidualQNetwork, ResidualQuantileNetwork
from rlrec.agents.slate_networks import ForecastAttraction, SlateQNetwork
from rlrec.core.artifacts import artifact_parts, load_artifact, save_artifact
from rlrec.core.config import config_from_dict, config_to_dict
from rlrec.core.errors import ArtifactError, NotReadyError
from rlrec.data.sequences import Sequences
from rlrec.envs.nearest import NearestItems
from rlrec.models.base import SequenceModel, top_of

_OBSERVER = "observer"
PolicyConfig = AgentConfig | SQNConfig | CQLConfig
"""What an agent was trained with: on simulated users, or on a log."""
CONFIGS: dict[str, type[PolicyConfig]] = {
    f"agents/{config.algorithm}": config
    for config in (
        PPOConfig,
        A2CConfig,
        DQNConfig,
        MaskablePPOConfig,
        QRDQNConfig,
        TD3Config,
        DDPGConfig,
        SACConfig,
        SlateQConfig,
        SQNConfig,
        CQLConfig,
    )
}
_SAVED = (
    ResidualActorCritic,
    ResidualQNetwork,
    ResidualQuantileNetwork,
    ResidualTwoHeadNetwork,
    ProtoNetwork,
    SlateQNetwork,
)


class AgentPolicy(LogitPolicy):
    """A network with the observer that feeds it. Satisfies `rlrec.core.protocols.StochasticPolicy`.

    Made by `rlrec.agents.training.train_agent` or `load`. Random choices come from its own generator.

    Parameters
    ----------
    network : ActorCritic
    observer : SequenceModel, optional
        Turns histories into the interest vectors that the network acts on; without one it acts on observations only.
    config : PolicyConfig
        What it was trained with.
    slate_size : int
        Items that it shows at a time, K.
    seed : int
        Of its random choices.
    n_items : int, optional
        Number of actions, where it is not the observer's number of items.
    """

    def __init__(
        self,
        network: ActorCritic,
        observer: SequenceModel | None,
        config: PolicyConfig,
        *,
        slate_size: int = 1,
        seed: int = 0,
        n_items: int | None = None,
    ) -> None:
        if n_items is None:
            if observer is None:
                raise NotReadyError("an agent without an observer must be told its n_items")
            n_items = observer.n_items
        super().__init__(n_items, slate_size, seed=seed)
        self.network = network.eval()
        self.config = config
        if observer is not None:  # roll-outs ask whether a policy has one: without, they give the environment's own
            self.observer = observer

    @property
    def kind(self) -> str:
        """Name of its artifact, such as ``"agents/ppo"``."""
        return f"agents/{self.config.algorithm}"

    @property
    def alpha(self) -> float:
        """Learned sharpness of the user model in the policy; NaN where the network has none."""
        log_alpha = getattr(self.network, "log_alpha", None)
        return float("nan") if log_alpha is None else float(log_alpha.detach().exp())

    # ---- acting -------------------------------------------------------------------------------------------------

    def logits(self, observation: Any) -> Tensor:
        """Return the network's logits, (B, I)."""
        if hasattr(self, "observer"):
            check_interests(observation, self.observer.interest_size)
        return self.network.logits(as_tensors(observation))

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
        observer = getattr(self, "observer", None)
        if observer is None or isinstance(self.network, CandidateActorCritic):
            raise NotReadyError(
                "only an agent that acts on an observer's interest vectors recommends from histories; this one's "
                f"network is a {type(self.network).__name__}"
            )
        sequences = observer.as_sequences(histories)
        scores = self.network.logits(as_tensors(observer.interests(sequences)))
        items, _ = top_of(scores, sequences, k, exclude_seen=exclude_seen)
        ids: NDArray[Any] = observer.space.items.ids[items]
        return ids

    # ---- disk ---------------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> None:
        """Write the agent, and its observer in a sub-folder, as JSON and safetensors."""
        if not isinstance(self.network, _SAVED) or not hasattr(self, "observer"):
            raise NotReadyError(
                "only an agent that starts as its observer can be saved; this one's network is a "
                f"{type(self.network).__name__}"
            )
        observer = self.observer
        with artifact_parts(folder, f"{_OBSERVER}-") as parts:
            observer.save(parts)
            save_artifact(
                folder,
                kind=self.kind,
                config=config_to_dict(self.config),
                content={"slate_size": self.slate_size, "parts": parts.name},
                arrays={name: tensor.numpy() for name, tensor in self.network.state_dict().items()},
                catalog_sha256=observer.space.catalog_sha256,
            )

    @classmethod
    def load(cls, folder: str | Path, *, seed: int = 0) -> AgentPolicy:
        """Read an agent that `save` wrote; nothing is unpickled."""
        folder = Path(folder)
        artifact = load_artifact(folder)
        if artifact.kind not in CONFIGS:
            raise ArtifactError(f"{str(folder)!r} holds a {artifact.kind!r}, expected one of {', '.join(CONFIGS)}")
        config = config_from_dict(CONFIGS[artifact.kind], artifact.config, where="manifest")
        missing = sorted({"parts", "slate_size"} - artifact.content.keys())
        if missing:
            raise ArtifactError(f"the manifest in {str(folder)!r} lacks {', '.join(missing)}; train the agent again")
        parts = Path(str(artifact.content["parts"])).name  # the name alone: no path climbs out
        observer = load_observer(folder / parts)
        artifact.check_catalog(observer.space.catalog_sha256)
        slate_size = int(artifact.content["slate_size"])
        vectors = artifact.arrays.get("actor.items")
        items = None if vectors is None else torch.from_numpy(vectors.copy())
        network = build_network(observer, config, vectors=items, slate_size=slate_size)
        try:
            network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in artifact.arrays.items()})
        except RuntimeError as error:
            raise ArtifactError(f"the weights do not fit the config and observer saved with them: {error}") from error
        return cls(network, observer, config, slate_size=slate_size, seed=seed)


def build_network(
    observer: SequenceModel, config: PolicyConfig, *, vectors: Tensor | None = None, slate_size: int = 1
) -> ActorCritic:
    """Return an untrained network: the user model, sharpened, or for DQN its probabilities as values.

    ``vectors`` (I, E) is the item space of TD3, DDPG and SAC, by default the observer's own.
    """
    if isinstance(config, ContinuousConfig):
        return ProtoNetwork(
            observer,
            NearestItems.of(observer).vectors if vectors is None else vectors,
            observer.interest_size,
            hidden_size=config.hidden_size,
            n_nearest=config.n_nearest,
            temperature=config.temperature,
            slate_size=slate_size,
        )
    if isinstance(config, SlateQConfig):
        return SlateQNetwork(
            observer.interest_size,
            observer.n_items,
            slate_size,
            config.hidden_size,
            ForecastAttraction(forecast_of(observer)),
            kappa=config.kappa,
            temperature=config.temperature,
        )
    sizes: dict[str, Any] = {"rank": config.rank, "hidden_size": config.hidden_size}
    if isinstance(config, PPOConfig | A2CConfig):
        return ResidualActorCritic(observer, alpha=config.alpha_init, **sizes)
    sizes["temperature"] = config.temperature
    if isinstance(config, SQNConfig):
        return ResidualTwoHeadNetwork(observer, alpha=config.alpha_init, **sizes)
    if isinstance(config, QRDQNConfig):
        return ResidualQuantileNetwork(observer, n_quantiles=config.n_quantiles, **sizes)
    return ResidualQNetwork(observer, **sizes)
