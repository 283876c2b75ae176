"""The passes over a log that every agent learning from one alone makes; they differ in the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rlrec.agents.actor_critic import ActorCritic
from rlrec.agents.logged_steps import LoggedSteps
from rlrec.agents.offline_config import LoggedQConfig, OfflineConfig
from rlrec.agents.policies import PolicyConfig, build_network
from rlrec.core.errors import CollapseError, InvalidArgumentError
from rlrec.core.progress import progress
from rlrec.models.base import SequenceModel


def network_or_residual(
    network: ActorCritic | None, observer: SequenceModel | None, config: PolicyConfig
) -> ActorCritic:
    """Return the given network, or else the one that starts as the observer's forecast.

    Raises
    ------
    InvalidArgumentError
        If there is neither.
    """
    if network is not None:
        return network
    if observer is None:
        raise InvalidArgumentError("give an observer, or a network to train")
    return build_network(observer, config)


def fit_to_log(
    network: ActorCritic,
    loss_of: Callable[[NDArray[np.int64]], Tensor],
    config: OfflineConfig | LoggedQConfig,
    *,
    n_steps: int,
    rng: np.random.Generator,
    name: str,
    show: bool | None,
    after_update: Callable[[], None] | None = None,
) -> None:
    """Make ``n_epochs`` passes over a log in shuffled batches, in place, by Adam.

    Parameters
    ----------
    loss_of : callable
        From the rows of a batch, (N,), to the loss to go down on.
    n_steps : int
        Rows of the log.
    rng : Generator
        Shuffles.
    name : str
        On the progress bar, and in what is said when it fails.
    show : bool, optional
        Force the progress bar on or off.
    after_update : callable, optional
        Called without gradients after each step of Adam, as for moving a target.

    Raises
    ------
    CollapseError
        If the weights stop being finite.
    """
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    n_batches = max(n_steps // config.batch_size, 1)
    bar: Any = progress(description=name, total=config.n_epochs, unit="epoch", show=show)
    with bar:
        for _ in range(config.n_epochs):
            for batch in np.array_split(rng.permutation(n_steps), n_batches):
                optimizer.zero_grad()
                loss_of(batch).backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(network.parameters(), config.max_grad_norm)
                optimizer.step()
                if after_update is not None:
                    with torch.no_grad():
                        after_update()
            bar.update(1)
    if not all(bool(parameter.isfinite().all()) for parameter in network.parameters()):
        raise CollapseError(f"{name}'s weights are no longer finite; lower learning_rate and train again")


@torch.no_grad()
def n_actions_of(network: ActorCritic, steps: LoggedSteps) -> int:
    """Return how many actions a network scores."""
    return int(network.logits(torch.from_numpy(steps.observation[:1])).shape[1])
