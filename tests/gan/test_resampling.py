"""Guided resampling: each method draws by the weights, the guide mends a known fault, a useless one is refused."""

from __future__ import annotations

import numpy as np
import pytest

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.gan.guided import draw_guided, try_guide
from rlrec.gan.resampling import METHODS, Guide, effective_sample_size, resample
from rlrec.gan.sampling import generate_sequences
from rlrec.gan.sampling_config import SamplingConfig
from rlrec.models.counting import PopularityModel
from tests.small import cycle_log


@pytest.mark.parametrize("method", METHODS)
def test_every_method_draws_in_proportion_to_the_weights(method):
    weights = np.tile([4.0, 1.0, 0.25], 4_000)
    chosen = resample(weights, 3_000, rng=np.random.default_rng(0), method=method, clip=4.0)
    share = np.bincount(chosen % 3, minlength=3) / len(chosen)
    assert share == pytest.approx(np.array([4.0, 1.0, 0.25]) / 5.25, abs=0.03)
    if method == "rejection":
        assert len(set(chosen)) == len(chosen)


def test_the_effective_sample_size_by_hand():
    assert effective_sample_size(np.array([2.0, 1.0, 1.0])) == pytest.approx(16 / 6)


def sampled(n: int, seed: int, factors=(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)):
    knobs = SamplingConfig(item_factors=factors, length_probs=(0.0, 0.0, 0.0, 0.0, 1.0))
    return generate_sequences(PopularityModel.fit(cycle_log()), n, seed=seed, sampling=knobs)


def test_a_guide_mends_a_wrong_taste():
    real, fakes = sampled(1_500, 1, (2.0, 1.0, 1.0, 1.0, 1.0, 1.0)), sampled(4_000, 2)
    guide = Guide.fit(real, fakes)
    weights = guide.weights(fakes)
    assert weights.min() >= 1 / guide.clip
    assert weights.max() <= guide.clip
    chosen = fakes.select(resample(weights, 4_000, rng=np.random.default_rng(0), clip=guide.clip))
    shares = [(s.item == 0).mean() for s in (real, fakes, chosen)]
    assert abs(shares[2] - shares[0]) < 0.25 * abs(shares[1] - shares[0])
    _, trial = try_guide(real, fakes)
    assert trial.accepted
    assert trial.auc_after < trial.auc_before
    assert 0.5 < trial.ess_share < 1.0


@pytest.mark.parametrize("method", METHODS)
def test_a_guided_draw_has_as_many_as_were_asked_for_and_mends_the_taste(method):
    real = sampled(1_500, 1, (2.0, 1.0, 1.0, 1.0, 1.0, 1.0))
    guide = Guide.fit(real, sampled(3_000, 2))
    plain = PopularityModel.fit(cycle_log())
    knobs = SamplingConfig(length_probs=(0.0, 0.0, 0.0, 0.0, 1.0))

    def draw(n, first):
        return generate_sequences(plain, n, seed=7, first=first, sampling=knobs)

    drawn = draw_guided(draw, guide, 1_200, seed=0, method=method)
    assert len(drawn.sequences) == 1_200
    assert drawn.sequences.user.tolist() == list(range(1_200))
    assert 0.5 < drawn.ess_share < 1
    shares = [(s.item == 0).mean() for s in (real, drawn.sequences)]
    assert shares[1] == pytest.approx(shares[0], abs=0.04)
    if method == "rejection":
        fewer = draw_guided(draw, guide, 300, seed=0, method=method).sequences
        first = drawn.sequences.select(np.arange(300))
        assert np.array_equal(fewer.item, first.item), "a kept candidate does not depend on how many are wanted"


def test_a_guide_written_as_arrays_is_the_same_guide():
    real, fakes = sampled(300, 1, (2.0, 1.0, 1.0, 1.0, 1.0, 1.0)), sampled(300, 2)
    levels = np.array([0, 0, 1, 1, 2, 2])
    guide = Guide.fit(real, fakes, categories=(levels,))
    again = Guide.from_arrays(guide.to_arrays())
    assert np.array_equal(again.weights(fakes), guide.weights(fakes))


def test_a_guide_taught_by_others_is_judged_on_all_of_the_real_people():
    real, fakes = sampled(700, 1, (2.0, 1.0, 1.0, 1.0, 1.0, 1.0)), sampled(3_000, 2)
    guide, trial = try_guide(real, fakes, teach=sampled(1_500, 3, (2.0, 1.0, 1.0, 1.0, 1.0, 1.0)))
    assert trial.accepted
    assert guide.weights(fakes).mean() == pytest.approx(1.0, abs=0.1)


def test_a_guide_with_nothing_to_mend_is_refused():
    _, trial = try_guide(sampled(600, 1), sampled(1_200, 2))
    assert not trial.accepted


def test_too_few_sequences_and_empty_weights_are_refused():
    with pytest.raises(DataError, match="a guide needs at least 40 sequences of each kind, got 5 real"):
        Guide.fit(sampled(5, 0), sampled(50, 0))
    with pytest.raises(InvalidArgumentError, match="weights must be non-negative with a positive sum"):
        resample(np.zeros(3), 2, rng=np.random.default_rng(0))
