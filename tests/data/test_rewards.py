import numpy as np
import pandas as pd
import pytest

from rlrec.core.errors import ConfigError, InvalidArgumentError
from rlrec.data.log import InteractionLog
from rlrec.data.rewards import EventRewards, event_rewards

FRAME = pd.DataFrame(
    {
        "user_id": 1,
        "item_id": range(4),
        "event": ["view", "addtocart", "Purchase", "return"],
        "value": [np.nan, np.nan, 20.0, -20.0],
    }
)
LOG = InteractionLog.from_pandas(FRAME)


def test_rewards_by_hand():
    assert event_rewards(LOG).tolist() == [0.1, 3.0, 10.0, -10.0]
    money = EventRewards(weights={"purchase": 1.0, "return": 1.0}, other=0.0, times_value=("purchase", "return"))
    assert event_rewards(LOG, money).tolist() == [0.0, 0.0, 20.0, -20.0]


def test_a_missing_value_never_becomes_a_reward_that_is_no_number():
    rewards = EventRewards(times_value=("view",), missing_value=2.0)
    assert event_rewards(LOG, rewards).tolist() == [0.2, 3.0, 10.0, -10.0]
    assert np.isfinite(event_rewards(LOG, EventRewards(times_value=("view",)))).all()


def test_an_event_without_a_weight_is_refused_unless_one_is_given_to_the_rest():
    with pytest.raises(InvalidArgumentError, match="event 'Purchase' has no weight; there are weights for view, cart"):
        event_rewards(LOG, EventRewards(weights={"view": 1.0, "cart": 1.0}))
    assert event_rewards(LOG, EventRewards(weights={}, other=0.5)).tolist() == [0.5] * 4


def test_what_cannot_be_a_reward_is_refused():
    with pytest.raises(ConfigError, match=r"weights must be finite numbers, got \{'view': nan\}"):
        EventRewards(weights={"view": float("nan")})
    log = InteractionLog.from_pandas(FRAME.drop(columns="value"))
    with pytest.raises(InvalidArgumentError, match="needs a log with values; 'log' has none"):
        event_rewards(log, EventRewards(times_value=("view",)))
