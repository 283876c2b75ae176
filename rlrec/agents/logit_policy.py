"""Base of the policies that score every action: drawing, listing and masking are the same for all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.agents.observation import check_masks, masked
from rlrec.agents.slates import sample_slates, slate_log_probs, top_slates
from rlrec.core.checks import check_between


class LogitPolicy(ABC):
    """A subclass gives logits (B, I). Satisfies `rlrec.core.protocols.StochasticPolicy`.

    Parameters
    ----------
    n_items : int
        Number of actions I: items, or places of candidates.
    slate_size : int
        Items that it shows at a time, K.
    seed : int
        Of its random choices, which come from its own generator.
    """

    needs: ClassVar[tuple[str, ...]] = ("interest",)
    """Parts of the observation that it acts on, see `rlrec.envs.observations.Observations`."""

    def __init__(self, n_items: int, slate_size: int = 1, *, seed: int = 0) -> None:
        check_between("slate_size", slate_size, 1, n_items)
        self._n_items, self.slate_size = n_items, slate_size
        self._generator = torch.Generator().manual_seed(seed)

    @property
    def n_items(self) -> int:
        """Number of actions I."""
        return self._n_items

    @abstractmethod
    def logits(self, observation: Any) -> Tensor:
        """Return logits of all actions, (B, I), masks aside."""

    @torch.no_grad()
    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
        action_masks: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.int64], Any]:
        """Return actions, (B,) for single items or (B, K) for slates, and ``state`` as it came (there is none).

        ``action_masks`` (B, I) says what may be shown, besides the observation's own mask, if it has one.
        """
        logits = masked(self.logits(observation), observation)
        if action_masks is not None:
            logits = logits.masked_fill(~torch.from_numpy(check_masks(action_masks, logits.shape)), -torch.inf)
        if deterministic:
            slates = top_slates(logits, self.slate_size)
        else:
            shape = (len(logits), self.slate_size)
            slates = sample_slates(logits, torch.rand(shape, dtype=torch.float64, generator=self._generator))
        return (slates[:, 0] if self.slate_size == 1 else slates).numpy(), state

    @torch.no_grad()
    def action_probs(self, observation: Any) -> NDArray[np.float64]:
        """Return the probability that each item is shown first, (B, I); for slates of one item, that it is shown."""
        return masked(self.logits(observation), observation).double().softmax(-1).numpy()

    @torch.no_grad()
    def slate_log_probs(self, observation: Any, slates: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the exact log probability of drawing each slate, (B, K) item indices, in this order; shape (B,)."""
        logits = masked(self.logits(observation), observation).double()
        return slate_log_probs(logits, torch.from_numpy(slates.astype(np.int64))).numpy()
