"""New users by their group: counts by hand, the group that tells most, and the say that grows with every step."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rlrec.core.errors import DataError, UnknownIdError
from rlrec.data.log import InteractionLog
from rlrec.models.config import NewcomerConfig
from rlrec.models.counting import MarkovModel, PopularityModel
from rlrec.models.newcomers import NewcomerModel


def countries(n_users: int = 60) -> InteractionLog:
    """People of PL take items 0 to 2, those of CZ items 3 to 5; the shoe size tells nothing."""
    rng = np.random.default_rng(0)
    rows = [
        (u, int(i) + 3 * (u % 2), float(t))
        for u in range(n_users)
        for t, i in enumerate(rng.choice(3, 4, p=[0.6, 0.3, 0.1]))
    ]
    users = pd.DataFrame(
        {"user_id": range(n_users), "country": np.resize(["PL", "CZ"], n_users), "shoe": rng.integers(36, 46, n_users)}
    )
    return InteractionLog.from_pandas(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]), users=users)


def test_the_group_that_tells_most_is_found():
    model = NewcomerModel.fit(countries(), MarkovModel.fit(countries()))
    assert model.feature == "country"
    assert model.recommend_to(["PL", "CZ"], k=1).tolist() == [[0], [3]]


def test_a_groups_popularity_is_smoothed_counts():
    log = countries()
    model = NewcomerModel.fit(log, PopularityModel.fit(log))
    polish = log.item[log.user % 2 == 0]
    everyone = (log.item_counts + 1) / (log.n_events + log.n_items)
    strength = next(s for s in (10.0, 30.0, 100.0) if np.isclose(model.table[1, 5], s * everyone[5] / (120 + s)))
    row = (np.bincount(polish, minlength=6) + strength * everyone) / (120 + strength)
    np.testing.assert_allclose(model.table[model.labels.index("PL")], row)
    np.testing.assert_allclose(model.table.sum(axis=1), 1)


def test_the_forecast_is_bent_by_the_groups_lift_less_with_every_step():
    log = countries()
    markov = MarkovModel.fit(log)
    model = NewcomerModel.fit(log, markov, config=NewcomerConfig(weight=0.8, patience=3.0))
    one = log.sequences().select(np.array([0])).tail(1)
    lift = np.log(model.table[model.group_of_user[0]] / model.table[-1])
    bent = markov.scores(one).numpy()[0] + 0.8 * 3 / (3 + 1) * lift
    np.testing.assert_allclose(model.scores(one).exp().numpy()[0], np.exp(bent) / np.exp(bent).sum(), rtol=1e-4)


def test_validation_users_choose_how_much_the_group_says():
    log = countries()
    train = log.select(log.user < 40)
    popular = NewcomerModel.fit(train, PopularityModel.fit(train), valid=log)
    assert popular.config.weight == 1.0  # popularity knows no group
    shoes = NewcomerModel.fit(
        train, PopularityModel.fit(train), valid=log.select(log.user >= 40), config=NewcomerConfig(feature="shoe")
    )
    assert shoes.config.weight < 0.5


def test_errors_are_sentences():
    log = countries()
    model = NewcomerModel.fit(log, MarkovModel.fit(log))
    with pytest.raises(UnknownIdError, match="country 'FR' is no group; the groups are CZ, PL"):
        model.recommend_to(["FR"])
    with pytest.raises(DataError, match="feature 'hair' cannot group users; those that can: country, shoe"):
        NewcomerModel.fit(log, MarkovModel.fit(log), config=NewcomerConfig(feature="hair"))
    bare = InteractionLog.from_pandas(pd.DataFrame({"user_id": [1, 1], "item_id": [1, 2]}))
    with pytest.raises(DataError, match="the log's users have no feature that can group them"):
        NewcomerModel.fit(bare, MarkovModel.fit(bare))
