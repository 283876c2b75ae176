"""A planted user is recovered from exposures: the fitted simulator ranks policies as the true one does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from rlrec.agents.baselines import GreedyPolicy, PopularPolicy, RandomPolicy
from rlrec.data.log import InteractionLog
from rlrec.data.splits import split_by_sequence
from rlrec.data.trajectories import IMPRESSION
from rlrec.envs.choice_fit import fit_kappa
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.vector import make_vec
from rlrec.evaluation.collect import collect
from rlrec.evaluation.rollout import evaluate_policies
from rlrec.models.config import LSTMConfig
from rlrec.models.counting import MarkovModel
from rlrec.models.lstm import LSTMModel

N_ITEMS, SLATE, KAPPA = 30, 2, 0.2
TRUE = SimulatorConfig(kappa=KAPPA, horizon=20)


def planted_log(n_sessions: int, *, seed: int, backwards: bool = False) -> InteractionLog:
    """Sessions of a Markov chain whose rows are far from uniform; ``backwards`` turns every session round."""
    chain = np.random.default_rng(0).dirichlet(np.full(N_ITEMS, 0.15), N_ITEMS)
    rng = np.random.default_rng(seed)
    rows = []
    for session in range(n_sessions):
        items = [int(rng.integers(N_ITEMS))]
        while rng.random() > 0.12:
            items.append(int(rng.choice(N_ITEMS, p=chain[items[-1]])))
        items = items[::-1] if backwards else items
        rows += [(session, item, session * 1000.0 + 10 * t) for t, item in enumerate(items)]
    rows += [(n_sessions + item, item, n_sessions * 1000.0) for item in range(N_ITEMS)]  # every item is known
    return InteractionLog.from_pandas(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))


def ten_policies(counts: np.ndarray) -> dict:
    """From useless to nearly best, by models that know more and more."""
    sizes = (5, 20, 60, 200, 600, 3_000)
    informed = {f"greedy_{n}": GreedyPolicy(MarkovModel.fit(planted_log(n, seed=n)), SLATE) for n in sizes}
    backwards = GreedyPolicy(MarkovModel.fit(planted_log(500, seed=9, backwards=True)), SLATE)
    return {
        "random": RandomPolicy(N_ITEMS, SLATE),
        "popular": PopularPolicy(counts, SLATE),
        "unpopular": PopularPolicy(counts.max() - counts + 1, SLATE),
        "backwards": backwards,
        **informed,
    }


def returns(policies: dict, model, config: SimulatorConfig) -> np.ndarray:
    env = make_vec(model, num_envs=1_000, slate_size=SLATE, config=config)
    results = evaluate_policies(policies, env, n_users=4_000, seed=5)
    return np.array([results.estimate(name).value for name in policies])


@pytest.mark.learning
def test_the_ranking_of_ten_policies_is_recovered_from_exposures():
    log = planted_log(5_000, seed=1)
    truth = MarkovModel.fit(log)
    world = make_vec(truth, num_envs=1_000, slate_size=SLATE, config=TRUE)
    logger = RandomPolicy(N_ITEMS, SLATE)
    exposures = collect(world, logger, n_users=4_000, seed=3)
    seen = exposures.to_log(log)
    behaviours = seen.select(seen.event != seen.event_names.index(IMPRESSION))
    train, valid, _ = split_by_sequence(behaviours, valid=0.1, test=0.01, seed=0)
    config = LSTMConfig(embedding_size=32, hidden_size=48, n_epochs=8, use_features=False)
    fitted = LSTMModel.fit(train, valid=valid, config=config, seed=0, show_progress=False)

    watched = make_vec(truth, num_envs=1_000, slate_size=SLATE, config=TRUE, observer=fitted)
    fresh = collect(watched, logger, n_users=2_000, seed=4)  # people whom the model has not seen
    log_probs = GreedyPolicy(fitted).logits(fresh.observation)
    shown = log_probs.gather(1, torch.from_numpy(fresh.slate)).exp().double().numpy()
    kappa = fit_kappa(shown, fresh.clicked >= 0)
    # Clicks on what was shown flatten the p that is learned from them, so kappa comes out high; with the true p it is
    # recovered within 5 % (tests/envs).
    assert KAPPA < kappa.value < 1.3 * KAPPA

    policies = ten_policies(truth.space.item_counts)
    assert len(policies) == 10
    true, found = (
        returns(policies, model, SimulatorConfig(kappa=k, horizon=20))
        for model, k in ((truth, KAPPA), (fitted, kappa.value))
    )
    assert stats.spearmanr(true, found).statistic >= 0.95, dict(
        zip(policies, zip(true, found, strict=True), strict=True)
    )
