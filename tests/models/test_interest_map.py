"""The map of interest against the covariance's eigenvectors, and what it says of too few people."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rlrec.core.errors import DataError
from rlrec.data.log import InteractionLog
from rlrec.models.counting import MarkovModel
from rlrec.models.interest_map import interest_map
from rlrec.models.interests import latest_sequences
from tests.small import cycle_log, cycle_model


def test_the_axes_are_the_covariances_eigenvectors():
    log, model = cycle_log(), cycle_model()
    drawn = interest_map(model, log, n_items=4)
    vectors = model.interests(latest_sequences(log)).astype(float)
    values, directions = np.linalg.eigh(np.cov(vectors.T))
    expected = (vectors - vectors.mean(0)) @ directions[:, [-1, -2]]
    np.testing.assert_allclose(np.abs(drawn.users), np.abs(expected), atol=1e-5)
    np.testing.assert_allclose(drawn.shares, values[[-1, -2]] / values.sum(), rtol=1e-5)
    assert drawn.items.shape == (4, 2)
    assert drawn.names[0] == log.catalog.describe(int(log.item_counts.argmax()))


def test_people_who_want_the_same_stand_together():
    model, log = cycle_model(), cycle_log()
    drawn = interest_map(model, log)
    last = latest_sequences(log)
    ends = last.item[last.offsets[1:] - 1]
    within = np.mean([drawn.users[ends == item].var(0).sum() for item in range(6)])
    assert within < 0.5 * drawn.users.var(0).sum()


def test_a_sample_is_drawn_and_the_same_seed_draws_the_same():
    model, log = cycle_model(), cycle_log()
    one, two = (interest_map(model, log, n_users=20, seed=3) for _ in range(2))
    assert one.users.shape == (20, 2)
    np.testing.assert_array_equal(one.users, two.users)


def test_two_people_span_no_plane():
    log = InteractionLog.from_pandas(pd.DataFrame({"user_id": [1, 2], "item_id": ["a", "b"]}))
    with pytest.raises(DataError, match="needs at least 3 people with behaviours, the log has 2"):
        interest_map(MarkovModel.fit(log), log)
