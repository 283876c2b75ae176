import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlrec.core.errors import DataError, UnknownIdError
from rlrec.data.vocabulary import Vocabulary

IDS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, min_size=1),
    st.lists(st.text(), unique=True, min_size=1),
    st.lists(st.integers(2**63, 2**70), unique=True, min_size=1),
)


@given(IDS)
def test_ids_and_indices_are_a_bijection(ids):
    vocabulary = Vocabulary(ids)
    assert vocabulary.ids.tolist() == ids
    assert vocabulary.index_of(ids).tolist() == list(range(len(ids)))
    assert [type(value) for value in vocabulary.ids.tolist()] == [type(value) for value in ids]


@given(IDS, IDS)
def test_hash_is_equal_exactly_when_the_ids_are(a, b):
    assert (Vocabulary(a).sha256 == Vocabulary(b).sha256) == (a == b)
    assert Vocabulary(a) == Vocabulary(list(a))


def test_the_hash_tells_where_one_id_ends_and_the_next_begins():
    assert Vocabulary(["ab", "c"]).sha256 != Vocabulary(["a", "bc"]).sha256
    assert Vocabulary([1, 2]).sha256 != Vocabulary(["1", "2"]).sha256


def test_numbers_never_equal_text():
    assert Vocabulary([7, 8]).find(["7", 8, 9]).tolist() == [-1, 1, -1]
    assert Vocabulary(["7"]).find([7]).tolist() == [-1]


def test_an_unknown_id_is_named_with_its_type():
    with pytest.raises(UnknownIdError) as caught:
        Vocabulary(["A1", "A2"]).index_of(["A1", 5])
    assert str(caught.value) == (
        "id 5 (int) is not among the 2 known ids, such as 'A1' (str); use find() to get -1 for unknown ids"
    )


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a", None], "ids must not be missing (None or NaN); clean the log first"),
        ([1.0, float("nan")], "ids must not be missing (None or NaN); clean the log first"),
        (["a", "b", "a"], "ids must be distinct, 'a' stands twice"),
        ("abc", "ids must be a sequence of ids, got the single string 'abc'; put it in a list"),
    ],
)
def test_bad_ids_are_refused_in_a_sentence(ids, message):
    with pytest.raises(DataError) as caught:
        Vocabulary(ids)
    assert str(caught.value) == message


def test_ids_from_storage_are_read_only_when_asked_for():
    reads = []

    def load():
        reads.append(1)
        return np.array([3, 5])

    vocabulary = Vocabulary.from_storage(load, 2, Vocabulary([3, 5]).sha256)
    assert len(vocabulary) == 2
    assert vocabulary == Vocabulary([3, 5])
    assert not reads
    assert vocabulary.index_of([5]).tolist() == [1]
    assert vocabulary.ids.tolist() == [3, 5]
    assert len(reads) == 1
    with pytest.raises(ValueError, match="read-only"):
        vocabulary.ids[0] = 9
