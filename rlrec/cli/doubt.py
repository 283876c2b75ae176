"""How far several user models disagree, and whether they rank policies alike: the doubt in a simulator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlrec.core.protocols import Policy
    from rlrec.data.sequences import Sequences
    from rlrec.envs.config import SimulatorConfig
    from rlrec.models.base import SequenceModel

_ROWS = 500  # users at a time


def members_doubt(
    members: Sequence[SequenceModel],
    policies: Mapping[str, Policy],
    *,
    config: SimulatorConfig,
    n_users: int,
    seed: int,
) -> dict[str, Any]:
    """Return each policy's return in every member, the worst rank correlation of two members, and their disagreement.

    Every policy is given the first member's interest vectors, as a recommender has but one user model. The disagreement
    is the standard deviation over members of the chance of a click on what the greedy policy shows, and beside it that
    chance's mean.
    """
    from scipy.stats import spearmanr

    from rlrec.envs.ensemble import EnsembleModel
    from rlrec.envs.simulator import UserSimulator
    from rlrec.envs.vector import RecommendationVectorEnv
    from rlrec.evaluation.rollout import evaluate_policies

    def returns(people: SequenceModel) -> list[float]:
        simulator = UserSimulator(people, config)
        env = RecommendationVectorEnv(simulator, min(_ROWS, n_users), observer=members[0])
        results = evaluate_policies(policies, env, n_users=n_users, seed=seed + 1, show_progress=False)
        return [results.estimate(name).value for name in policies]

    each = [returns(member) for member in members]
    ranks = [float(spearmanr(a, b).statistic) for a, b in combinations(each, 2)]
    spread, chance = _disagreement(EnsembleModel(members), policies["greedy"], members[0], config, n_users, seed)
    return {
        "members": len(members),
        "returns": {name: [row[place] for row in each] for place, name in enumerate(policies)},
        "worst_rank_correlation": min(ranks),
        "disagreement": spread,
        "click_chance": chance,
    }


def _disagreement(
    ensemble: SequenceModel,
    policy: Policy,
    observer: SequenceModel,
    config: SimulatorConfig,
    n_users: int,
    seed: int,
) -> tuple[float, float]:
    """Return mean disagreement and mean chance of a click over a few steps of ``n_users`` people."""
    import numpy as np

    from rlrec.envs.vector import make_vec

    env = make_vec(ensemble, num_envs=n_users, config=config, observer=observer)
    observation, _ = env.reset(seed=seed + 1)
    spread, chance = [], []
    for _ in range(5):
        actions, _ = policy.predict(observation, deterministic=True)
        observation, _, _, _, infos = env.step(np.asarray(actions))
        assert env.last_step is not None
        spread.append(infos["disagreement"].mean())
        chance.append(env.last_step[1].click_probs.sum(axis=1).mean())
    return float(np.mean(spread)), float(np.mean(chance))


def satiation_of(model: SequenceModel, sequences: Sequences, decay: float) -> dict[str, Any]:
    """Return the strength of satiation fitted to repeats, as plain values, or why there is none."""
    from rlrec.core.errors import DataError
    from rlrec.envs.satiation_fit import fit_satiation

    try:
        return fit_satiation(model, sequences, decay=decay).to_dict()
    except DataError as error:
        return {"value": None, "note": str(error)}


def doubt_lines(doubt: Mapping[str, Any] | None, satiation: Mapping[str, Any]) -> list[str]:
    """Return what was found, in sentences."""
    lines = []
    if doubt is not None:
        lines.append(
            f"{doubt['members']} members disagree by {doubt['disagreement']:.3f} about a click whose chance is "
            f"{doubt['click_chance']:.3f}; the worst rank correlation of two members over "
            f"{len(doubt['returns'])} policies is {doubt['worst_rank_correlation']:.2f}."
        )
    if satiation.get("value") is None:
        lines.append(f"satiation: {satiation['note']}")
    else:
        lines.append(
            f"satiation fitted to the validation part's repeats: {satiation['value']:.3f} "
            f"[{satiation['low']:.3f}, {satiation['high']:.3f}] nats; 0 would say that the model knows them."
        )
    return lines
