"""The GAN as a whole: known chains, the control, the alarm, kills, and what is written to disk."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from rlrec.core.errors import (
    ArtifactError,
    CatalogMismatchError,
    CollapseError,
    DataError,
    InvalidArgumentError,
    NotReadyError,
)
from rlrec.data.log import InteractionLog
from rlrec.data.splits import split_by_time
from rlrec.evaluation.detectors import c2st_auc
from rlrec.gan.collapse import Breadth, CollapseAlarm
from rlrec.gan.config import GANConfig
from rlrec.gan.sampling import generate_sequences
from rlrec.gan.sequence_gan import SequenceGAN
from rlrec.gan.training import AdversarialTraining
from rlrec.models.config import LSTMConfig
from rlrec.models.counting import MarkovModel
from rlrec.models.lstm import LSTMModel
from tests.small import N_ITEMS, cycle_log, cycle_model

SHORT = GANConfig(n_rounds=6, n_warmup=2, sequences_per_round=64, check_every=2, detector_sequences=60)


def fit(config: GANConfig = SHORT, **settings) -> SequenceGAN:
    options = {"init": cycle_model(), "valid": cycle_log(60, seed=1), "seed": 0, "show_progress": False}
    return SequenceGAN.fit(cycle_log(), config=config, **{**options, **settings})


@cache
def fitted() -> SequenceGAN:
    return fit()


def weights(model: LSTMModel) -> np.ndarray:
    return np.concatenate([tensor.numpy().ravel() for tensor in model.network.state_dict().values()])


def test_both_arms_move_and_the_start_does_not():
    before = weights(cycle_model()).copy()
    training = AdversarialTraining(cycle_model(), cycle_log(), cycle_log(60, seed=1), SHORT, 0)
    record = training.run(None, show_progress=False)
    assert np.array_equal(weights(cycle_model()), before)
    assert not np.array_equal(weights(training.control.model), before)
    assert not np.array_equal(weights(training.generator.model), weights(training.control.model))
    assert record.n_rounds == SHORT.n_rounds
    assert record.auc[record.kept] == min(record.auc.values())


def test_without_an_adversary_the_generator_is_its_control():
    training = AdversarialTraining(
        cycle_model(), cycle_log(), cycle_log(60, seed=1), replace(SHORT, adversarial_weight=0.0), 0
    )
    training.run(None, show_progress=False)
    # dropout is off in the small model, so equal batches give equal steps
    assert np.allclose(weights(training.generator.model), weights(training.control.model), atol=1e-6)


def test_the_same_seed_gives_the_same_gan_and_another_one_another():
    again, other = fit(), fit(seed=1)
    assert np.array_equal(weights(again.adversarial), weights(fitted().adversarial))
    assert again.record == fitted().record
    assert not np.array_equal(weights(other.adversarial), weights(fitted().adversarial))


def kill_in_round(number, folder, monkeypatch) -> None:
    """Start a run in ``folder`` and interrupt it at the beginning of a round."""
    real_round = AdversarialTraining._round

    def killed(self, round_, metrics):
        if round_ == number:
            raise KeyboardInterrupt
        real_round(self, round_, metrics)

    with monkeypatch.context() as patch:
        patch.setattr(AdversarialTraining, "_round", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(folder=folder)


def test_a_killed_run_goes_on_to_the_same_result(tmp_path, monkeypatch):
    real_round = AdversarialTraining._round
    kill_in_round(5, tmp_path, monkeypatch)
    rounds = []
    monkeypatch.setattr(AdversarialTraining, "_round", lambda s, r, m: (rounds.append(r), real_round(s, r, m)))
    resumed = fit(folder=tmp_path)
    assert rounds == [5, 6], "it should go on from the checkpoint of round 4"
    for arm in ("control", "adversarial"):
        assert np.array_equal(weights(resumed.arms[arm]), weights(fitted().arms[arm]))
    assert resumed.record == fitted().record
    assert not list(tmp_path.glob("*checkpoint*")), "a run that is over leaves no checkpoint"


def test_a_checkpoint_of_another_run_is_refused(tmp_path, monkeypatch):
    kill_in_round(3, tmp_path, monkeypatch)
    with pytest.raises(ArtifactError, match="other settings, data or seed"):
        fit(folder=tmp_path, seed=1)
    frame = cycle_log(60, seed=1).to_pandas()
    frame["item_id"] = frame["item_id"].to_numpy()[::-1]
    with pytest.raises(ArtifactError, match="other settings, data or seed"):
        fit(folder=tmp_path, valid=InteractionLog.from_pandas(frame))  # other rows, as many


def test_saved_and_loaded_it_samples_the_same_log(tmp_path):
    fitted().save(tmp_path / "gan")
    fitted().save(tmp_path / "gan")  # over itself
    loaded = SequenceGAN.load(tmp_path / "gan")
    assert loaded.record == fitted().record
    assert loaded.sample(40, seed=3) == fitted().sample(40, seed=3)
    assert len(list((tmp_path / "gan").glob("parts-*"))) == 1


def test_a_guide_is_saved_with_its_trial_and_refused_unless_it_was_accepted(tmp_path):
    with pytest.raises(NotReadyError, match="this GAN has no guide; call fit_guide"):
        fit().draw_resampled(5)
    gan = fit()
    trial = gan.fit_guide(cycle_log(), cycle_log(60, seed=1), seed=0)
    assert not trial.accepted, "a cycle that is learned leaves nothing to mend"
    with pytest.raises(NotReadyError, match=r"resampling was not worth it here: a GRU, .*, does not agree \(AUC"):
        gan.draw_resampled(5)
    gan.save(tmp_path)
    loaded = SequenceGAN.load(tmp_path)
    assert loaded.trial == trial
    drawn = [g.draw_resampled(30, seed=1, accepted_only=False).sequences for g in (gan, loaded)]
    assert np.array_equal(drawn[0].item, drawn[1].item)
    assert len(gan.as_log(drawn[0]).sequences()) == 30


def test_a_sample_is_a_log_that_splits_by_time_and_trains_every_model():
    log = fitted().sample(60, seed=0)
    assert log.n_users == 60
    assert log.catalog == cycle_log().catalog
    train, valid, test = split_by_time(log)
    assert len(train.sequences()) + len(valid.sequences()) + len(test.sequences()) == 60
    small = LSTMConfig(embedding_size=4, hidden_size=4, n_epochs=1)
    assert LSTMModel.fit(train, valid=valid, config=small).n_items == N_ITEMS
    assert MarkovModel.fit(train).n_items == N_ITEMS


@pytest.mark.parametrize(
    "settings",
    [{}, {"reward": "rollout"}, {"reward": "gumbel"}, {"discriminator": "conv"}],
    ids=["dense", "rollout", "gumbel", "conv"],
)
def test_the_cycle_survives_adversarial_training(settings):
    gan = fit(replace(SHORT, **settings)) if settings else fitted()
    sample = generate_sequences(gan.adversarial, 2_000, seed=0)
    owner = np.repeat(np.arange(len(sample)), sample.lengths)
    inside = np.diff(owner) == 0
    counts = np.zeros((N_ITEMS, N_ITEMS))
    np.add.at(counts, (sample.item[:-1][inside], sample.item[1:][inside]), 1)
    matrix = counts / counts.sum(axis=1, keepdims=True)
    truth = np.roll(np.eye(N_ITEMS), 1, axis=1)
    assert 0.5 * np.abs(matrix - truth).sum(axis=1).max() < 0.05, "total variation of the worst row"


def test_the_detector_cannot_tell_samples_of_the_true_chain():
    chain = MarkovModel.fit(cycle_log())
    one, other = (generate_sequences(chain, 1_000, seed=seed) for seed in (1, 2))
    standard_error = np.sqrt((2 * 1_000 + 1) / (12 * 1_000**2))
    assert abs(c2st_auc(one, other, seed=0) - 0.5) < 3 * standard_error


def test_the_alarm_knows_a_collapse():
    wide = generate_sequences(cycle_model(), 100, seed=0)
    narrow = replace(wide, item=np.zeros_like(wide.item))
    alarm = CollapseAlarm(Breadth.of(wide), 0.6)
    assert alarm.reason(Breadth.of(wide)) is None
    assert "entropy" in alarm.reason(Breadth.of(narrow))


@pytest.mark.parametrize("on_collapse", ["keep_best", "raise"])
def test_a_collapsed_generator_stops_the_run(on_collapse, monkeypatch):
    import rlrec.gan.training as training

    def narrowing(model, n, **settings):
        sample = generate_sequences(model, n, **settings)
        late = len(calls) > 3
        calls.append(n)
        return replace(sample, item=np.zeros_like(sample.item)) if late and n == 64 else sample

    calls: list[int] = []
    monkeypatch.setattr(training, "generate_sequences", narrowing)
    config = replace(SHORT, on_collapse=on_collapse)
    if on_collapse == "raise":
        with pytest.raises(CollapseError, match="the generator collapsed: the entropy"):
            fit(config)
        return
    record = fit(config).record
    assert "entropy" in record.collapsed
    assert record.n_rounds < SHORT.n_rounds
    assert record.best_round["adversarial"] <= record.n_rounds + 1


def test_too_few_sequences_and_another_catalogue_are_refused():
    with pytest.raises(DataError, match="at least 20 training and validation sequences"):
        fit(valid=cycle_log(5, seed=1))
    frame = cycle_log().to_pandas().assign(item_id=lambda f: f["item_id"] + "x")
    with pytest.raises(CatalogMismatchError, match="fit the model again"):
        SequenceGAN.fit(InteractionLog.from_pandas(frame), init=cycle_model(), config=SHORT)
    with pytest.raises(InvalidArgumentError, match="n_users"):
        fitted().sample(0)


def test_a_folder_without_its_parts_is_refused(tmp_path):
    fitted().save(tmp_path)
    for part in tmp_path.glob("parts-*/catalog/manifest.json"):
        part.unlink()
    with pytest.raises(ArtifactError):
        SequenceGAN.load(tmp_path)
