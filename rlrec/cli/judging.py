"""Judging policies at home and in a second simulator: what ``demo`` and ``evaluate`` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from rlrec.envs.config import SimulatorConfig

if TYPE_CHECKING:
    from rlrec.core.protocols import Policy
    from rlrec.evaluation.rollout import RolloutResults
    from rlrec.models.base import SequenceModel

PlannerName = Literal["beam", "cem"]
BASELINES = ("random", "popular", "greedy", "beam", "cem")
_N_CANDIDATES = 8  # items that a planner considers at each step
KAPPAS = (0.02, 0.05, 0.1, 0.3, 1.0)  # for a sweep: from people who nearly always take something to the log's own
_N_ROWS = 1_000  # users at a time; more only take memory


def baseline_policies(
    model: SequenceModel,
    *,
    slate_size: int = 1,
    seed: int = 0,
    planners: Sequence[PlannerName] = (),
    kappa: float = 0.1,
) -> dict[str, Policy]:
    """Return the policies that an agent has to beat: random, popular, greedy by the model, planners."""
    from rlrec.agents.baselines import GreedyPolicy, PopularPolicy, RandomPolicy
    from rlrec.agents.planners import BeamPolicy, CEMPolicy

    kinds = {"beam": BeamPolicy, "cem": CEMPolicy}
    candidates = {"n_candidates": min(_N_CANDIDATES, model.n_items), "kappa": kappa}
    return {
        "random": RandomPolicy(model.n_items, slate_size, seed=seed),
        "popular": PopularPolicy(model.space.item_counts, slate_size),
        "greedy": GreedyPolicy(model, slate_size),
    } | {name: kinds[name](model, slate_size, seed=seed, **candidates) for name in planners}


def judge(
    policies: Mapping[str, Policy],
    model: SequenceModel,
    *,
    heldout: SequenceModel | None = None,
    config: SimulatorConfig | None = None,
    slate_size: int = 1,
    n_users: int = 2_000,
    seed: int = 0,
) -> tuple[RolloutResults, RolloutResults | None]:
    """Roll all policies out with the same users, in ``model``'s simulator and in ``heldout``'s.

    The users come under ``seed + 1``, so that a run with the seed of the training meets new ones. Policies without an
    observer of their own are given ``model``'s interest vectors in both simulators.
    """
    from rlrec.envs.vector import make_vec
    from rlrec.evaluation.rollout import evaluate_policies

    needed = {part for policy in policies.values() for part in getattr(policy, "needs", ("interest",))}
    parts = tuple(sorted(needed | {"interest"}))  # one alone is an array, as policies from elsewhere expect

    def results(simulated: SequenceModel) -> RolloutResults:
        env = make_vec(
            simulated,
            num_envs=min(_N_ROWS, n_users),
            slate_size=slate_size,
            config=config,
            observer=model,
            observation=parts,
        )
        return evaluate_policies(policies, env, n_users=n_users, seed=seed + 1)

    return results(model), None if heldout is None else results(heldout)


def kappa_sweep(
    policies: Mapping[str, Policy],
    model: SequenceModel,
    kappas: Sequence[float],
    *,
    config: SimulatorConfig,
    n_users: int,
    seed: int = 0,
) -> dict[str, list[dict[str, float]]]:
    """Return each policy's mean return over a range of kappa, which a log without exposures cannot tell."""
    points: dict[str, list[dict[str, float]]] = {name: [] for name in policies}
    for kappa in kappas:
        results, _ = judge(policies, model, config=replace(config, kappa=kappa), n_users=n_users, seed=seed)
        for name in policies:
            found = results.estimate(name)
            points[name].append({"kappa": kappa, "value": found.value, "low": found.low, "high": found.high})
    return points


def policy_rows(home: RolloutResults, away: RolloutResults | None) -> dict[str, dict[str, Any]]:
    """Return the ``policies`` part of ``summary.json``, by name."""
    rows = {}
    for name in home.rollouts:
        rows[name] = {
            "return": home.estimate(name).to_dict(),
            "session_length": home.estimate(name, "session_length").to_dict(),
            "clicks": home.estimate(name, "clicks").to_dict(),
            "coverage": home.estimate(name, "coverage").to_dict(),
            "popularity_bias": home.estimate(name, "popularity_bias").to_dict(),
            "paired_vs_random": home.paired(name, "random").to_dict(),
            "paired_vs_greedy": home.paired(name, "greedy").to_dict(),
        }
        if away is not None:
            rows[name]["heldout_return"] = away.estimate(name).to_dict()
            rows[name]["heldout_paired_vs_greedy"] = away.paired(name, "greedy").to_dict()
    return rows


def print_judgement(home: RolloutResults, away: RolloutResults | None) -> None:
    """Print the tables, and each policy's difference to greedy over the same users."""
    print("\nAt home (the simulator of the model):\n" + home.table())
    if away is not None:
        print("\nHeld out (a second simulator, which no policy trained in):\n" + away.table())
    print("\nReturn minus greedy's, the same users (95 % interval):")
    others = [name for name in home.rollouts if name != "greedy"]
    width = max(map(len, others))
    for name in others:
        line = f"  {name:<{width}}  {home.paired(name, 'greedy')} at home"
        print(line if away is None else f"{line}, {away.paired(name, 'greedy')} held out")
