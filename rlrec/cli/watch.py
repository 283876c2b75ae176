"""``rlrec watch``: one simulated user, step by step: what was shown, with what chance, and why it left."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from rlrec.cli.command import BaseCommand
from rlrec.core.checks import check_at_least
from rlrec.envs.config import SimulatorConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlrec.core.protocols import Policy
    from rlrec.envs.vector import RecommendationVectorEnv


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Watch a policy serve simulated users, step by step in the terminal."""

    model: tyro.conf.Positional[Path]
    """The users: a saved model, or the folder that `rlrec fit` wrote."""
    policy: Path | None = None
    """Who serves them: a folder that `rlrec train` wrote, or a saved model; by default what the users' own model
    thinks comes next."""
    log: str | None = None
    """The log that the model was fitted on, for items in words; without it their ids are shown."""
    n_users: int = 1
    """Users to watch, one after another."""
    user: int = 0
    """Number of the first one; the same number and seed is the same person."""
    slate_size: int = 1
    """Items shown at a time."""
    simulator: SimulatorConfig = field(default_factory=SimulatorConfig)
    """How simulated people react."""

    def __post_init__(self) -> None:
        """Refuse what nobody can be watched with, before anything is read."""
        check_at_least("n_users", self.n_users, 1)
        check_at_least("user", self.user, 0)


def run(command: Command) -> int:
    """Let users arrive and print what happens to each."""
    from rlrec.agents.baselines import GreedyPolicy
    from rlrec.cli.saved import load_model, load_policy
    from rlrec.envs.vector import make_vec

    model = load_model(command.model)
    policy: Policy = GreedyPolicy(model, command.slate_size)
    if command.policy is not None:
        policy = load_policy(command.policy, slate_size=command.slate_size, seed=command.seed)
    env = make_vec(
        model,
        num_envs=1,
        slate_size=command.slate_size,
        config=command.simulator,
        observer=getattr(policy, "observer", model),
    )
    name = _names(command, env.simulator.model.space.items.ids.tolist())
    for user in range(command.user, command.user + command.n_users):
        _watch(env, policy, user, command.seed, name)
    return 0


def _watch(env: RecommendationVectorEnv, policy: Policy, user: int, seed: int, name: Callable[[int], str]) -> None:
    """Print one user's session."""
    import numpy as np

    from rlrec.envs.wording import describe_step

    observation, _ = env.reset(seed=seed, options={"users": np.array([user])})
    opening = [name(int(item)) for item in env.recent[0] if item >= 0][::-1]
    print(f"user {user} arrives{' after ' + ', '.join(opening) if opening else ''}")
    number, over, total = 0, False, 0.0
    while not over:
        actions, _ = policy.predict(observation, deterministic=True)
        observation, rewards, terminated, truncated, _ = env.step(np.asarray(actions))
        number, over, total = number + 1, bool(terminated[0] or truncated[0]), total + float(rewards[0])
        assert env.last_step is not None
        slates, responses = env.last_step
        print(f"{number:>4}  {describe_step(slates[0], responses, 0, name)}")
    print(f"      {number} slates, return {total:g}{'' if terminated[0] else ', cut off at the horizon'}")


def _names(command: Command, ids: list[object]) -> Callable[[int], str]:
    if command.log is None:
        return lambda item: str(ids[item])
    from rlrec.core.errors import CatalogMismatchError
    from rlrec.data.load import load_log

    catalog = load_log(command.log).catalog
    if catalog.ids.tolist() != ids:
        raise CatalogMismatchError(f"the model knows other items than {command.log!r}; give the log it was fitted on")
    return catalog.describe
