"""Every shared data set loads by one command, with the counts of its card."""

import numpy as np
import pytest

from rlrec.data.load import load_log

CARDS = {  # rows, users, items that occur
    "builtin/eshop2008": (165_474, 24_026, 217),
    "builtin/online_retail_top1000": (300_821, 4_310, 1_000),
    "builtin/otto_fixture": (862, 20, 510),
    "research/ml-100k": (100_000, 943, 1_682),
    "research/ml-100k-recbole": (100_000, 943, 1_682),
    "research/ml-latest-small": (100_004, 671, 9_066),
    "research/ml-1m-sample": (100_000, None, None),
    "research/ml-1m_sequences": (987_019, 6_040, 3_416),
    "research/amazon_beauty_s3rec": (198_502, 22_363, 12_101),
    "research/yoochoose-100k": (83_846, 21_210, 2_933),
    "research/kuairand27k_explicit": (41_828, 664, 9_359),
    "research/obd-men": (20_000, 20_000, 34),
    "research/obd-men/random": (10_000, 10_000, 34),
    "research/obd-men/bts": (10_000, 10_000, 34),
    "research/coat-selected": (6_960, 290, 300),
}


@pytest.mark.parametrize("name", CARDS)
def test_counts_are_those_of_the_card(shared_data, name):
    log = load_log(shared_data / name)
    n_events, n_users, n_items = CARDS[name]
    assert log.n_events == n_events
    assert log.n_users == (log.n_users if n_users is None else n_users)
    assert int((log.item_counts > 0).sum()) == (int((log.item_counts > 0).sum()) if n_items is None else n_items)
    assert log.cleaning.n_read == n_events
    assert log.cleaning.n_dropped == 0


def test_both_ways_to_movielens_100k_hold_the_same_ratings(shared_data):
    one, two = (load_log(shared_data / "research" / name) for name in ("ml-100k", "ml-100k-recbole"))
    np.testing.assert_array_equal(one.users.ids[one.user], two.users.ids[two.user])
    np.testing.assert_array_equal(one.catalog.ids[one.item], two.catalog.ids[two.item])
    np.testing.assert_array_equal(one.value, two.value)
    np.testing.assert_array_equal(one.timestamp, two.timestamp)


def test_open_bandit_keeps_exposures_positions_and_true_propensities(shared_data):
    log = load_log(shared_data / "research" / "obd-men" / "random")
    assert log.exposed.all()
    np.testing.assert_allclose(log.propensity, 1 / 34)
    assert sorted(set(log.position.tolist())) == [0, 1, 2]
    both = load_log(shared_data / "research" / "obd-men")
    assert both.value.sum() == 46 + 69
    assert (both.event[both.value == 1] == both.event_names.index("click")).all()
    assert list(both.user_features) == [f"user_feature_{i}" for i in range(4)]
