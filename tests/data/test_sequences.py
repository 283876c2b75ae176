import numpy as np
import pandas as pd
import pytest

from rlrec.core.errors import InvalidArgumentError
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import GAP_EDGES, gap_bucket
from tests.data.logs import random_log


@pytest.mark.parametrize("sessions", [False, True])
def test_sequences_are_the_groups_of_the_log(sessions):
    log = random_log(sessions=sessions)
    sequences = log.sequences()
    owner = log.session if sessions else log.user
    groups = [group.tolist() for _, group in pd.Series(log.item).groupby(owner, sort=True)]
    found = [part.tolist() for part in np.split(sequences.item, sequences.offsets[1:-1])]
    assert found == groups
    assert sequences.n_events == log.n_events


def test_gaps_by_hand():
    frame = pd.DataFrame({"user_id": [1, 1, 1, 2], "item_id": [1, 2, 3, 1], "timestamp": [0, 0.5, 86_400.5, 9]})
    assert InteractionLog.from_pandas(frame).sequences().gap.tolist() == [0, 0, gap_bucket(np.array([86_400.0]))[0], 0]
    assert gap_bucket(GAP_EDGES).tolist() == list(range(1, len(GAP_EDGES) + 1))
    assert gap_bucket(np.array([-5.0])).tolist() == [0]


def test_padding_holds_the_sequences_and_nothing_else():
    sequences = random_log(sessions=True).sequences()
    index = np.array([3, 0, 3])
    batch = sequences.pad(index)
    for row, which in enumerate(index):
        items = sequences.item[sequences.offsets[which] : sequences.offsets[which + 1]]
        assert batch.item[row][batch.mask[row]].tolist() == items.tolist()
    assert not batch.item[~batch.mask].any()
    assert np.isnan(batch.value[~batch.mask]).all()


def test_select_and_tail_agree_with_plain_slicing():
    sequences = random_log().sequences()
    picked = sequences.select(np.array([4, 1]))
    assert np.split(picked.item, picked.offsets[1:-1])[0].tolist() == (
        sequences.item[sequences.offsets[4] : sequences.offsets[5]].tolist()
    )
    tail = sequences.tail(3)
    for s in range(len(sequences)):
        whole = sequences.item[sequences.offsets[s] : sequences.offsets[s + 1]]
        assert tail.item[tail.offsets[s] : tail.offsets[s + 1]].tolist() == whole[-3:].tolist()
    with pytest.raises(InvalidArgumentError, match="n must be at least 1, got 0"):
        sequences.tail(0)


@pytest.mark.parametrize("seed", [None, 3])
def test_batches_cover_every_sequence_once_within_the_budget(seed):
    sequences = random_log(2000, sessions=True).sequences()
    rng = None if seed is None else np.random.default_rng(seed)
    batches = list(sequences.batches(n_tokens=40, rng=rng))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(sequences)))
    for index in batches:
        assert len(index) * sequences.lengths[index].max() <= 40 or len(index) == 1


def test_an_empty_log_has_no_sequences():
    log = random_log()
    empty = log.select(np.zeros(log.n_events, bool)).sequences()
    assert len(empty) == 0
    assert list(empty.batches(n_tokens=10)) == []
    assert list(empty.batches(n_tokens=10, rng=np.random.default_rng(0))) == []
