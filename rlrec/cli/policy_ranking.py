"""Whether policies built on synthetic users rank alike on real ones: what ``gan report`` and its benchmark ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlrec.core.protocols import Policy
    from rlrec.data.log import InteractionLog
    from rlrec.evaluation.policy_transfer import PolicyTransfer
    from rlrec.models.base import SequenceModel
    from rlrec.models.config import LSTMConfig

_N_ROWS = 256


def rank_policies(
    synthetic: InteractionLog,
    train: InteractionLog,
    test: InteractionLog,
    *,
    n_steps: int,
    n_users: int = 1_000,
    seed: int = 0,
    config: LSTMConfig | None = None,
) -> dict[str, PolicyTransfer]:
    """Build policies in simulators of synthetic and of real users, and rank both sets on other real users.

    Parameters
    ----------
    synthetic, train : InteractionLog
        Each gets a simulator, fitted on as many sessions; ``train`` is the control.
    test : InteractionLog
        Real people whom neither holds: fits the simulator that both sets are judged in.
    n_steps : int
        Environment steps of the small PPO agent; 0 leaves it out.
    n_users : int
        Simulated users of each ranking.

    Returns
    -------
    dict
        ``synthetic`` and ``real``: how each ranking fared.
    """
    from rlrec.evaluation.utility import PROBE, pick_sessions
    from rlrec.models.lstm import LSTMModel

    config = PROBE if config is None else config
    n = min(len(log.sequences()) for log in (synthetic, train))
    logs = {"synthetic": pick_sessions(synthetic, n, seed=seed), "real": pick_sessions(train, n, seed=seed)}
    judge = LSTMModel.fit(test, config=config, seed=seed + 1, show_progress=False)
    models = {name: LSTMModel.fit(log, config=config, seed=seed, show_progress=False) for name, log in logs.items()}
    return {name: _fared(model, judge, n_steps, n_users, seed) for name, model in models.items()}


def built_policies(model: SequenceModel, n_steps: int, seed: int) -> dict[str, Policy]:
    """Return random, popular, greedy by the model, and a small PPO agent trained in its simulator."""
    from rlrec.agents.config import PPOConfig
    from rlrec.agents.training import train_agent
    from rlrec.cli.judging import baseline_policies
    from rlrec.envs.vector import make_vec

    policies = baseline_policies(model, seed=seed)
    if n_steps:
        env = make_vec(model, num_envs=_N_ROWS, seed=seed)
        policies["ppo"] = train_agent(env, PPOConfig(total_steps=n_steps), seed=seed, show_progress=False)
    return policies


def _fared(model: SequenceModel, judge: SequenceModel, n_steps: int, n_users: int, seed: int) -> PolicyTransfer:
    from rlrec.envs.vector import make_vec
    from rlrec.evaluation.policy_transfer import policy_transfer

    rows = min(_N_ROWS, n_users)
    home, elsewhere = (make_vec(people, num_envs=rows, observer=model) for people in (model, judge))
    return policy_transfer(built_policies(model, n_steps, seed), home, elsewhere, n_users=n_users, seed=seed + 1)


def ranking_lines(found: dict[str, PolicyTransfer]) -> list[str]:
    """Return a sentence on each ranking."""
    users = {"synthetic": "synthetic users", "real": "real users of the training part (the control)"}
    return [
        f"policies built on {users[name]} and judged on held-out ones: {each.sentence}" for name, each in found.items()
    ]
