"""A few simulated users whom a policy served, step by step, items in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlrec.envs.config import SimulatorConfig

if TYPE_CHECKING:
    from rlrec.agents.policies import AgentPolicy
    from rlrec.data.catalog import ItemCatalog
    from rlrec.models.base import SequenceModel


def journeys(
    agent: AgentPolicy, model: SequenceModel, catalog: ItemCatalog, *, config: SimulatorConfig, seed: int, n: int = 3
) -> list[list[str]]:
    """Return what happened to ``n`` simulated users, one line a step."""
    return [_journey(agent, model, catalog, config, seed, user) for user in range(n)]


def _journey(
    agent: AgentPolicy, model: SequenceModel, catalog: ItemCatalog, config: SimulatorConfig, seed: int, user: int
) -> list[str]:
    from rlrec.envs.single import RecommendationEnv

    env = RecommendationEnv(model, config=config)
    observation, _ = env.reset(seed=seed, options={"user": user})
    lines, over = [], False
    while not over:
        action, _ = agent.predict(observation[None], deterministic=True)
        observation, _, left, late, info = env.step(int(action[0]))
        over = left or late
        lines.append(_line(catalog, int(action[0]), info, left))
    return lines


def _line(catalog: ItemCatalog, action: int, info: dict[str, Any], left: bool) -> str:
    shown = f"shown {catalog.describe(action)}: "
    if info["clicked_item"] >= 0:
        shown += "clicked"
    elif info["item"] >= 0:
        shown += f"passed, found {catalog.describe(info['item'])} alone"
    else:
        shown += "passed"
    return shown + ("; left" if left else "")
