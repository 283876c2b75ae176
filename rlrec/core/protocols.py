"""What a policy is, said once and low enough that everything above can judge one without importing its maker."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Policy(Protocol):
    """Chooses what to show. The signature is stable-baselines3's ``predict``, so its agents are policies as they are.

    ``observation`` is what the environment gave for a batch of users (an array with leading axis B, or a dict of them);
    the return is ``(actions, state)`` where ``actions`` has shape (B,) for single items or (B, K) for slates.
    """

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], Any]:
        """Return the actions for a batch of observations, and the policy's next state."""
        ...


@runtime_checkable
class StochasticPolicy(Policy, Protocol):
    """A policy that can say with what probability it would show each item."""

    def action_probs(self, observation: Any) -> NDArray[np.float64]:
        """Return probabilities, shape (B, n_items); rows sum to 1, masked items get 0."""
        ...
