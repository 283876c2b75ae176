"""Interest vectors by id, and the nearest people over all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from rlrec.core.errors import CatalogMismatchError, InvalidArgumentError
from rlrec.models.counting import MarkovModel
from rlrec.models.interests import interest_table, latest_sequences, nearest_users
from tests.models.test_knn import random_log
from tests.small import cycle_log, cycle_model


def test_the_table_holds_the_vector_after_each_users_last_sequence():
    log = cycle_log()
    table = interest_table(cycle_model(), log)
    assert table["user_id"].to_list() == log.users.ids.tolist()
    alone = cycle_model().interests(log.sequences().select(np.array([5])))[0]
    np.testing.assert_allclose(table["interest"].to_numpy()[5], alone, atol=1e-5)


def test_nearest_users_by_cosine():
    log, model = cycle_log(), cycle_model()
    wanted = model.interests([["i0", "i1"]])[0]
    people = interest_table(model, log)["interest"].to_numpy()
    cosine = people @ wanted / np.linalg.norm(people, axis=1) / np.linalg.norm(wanted)
    found = nearest_users(model, log, [["i0", "i1"]], k=3)[0]
    assert np.sort(cosine)[::-1][:3] == pytest.approx(cosine[log.users.index_of(found)], abs=1e-5)


def test_a_user_without_rows_has_no_sequence():
    log = random_log()
    assert len(latest_sequences(log.select(log.user < 3))) == 3
    assert len(latest_sequences(log.select(np.zeros(0, np.int64)))) == 0


def test_errors_are_sentences():
    with pytest.raises(InvalidArgumentError, match=r"k must lie in 1\.\.120 \(the users with rows\), got 121"):
        nearest_users(cycle_model(), cycle_log(), [["i0"]], k=121)
    with pytest.raises(CatalogMismatchError, match="the model was fitted on catalogue"):
        interest_table(MarkovModel.fit(cycle_log()), random_log())
