"""Marginalised IPS against obp, and its laws."""

import numpy as np
import pytest

from rlrec.core.errors import InvalidArgumentError, MissingPropensityError
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.mips import mips
from rlrec.evaluation.ope import ips, snips
from tests.evaluation.cases import load_case

COLUMNS = ("action", "reward", "behavior_prob", "behavior_probs")


def many_items(n=4000, n_items=60, n_genres=3, seed=0):
    rng = np.random.default_rng(seed)
    behavior, target = rng.dirichlet(np.full(n_items, 0.5)), rng.dirichlet(np.full(n_items, 0.5))
    behavior = 0.9 * behavior + 0.1 / n_items
    genre = np.arange(n_items) % n_genres
    action = rng.choice(n_items, size=n, p=behavior)
    reward = (rng.random(n) < 0.2 + 0.3 * genre[action]).astype(float)
    log = LoggedBatch(
        action=action, reward=reward, behavior_prob=behavior[action], behavior_probs=np.tile(behavior, (n, 1))
    )
    return log, np.tile(target, (n, 1)), genre, float(target @ (0.2 + 0.3 * genre))


def test_agrees_with_obp():
    data = load_case("06_mips_true_pea")
    inputs = data["inputs"]
    log = LoggedBatch(**{name: inputs[name] for name in COLUMNS})
    got = {
        "mips": mips(log, inputs["target_probs"], inputs["action_embed"], p_embedding=inputs["p_e_a"]).value,
        "ips": ips(log, inputs["target_probs"]).value,
        "snips": snips(log, inputs["target_probs"]).value,
    }
    assert got == pytest.approx(data["obp"], abs=data["tol"])
    assert got["mips"] == pytest.approx(data["closed_form_mips"], abs=data["tol"])


def test_an_embedding_that_is_the_action_gives_ips():
    log, target, _, _ = many_items()
    assert mips(log, target, log.action, p_embedding=np.eye(60)).value == pytest.approx(
        ips(log, target).value, abs=1e-12
    )


def test_an_embedding_that_says_nothing_gives_the_mean_reward():
    log, target, _, _ = many_items()
    got = mips(log, target, np.zeros(log.n_rows, int), p_embedding=np.ones((60, 1)))
    assert got.value == pytest.approx(log.reward.mean(), abs=1e-12)


@pytest.mark.parametrize("given", [True, False])
def test_genres_tell_what_items_are_too_rare_to_tell(given):
    log, target, genre, truth = many_items()
    table = np.eye(3)[genre] if given else None
    by_genre, by_item = mips(log, target, genre[log.action], p_embedding=table), ips(log, target)
    assert by_genre.high - by_genre.low < 0.5 * (by_item.high - by_item.low)
    assert by_genre.low <= truth <= by_genre.high
    assert ("p(embedding | action) was estimated from the log" in by_genre.notes) != given


def test_the_logger_itself_earns_the_mean_reward():
    log, _, genre, _ = many_items()
    got = mips(log, log.behavior_probs, genre[log.action], self_normalised=True)
    assert got.value == pytest.approx(log.reward.mean(), abs=1e-12)


@pytest.mark.parametrize(
    ("embedding", "table", "sentence"),
    [
        (
            [0, 1],
            None,
            r"embedding must be a non-negative integer array of shape \(N=3,\) or \(N, D\), got int64 \(2, 1\)",
        ),
        ([0.0, 1.0, 0.0], None, r"got float64 \(3, 1\); number the categories from 0"),
        ([0, 1, -1], None, r"non-negative integer array"),
        ([0, 1, 0], [[1.0], [1.0]], r"p_embedding must have shape \(I=2, C>=2, D=1\), got \(2, 1\)"),
        ([0, 1, 0], [[0.5, 0.1], [0.5, 0.5]], r"p_embedding must hold distributions over the categories"),
        ([0, 1, 0], [[0.0, 1.0], [0.0, 1.0]], r"must give every logged embedding a chance, got probability 0 at row 0"),
    ],
)
def test_wrong_inputs_get_a_sentence(embedding, table, sentence):
    probs = np.full((3, 2), 0.5)
    log = LoggedBatch(action=[0, 1, 0], reward=[1, 0, 1], behavior_prob=[0.5] * 3, behavior_probs=probs)
    with pytest.raises(InvalidArgumentError, match=sentence):
        mips(log, probs, embedding, p_embedding=table)


def test_a_log_without_all_propensities_is_refused():
    log = LoggedBatch(action=[0, 1], reward=[1, 0], behavior_prob=[0.5, 0.5])
    with pytest.raises(
        MissingPropensityError, match="behavior_probs must hold the logger's probability of every action"
    ):
        mips(log, np.full((2, 2), 0.5), [0, 1])
