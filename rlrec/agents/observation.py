"""Reading observations: an array of interest vectors, or a dict of parts with interests and perhaps a mask in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.errors import InvalidArgumentError

_BITS = 2 ** torch.arange(7, -1, -1)  # of a byte, in the order of np.packbits


def check_interests(observation: Any, size: int) -> NDArray[np.float32]:
    """Return the interest vectors of observations as float32 (B, D), or raise a sentence."""
    array = np.asarray(observation["interest"] if isinstance(observation, Mapping) else observation, np.float32)
    if array.ndim != 2 or array.shape[1] != size:
        raise InvalidArgumentError(
            f"observation must hold interest vectors of shape (n, {size}), got {array.shape}; "
            "they come from the environment or from observer.interests(histories)"
        )
    return array


def check_masks(masks: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return masks of ``shape`` (B, n_actions) as booleans that leave each row something, or raise a sentence."""
    array = np.asarray(masks)
    if array.shape != tuple(shape) or array.dtype != np.bool_ or not array.any(axis=-1).all():
        raise InvalidArgumentError(
            f"action_masks must be a boolean array of shape {tuple(shape)} that allows something in every row, got "
            f"{array.dtype} {array.shape}"
        )
    return array


def as_tensors(observation: Any) -> Any:
    """Return an array as a tensor, a mapping of arrays as a dict of tensors."""
    if isinstance(observation, Mapping):
        return {part: torch.as_tensor(np.asarray(column)) for part, column in observation.items()}
    return torch.as_tensor(np.asarray(observation, np.float32))


def n_users(observation: Any) -> int:
    """Return the number of users B that an observation is of."""
    return len(next(iter(observation.values())) if isinstance(observation, Mapping) else observation)


def interest_in(observation: Any) -> Tensor:
    """Return the interest vectors (B, D) of an observation in tensors."""
    interest: Tensor = observation["interest"] if isinstance(observation, Mapping) else observation
    return interest.float()


def mask_in(observation: Any, n_actions: int) -> Tensor | None:
    """Return what may be shown, bool (B, n_actions), or None if the observation does not say.

    ``mask`` is one number an action, ``mask_bits`` one bit: a buffer of them is 8 times smaller. A buffer may have
    turned both into floats.
    """
    if not isinstance(observation, Mapping):
        return None
    if "mask" in observation:
        return torch.as_tensor(observation["mask"]) > 0.5
    if "mask_bits" not in observation:
        return None
    bytes_ = torch.as_tensor(observation["mask_bits"]).long().unsqueeze(-1)  # (B, ceil(I / 8), 1)
    return ((bytes_ & _BITS) > 0).flatten(1)[:, :n_actions]


def masked(logits: Tensor, observation: Any) -> Tensor:
    """Return ``logits`` (B, n_actions) with -inf where the observation's mask forbids."""
    mask = mask_in(observation, logits.shape[1])
    return logits if mask is None else logits.masked_fill(~mask, -torch.inf)
