"""Registers the environments with Gymnasium.

Call `register`, then ``gymnasium.make("rlrec/Recommendation-v0", model=...)``.
"""

from __future__ import annotations

import gymnasium

ENV_ID = "rlrec/Recommendation-v0"
"""Gymnasium id; ``model`` is a `SequenceModel` or a `UserSimulator`."""


def register() -> None:
    """Register once; a second call does nothing."""
    if ENV_ID not in gymnasium.registry:
        gymnasium.register(
            ENV_ID,
            entry_point="rlrec.envs.single:RecommendationEnv",
            vector_entry_point="rlrec.envs.registration:make_registered_vec",
            disable_env_checker=True,  # Gymnasium's checker runs in our tests; at run time it would cost a reset a make
        )


def make_registered_vec(model: object, num_envs: int = 1, **kwargs: object) -> gymnasium.vector.VectorEnv:
    """Return the vector environment for ``gymnasium.make_vec``."""
    from rlrec.envs.vector import RecommendationVectorEnv

    return RecommendationVectorEnv(model, num_envs, **kwargs)  # type: ignore[arg-type]
