"""Episodes survive the way to a Minari dataset and back."""

import numpy as np
import pytest

from rlrec.agents.baselines import RandomPolicy
from rlrec.core.errors import InvalidArgumentError
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.vector import make_vec
from rlrec.evaluation.collect import collect
from rlrec.evaluation.minari_dataset import from_minari, to_minari
from tests.small import N_ITEMS, cycle_model

minari = pytest.importorskip("minari")
pytest.importorskip("h5py")

COLUMNS = ("offsets", "user", "slate", "reward", "clicked", "terminated", "observation", "item", "event", "gap")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


def episodes(slate_size: int):
    env = make_vec(cycle_model(), num_envs=8, slate_size=slate_size, config=SimulatorConfig(horizon=6))
    return collect(env, RandomPolicy(N_ITEMS, slate_size, seed=0), n_users=20, seed=0)


@pytest.mark.parametrize("slate_size", [1, 2])
def test_a_round_trip_loses_nothing(folder, slate_size):
    logged = episodes(slate_size)
    to_minari(logged, "ring/random-v0", n_items=N_ITEMS, algorithm_name="random")
    dataset = minari.load_dataset("ring/random-v0")
    again = from_minari(dataset)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(again, name), getattr(logged, name), err_msg=name)
    if logged.behavior_log_probs is not None:
        np.testing.assert_allclose(again.behavior_log_probs, logged.behavior_log_probs)
    assert 0 < again.terminated.mean() < 1


def test_what_minari_reads_is_a_dataset_of_its_own_kind(folder):
    logged = episodes(2)
    dataset = to_minari(logged, "ring/random-v1", n_items=N_ITEMS)
    assert dataset.total_episodes == 20
    assert dataset.total_steps == logged.n_steps
    first = dataset[0]
    assert len(first.observations) == len(first.rewards) + 1
    assert dataset.action_space.contains(first.actions[0])
    assert dataset.observation_space.contains(first.observations[0])
    assert first.terminations[-1] != first.truncations[-1]
    assert not first.terminations[:-1].any()


def test_what_cannot_be_written_or_read_gets_a_sentence(folder):
    env = make_vec(cycle_model(), num_envs=4)
    blind = collect(env, RandomPolicy(N_ITEMS, seed=0), n_users=4, keep_observations=False)
    with pytest.raises(InvalidArgumentError, match="to_minari needs observations; collect with keep_observations=True"):
        to_minari(blind, "ring/blind-v0", n_items=N_ITEMS)

    class Foreign:
        def iterate_episodes(self):
            return iter(())

    with pytest.raises(InvalidArgumentError, match="infos must hold 'clicked'; read one that to_minari wrote"):
        from_minari(Foreign())
