"""What is ingested in blocks and parts equals what is loaded in memory and saved."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlrec.core.errors import DataError, RlrecError
from rlrec.data import ingest
from rlrec.data.cleaning_policy import CleaningPolicy
from rlrec.data.encoding import HashTable, IdEncoder
from rlrec.data.ingest import ingest_log
from rlrec.data.load import load_log
from rlrec.data.readers import text
from rlrec.data.store import is_stored_log, open_log, save_log
from rlrec.data.tie_order import order_of
from tests.data.logs import random_frame, random_log
from tests.data.test_accounting import GOOD, HEADER, POLICIES, ROWS


@pytest.fixture
def small_steps(monkeypatch):
    """Blocks of a few rows and parts of a few rows, so that every seam is met."""
    monkeypatch.setitem(text.text_blocks.__kwdefaults__, "size", 256)
    monkeypatch.setattr(ingest, "_PART_ROWS", 16)


def said(call, *args, **options):
    """The result, or the words in which it was refused."""
    try:
        return call(*args, **options)
    except RlrecError as error:
        return str(error)


def same(source, folder, **options):
    """Both ways give the same log and the same account, or refuse in the same words."""
    expected = said(load_log, source, **options)
    found = said(ingest_log, source, folder, **options)
    if isinstance(expected, str):
        assert found == expected
        return None
    assert found == expected
    assert found.cleaning.to_dict() == expected.cleaning.to_dict()
    assert (found.name, found.notes) == (expected.name, expected.notes)
    return found


@pytest.mark.parametrize("sessions", [False, True])
@pytest.mark.parametrize("end", ["csv", "parquet", "frame"])
def test_a_log_is_the_same_by_both_ways(tmp_path, small_steps, sessions, end):
    frame = random_log(sessions=sessions).to_pandas().sample(frac=1, random_state=0, ignore_index=True)
    source = frame
    if end != "frame":
        source = tmp_path / f"log.{end}"
        table = pl.DataFrame(frame.to_dict("list"))
        table.write_csv(source) if end == "csv" else table.write_parquet(source)
    users = pd.DataFrame({"user_id": ["u3", "u99"], "age": [1, 2]})
    items = pd.DataFrame({"item_id": range(104, 120), "title": [f"long title {i}" for i in range(16)]})
    log = same(source, tmp_path / "log", users=users, items=items)
    assert isinstance(log.item.base, np.memmap) or isinstance(log.item.base.base, np.memmap)
    assert sorted(path.suffix for path in (tmp_path / "log").glob("data-*/*") if path.is_dir()) == ["", ""]


@given(rows=ROWS, policy=POLICIES)
@settings(max_examples=100, deadline=None)
def test_dirt_is_cleaned_alike(rows, policy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dirt")
    pd.DataFrame([HEADER, GOOD, *(row for row in rows if len(row) == len(HEADER))]).to_csv(
        folder / "log.csv", header=False, index=False
    )
    usual, parts = text.text_blocks.__kwdefaults__["size"], ingest._PART_ROWS
    text.text_blocks.__kwdefaults__["size"], ingest._PART_ROWS = 128, 4
    try:
        same(folder / "log.csv", folder / "out", policy=policy)
    finally:
        text.text_blocks.__kwdefaults__["size"], ingest._PART_ROWS = usual, parts


@pytest.mark.parametrize("policy", [CleaningPolicy(), CleaningPolicy(duplicates="drop", bad_value="median"), None])
def test_every_dirty_file_is_treated_alike(shared_data, tmp_path, policy):
    for fault in json.loads((shared_data / "dirty" / "manifest.json").read_text())["faults"]:
        path = shared_data / "dirty" / fault["file"]
        same(path, tmp_path / path.name, **({"strict": True} if policy is None else {"policy": policy}))


@pytest.mark.parametrize(
    "name", ["ml-100k", "obd-men", "yoochoose-100k", "ml-latest-small", "coat-selected", "ml-100k-recbole"]
)
def test_shared_sets_are_treated_alike(shared_data, tmp_path, name):
    same(shared_data / "research" / name, tmp_path / "log")


@pytest.mark.parametrize(
    "ids",
    [
        [-(2**63), 2**63 - 1, 0, 12],
        [5, 3, 5, 9],
        ["007", "7", "👩‍🚀", ""],
        pl.Series([2**63, 5, 2**64 - 1, 5], dtype=pl.UInt64),
        pl.Series([4, 5, 2**62, 5], dtype=pl.UInt64),
        ["12", "5", "12", "9223372036854775807"],
    ],
    ids=["wide", "dense", "text", "beyond", "unsigned", "numbers as text"],
)
def test_ids_survive_exactly(tmp_path, ids):
    policy = CleaningPolicy(missing_spellings=("NA",))
    log = same(pl.DataFrame({"user_id": ids, "item_id": ids}), tmp_path / "log", policy=policy)
    kept = ids.to_list() if isinstance(ids, pl.Series) else ids
    assert sorted(map(str, log.users.ids)) == sorted({str(value) for value in kept})


def test_parts_with_other_columns_and_other_types(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    pl.DataFrame({"user_id": [1, 2], "item_id": [1, 1], "value": [1.0, None]}).write_parquet(folder / "a.parquet")
    pl.DataFrame({"user_id": [1], "item_id": [2], "position": [3]}).write_parquet(folder / "b.parquet")
    log = same(folder, tmp_path / "log")
    assert log.position.tolist() == [-1, 3, -1]
    pl.DataFrame({"user_id": [1], "item_id": [2], "session_id": [3]}).write_parquet(folder / "c.parquet")
    same(folder, tmp_path / "log")


OTHER_TYPES = [
    ([1, 2, 2**40], ["x", "2", "002"]),
    (["x", "2"], [2, 3]),
    ([-1, 7], pl.Series([2**63, 7], dtype=pl.UInt64)),
    (pl.Series([2**64 - 1, 7], dtype=pl.UInt64), ["7", "y"]),
]


@pytest.mark.parametrize(("first", "second"), OTHER_TYPES, ids=["text late", "numbers late", "signs", "unsigned"])
def test_ids_of_several_types_become_text_and_keep_their_meaning(tmp_path, first, second):
    folder = tmp_path / "parts"
    folder.mkdir()
    for name, ids in zip("abc", (first, second, first), strict=True):
        pl.DataFrame({"user_id": ids, "item_id": ids}).write_parquet(folder / f"{name}.parquet")
    log = same(folder, tmp_path / "log")
    assert set(map(str, log.users.ids)) == {str(value) for ids in (first, second) for value in ids}


def test_a_refusal_leaves_the_older_log(tmp_path, small_steps):
    save_log(random_log(), tmp_path / "log")
    path = tmp_path / "bad.csv"
    random_frame().to_csv(path, index=False)
    path.write_text(path.read_text() + "u1,100,soon,click,1\n")
    with pytest.raises(DataError, match="1 rows refused: missing or unreadable timestamp, such as 'soon'"):
        ingest_log(path, tmp_path / "log", strict=True)
    assert open_log(tmp_path / "log") == random_log()
    assert len(list((tmp_path / "log").glob("data-*"))) == 1
    with pytest.raises(DataError, match="has no interactions to use"):
        ingest_log(random_frame()[:0], tmp_path / "none")
    assert not is_stored_log(tmp_path / "none")


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from([0.0, 1.0, 1.5, 1e9, 1.6e9 + 0.025, -3.0, 1e300, 2.0**42])),
        max_size=40,
    )
)
def test_the_fast_order_is_the_lexical_one(rows):
    user = np.array([row[0] for row in rows], np.int32)
    timestamp = np.array([row[1] for row in rows], np.float64)
    assert order_of(user, timestamp).tolist() == np.lexsort((timestamp, user)).tolist()
    timestamp.sort()
    assert order_of(user, timestamp).tolist() == np.lexsort((timestamp, user)).tolist()


BLOCKS = [[["b", "a"], [], ["a", "c", "b"]], [[3, -(10**12)], [], [3, 5]], [[2**63 - 1, -(2**63)], [], [0, -1]]]


@pytest.mark.parametrize("blocks", BLOCKS)
def test_codes_tell_ids_apart_across_blocks(blocks):
    encoder = IdEncoder("user_id")
    dtype = pl.String if isinstance(blocks[0][0], str) else pl.Int64
    codes = [encoder.encode(pl.Series(block, dtype=dtype)) for block in blocks]
    assert [encoder.ids(block).to_list() for block in codes] == blocks
    assert sorted(set(np.concatenate(codes).tolist())) == list(range(encoder.size))


def test_two_ids_with_one_hash_are_refused_and_never_merged(monkeypatch):
    encoder = IdEncoder("user_id")
    encoder.encode(pl.Series(["a"]))
    monkeypatch.setattr(HashTable, "find", lambda table, hashes: np.zeros(len(hashes), np.int32))
    with pytest.raises(DataError, match="two ids of column 'user_id' have the same 64-bit hash"):
        encoder.encode(pl.Series(["b"]))


@given(st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=30), max_size=4), st.integers(0, 60))
def test_the_hash_table_is_a_dictionary(blocks, shift):
    table, known = HashTable(), {}
    for block in blocks:
        hashes = np.array([value >> shift for value in block], np.uint64)
        found = table.find(hashes)
        assert found.tolist() == [known.get(value, -1) for value in hashes.tolist()]
        new = np.unique(hashes[found < 0])
        table.add(new)
        known |= {value: len(known) + place for place, value in enumerate(new.tolist())}
    wanted = np.array([*known, 12345], np.uint64)
    assert table.find(wanted).tolist() == [known.get(value, -1) for value in wanted.tolist()]
