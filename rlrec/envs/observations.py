"""Observations in parts: one part is an array, several are a Dict of them. Nothing a real system could not know."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from rlrec.core.errors import InvalidArgumentError
from rlrec.envs.forecasts import Forecaster
from rlrec.envs.visible import Visible
from rlrec.models.base import SequenceModel

PARTS = ("interest", "history", "mask", "mask_bits", "candidates", "candidate_features")
_CANDIDATE_FEATURES = 2


class Observations:
    """Turns visible people into observations.

    Parameters
    ----------
    parts : sequence of str
        ``interest``: the observer's interest vector (D,), in [-1, 1].
        ``history``: the last W items as (W,) integers, the latest first, 0 for none and item + 1 else.
        ``mask``: what may be shown, (n_actions,) of 0 and 1.
        ``mask_bits``: the same in bits, (ceil(n_actions / 8),) bytes.
        ``candidates``: the items (C,) that the actions stand for.
        ``candidate_features``: (C, 2), the observer's log p(item | history) over 10, and the item's training
        popularity percentile.
    """

    def __init__(
        self,
        parts: tuple[str, ...],
        observer: SequenceModel,
        *,
        window: int,
        n_actions: int,
        forecaster: Forecaster | None,
    ) -> None:
        wrong = [part for part in parts if part not in PARTS]
        if wrong or not parts or len(set(parts)) < len(parts):
            raise InvalidArgumentError(f"observation must name different parts of {', '.join(PARTS)}, got {parts}")
        self.parts = parts
        self._observer, self._n_actions = observer, n_actions
        self._forecast = forecaster
        counts = observer.space.item_counts
        self._popularity = (np.searchsorted(np.sort(counts), counts, side="right") / len(counts)).astype(np.float32)
        # An LSTM's hidden vector is o * tanh(c), a counting model's a distribution: both lie inside the unit cube.
        known: dict[str, spaces.Space[Any]] = {
            "interest": spaces.Box(-1.0, 1.0, (observer.interest_size,), np.float32),
            "history": spaces.Box(0, observer.n_items, (window,), np.int64),
            "mask": spaces.Box(0, 1, (n_actions,), np.int8),
            "mask_bits": spaces.Box(0, 255, ((n_actions + 7) // 8,), np.uint8),
            "candidates": spaces.Box(0, observer.n_items - 1, (n_actions,), np.int64),
            "candidate_features": spaces.Box(-10.0, 1.0, (n_actions, _CANDIDATE_FEATURES), np.float32),
        }
        self.space: spaces.Space[Any] = (
            known[parts[0]] if len(parts) == 1 else spaces.Dict({part: known[part] for part in parts})
        )

    def __call__(self, visible: Visible, candidates: NDArray[np.int64] | None, mask: NDArray[np.bool_] | None) -> Any:
        """Return an array with leading axis B, or a dict of them."""
        values = {part: self._part(part, visible, candidates, mask) for part in self.parts}
        return values[self.parts[0]] if len(self.parts) == 1 else values

    @property
    def shows_mask(self) -> bool:
        """True if the mask is a part."""
        return "mask" in self.parts or "mask_bits" in self.parts

    @property
    def shows_candidates(self) -> bool:
        """True if a part depends on the candidates."""
        return bool({"candidates", "candidate_features", "mask", "mask_bits"} & set(self.parts))

    def rows(self, observation: Any, n: int) -> list[Any]:
        """Return the observations of n people one by one."""
        if len(self.parts) == 1:
            return list(observation)
        return [{part: column[row] for part, column in observation.items()} for row in range(n)]

    def _part(
        self, part: str, visible: Visible, candidates: NDArray[np.int64] | None, mask: NDArray[np.bool_] | None
    ) -> NDArray[Any]:
        if part == "interest":
            return interest_of(self._observer, visible)
        if part == "history":
            return visible.recent + 1
        if part in ("mask", "mask_bits"):
            allowed = np.ones((len(visible.key), self._n_actions), np.bool_) if mask is None else mask
            return allowed.astype(np.int8) if part == "mask" else np.packbits(allowed, axis=1)
        assert candidates is not None
        return candidates if part == "candidates" else self._features(visible, candidates)

    @torch.no_grad()
    def _features(self, visible: Visible, candidates: NDArray[np.int64]) -> NDArray[np.float32]:
        assert self._forecast is not None
        forecast = self._forecast(self._observer.heads(visible.memory), visible.memory)
        items = torch.from_numpy(candidates).to(self._observer.device)
        log_probs = forecast.log_probs_of(items).clamp(-100.0, 10.0) / 10.0
        return np.stack([log_probs.float().cpu().numpy(), self._popularity[candidates]], axis=-1)


@torch.no_grad()
def interest_of(observer: SequenceModel, visible: Visible) -> NDArray[np.float32]:
    """Return interest vectors, (B, D): a copy, because the memory lives on."""
    return np.array(observer.interest(visible.memory).cpu().numpy(), np.float32)
