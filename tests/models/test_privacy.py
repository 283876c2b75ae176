"""Private training: what one person can move, what plain SGD would do, and what the accountant says."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from rlrec.core.errors import DataError, InvalidArgumentError, MissingExtraError
from rlrec.core.progress import read_metrics
from rlrec.data.log import InteractionLog
from rlrec.models.config import LSTMConfig, PrivacyConfig
from rlrec.models.losses import gather_targets, head_losses
from rlrec.models.lstm import LSTMModel
from rlrec.models.network import SequenceNetwork
from rlrec.models.privacy import epsilon_of
from rlrec.models.private_training import by_user, clipped_sum
from rlrec.models.training import weighted_loss
from tests.small import cycle_log

SMALL = {"embedding_size": 8, "hidden_size": 16, "n_epochs": 2, "dropout": 0.0, "input_dropout": 0.0}


def settings(changes: dict[str, object] | None = None, **privacy: object) -> LSTMConfig:
    private = {"users": 20, "noise": 1.0, "secret": False} | privacy
    return LSTMConfig(**(SMALL | (changes or {})), privacy=PrivacyConfig(**private))  # type: ignore[arg-type]


def fit(config: LSTMConfig, log: InteractionLog | None = None, **more: object) -> LSTMModel:
    return LSTMModel.fit(log or cycle_log(40), config=config, show_progress=False, **more)  # type: ignore[arg-type]


def network(seed: int = 0) -> SequenceNetwork:
    return LSTMModel.build_network(cycle_log(40), LSTMConfig(**SMALL), seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("clip", [0.01, 0.1])
def test_one_person_moves_the_sum_by_at_most_the_clip(clip):
    sequences, net = cycle_log(40).sequences(), network()
    people = by_user(sequences)
    everyone = clipped_sum(net, sequences, people, clip)
    moved = [
        float((everyone - clipped_sum(net, sequences, people[:left] + people[left + 1 :], clip)).norm())
        for left in range(0, 40, 8)
    ]
    assert max(moved) <= clip * (1 + 1e-4)
    unclipped = clipped_sum(net, sequences, people[:1], 1e9)
    assert float(unclipped.norm()) > clip  # so that something was clipped


def test_a_person_is_all_of_their_sessions():
    sequences = cycle_log(40).sequences()
    sequences.user[:] = np.arange(40) % 4
    people = by_user(sequences)
    assert [index.tolist() for index in people] == [list(range(user, 40, 4)) for user in range(4)]
    assert float(clipped_sum(network(), sequences, people[:1], 0.1).norm()) == pytest.approx(0.1, rel=1e-4)


def test_without_noise_and_clip_it_is_plain_sgd():
    config = settings({"n_epochs": 1}, users=40, noise=0.0, clip=1e9)
    model, plain = fit(config), network()
    sequences = cycle_log(40).sequences()
    optimizer = torch.optim.Adagrad(plain.parameters(), lr=config.learning_rate)
    plain.train()
    losses = [
        weighted_loss(head_losses(plain, gather_targets(plain, sequences.pad(index))), config)
        for index in by_user(sequences)
    ]
    torch.stack(losses).mean().backward()  # one step: all 40 people, whose rate is 1
    optimizer.step()
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(model.network.state_dict()[name], tensor, atol=1e-5, rtol=1e-4)
    assert model.privacy is not None
    assert model.privacy.epsilon is None
    assert str(model.privacy) == "no privacy: the noise is 0"


def test_epsilon_grows_with_steps_and_falls_with_noise():
    pytest.importorskip("opacus")

    def epsilon(noise: float, steps: int, rate: float = 0.01) -> float:
        found = epsilon_of(PrivacyConfig(noise=noise), rate, steps)
        assert found is not None
        return found

    assert epsilon(1.0, 100) < epsilon(1.0, 1_000) < epsilon(1.0, 10_000)
    assert epsilon(4.0, 1_000) < epsilon(2.0, 1_000) < epsilon(1.0, 1_000)
    assert epsilon(1.0, 1_000, 0.005) < epsilon(1.0, 1_000, 0.01)
    # One Gaussian step: the tightest epsilon at sigma 4 is 1.06 (Balle & Wang 2018); Renyi's is a little above.
    assert 1.0 < epsilon(4.0, 1, rate=1.0) < 1.3


def test_what_was_spent_is_saved_with_the_model(tmp_path):
    pytest.importorskip("opacus")
    model = fit(settings(), folder=tmp_path / "run")
    spent = model.privacy
    assert spent is not None
    assert (spent.steps, spent.sample_rate) == (4, 0.5)
    assert str(spent) == (
        f"epsilon {spent.epsilon:.2f} at delta 1e-05 for each user, after 4 steps "
        "(void for who knows the seed: the noise was drawn from it)"
    )
    model.save(tmp_path / "m")
    assert LSTMModel.load(tmp_path / "m").privacy == spent
    written = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [set(line) for line in written] == [{"step", "models/lstm/epsilon"}] * 2  # no loss of the people trained on


def test_nothing_counted_in_the_log_is_left():
    pytest.importorskip("opacus")
    log = cycle_log(40)
    model = fit(settings(), valid=cycle_log(20, seed=1))
    assert model.space.item_counts.tolist() == [1] * log.n_items
    assert model.space.usual_gap == 0
    assert model.network.cold is None
    assert model.calibration.item_scale == 1.0
    assert model.record is not None
    assert len(model.record.valid_nll) == model.record.best_epoch == 2  # watched, never stopped
    assert model.calibrated(cycle_log(20, seed=1).sequences()).privacy is None  # calibration read people as they are


def test_secret_noise_is_another_every_time():
    pytest.importorskip("opacus")
    one, two = fit(settings(secret=True)), fit(settings(secret=True))
    assert not torch.equal(one.network.item_bias, two.network.item_bias)
    same = [fit(settings()).network.item_bias for _ in range(2)]
    assert torch.equal(*same)


@pytest.mark.learning
def test_it_still_learns():
    pytest.importorskip("opacus")
    valid = cycle_log(40, seed=1)
    model = fit(settings({"n_epochs": 25}, users=30, noise=0.3, clip=0.1), cycle_log(120), valid=valid)
    assert model.record is not None
    assert model.record.valid_nll[-1] < np.log(6) - 0.5


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"value_weight": 1.0}, "value_weight must be 0: the value head is scaled by the log's values"),
        ({"n_negatives": 3}, "n_negatives must be 0 or None: a sampled softmax draws by the log's popularity"),
    ],
)
def test_what_would_see_the_log_otherwise_is_refused(changes, reason):
    with pytest.raises(InvalidArgumentError, match=rf"private training \(privacy.users=20\): {reason}"):
        fit(settings(changes))


def test_too_few_people_and_no_accountant_are_sentences(monkeypatch):
    with pytest.raises(DataError, match=r"privacy\.users=50 people are expected in a step and the log has 40"):
        fit(settings(users=50))
    monkeypatch.setitem(sys.modules, "opacus.accountants", None)
    with pytest.raises(MissingExtraError, match=r"needs the package 'opacus'; .*pip install 'rlrec\[privacy\]'"):
        fit(settings())
