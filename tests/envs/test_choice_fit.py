"""κ comes back from clicks that it made: through the simulator itself."""

import numpy as np
import pytest

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.core.random import CounterRng
from rlrec.envs.choice_fit import fit_kappa
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.simulator import UserSimulator
from rlrec.models.config import MarkovConfig
from rlrec.models.counting import MarkovModel
from tests.small import N_ITEMS, cycle_log


@pytest.mark.parametrize("kappa", [0.05, 0.3, 1.0])
def test_the_true_kappa_is_recovered_within_5_percent_from_an_exposure_log(kappa):
    model = MarkovModel.fit(cycle_log(), config=MarkovConfig(discount=0.95))
    simulator = UserSimulator(model, SimulatorConfig(kappa=kappa))
    n, rng = 5_000, CounterRng(0)
    state, _ = simulator.reset(np.arange(n), rng=rng)
    draw = np.random.default_rng(0)
    probs, clicked = [], []
    for _ in range(20):
        slates = draw.permuted(np.tile(np.arange(N_ITEMS), (n, 1)), axis=1)[:, :2]
        forecast = model.heads(state.memory).item_log_probs().double().exp().numpy()
        responses, state = simulator.respond(state, slates, rng=rng)
        probs.append(np.take_along_axis(forecast, slates, axis=1))
        clicked.append(responses.clicked)
    got = fit_kappa(np.concatenate(probs), np.concatenate(clicked))
    assert got.value == pytest.approx(kappa, rel=0.05)
    assert got.low < kappa < got.high
    assert got.n == 100_000


def test_what_cannot_be_fitted_gets_a_sentence():
    probs = np.full((4, 2), 0.2)
    with pytest.raises(DataError, match="none of the 4 slates were clicked"):
        fit_kappa(probs, np.zeros(4, bool))
    with pytest.raises(InvalidArgumentError, match=r"got \(4, 2\) and int64 \(4,\)"):
        fit_kappa(probs, np.zeros(4, int))
    with pytest.raises(InvalidArgumentError, match="sum to at most 1"):
        fit_kappa(probs * 4, np.array([True, False, True, False]))
