"""The law of cleaning, against random dirt: every row that was read is kept, or counted under one reason."""

import csv
import io
import json

from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from rlrec.core.errors import RlrecError
from rlrec.data.cleaning_policy import CleaningPolicy
from rlrec.data.load import load_log
from rlrec.data.readers import text

HEADER = ["user_id", "item_id", "timestamp", "event", "value", "exposed", "propensity", "position"]
IDS = st.sampled_from(
    [
        "u1",
        "u2",
        "007",
        "7",
        "",
        "NA",
        "nan",
        " ",
        "👩‍🚀",
        "é",
        "é",
        "9007199254740993",
        "-9223372036854775809",
        'a"b',
        "a,b",
        "x\ny",
    ]
)
TIMES = st.sampled_from(
    [
        "1291195920",
        "1291195920000",
        "2010-12-01T09:32:00Z",
        "13/12/2010",
        "1/2/2010",
        "",
        "NaT",
        "soon",
        "1e400",
        "-5",
        "0",
    ]
)
VALUES = st.sampled_from(["1", "-2.5", "", "nan", "inf", "-inf", "1,5", "abc", "1e308", "0"])
EVENTS = st.sampled_from(["click", "Click ", "", "null", "купить", "3"])
FLAGS, SHARES, PLACES = (
    st.sampled_from(["1", "0", "true", "", "maybe"]),
    st.sampled_from(["0.5", "0", "1", "1.5", "", "x"]),
    st.sampled_from(["0", "3", "-1", "-2", "1.5", ""]),
)
GOOD = ["u1", "i1", "13/12/2010", "click", "1", "1", "0.5", "0"]
WHOLE = st.tuples(IDS, IDS, TIMES, EVENTS, VALUES, FLAGS, SHARES, PLACES).map(list)
RAGGED = st.lists(st.sampled_from(["u1", "5", "", "x"]), min_size=1, max_size=11)
ROWS = st.lists(st.one_of(WHOLE, WHOLE, WHOLE, RAGGED, st.just(HEADER)), min_size=1, max_size=25)
POLICIES = st.builds(
    CleaningPolicy,
    day_first=st.sampled_from([True, True, False, None]),
    mixed_units=st.sampled_from(["fix", "keep"]),
    missing_event=st.sampled_from(["fill", "drop"]),
    tidy_events=st.booleans(),
    bad_value=st.sampled_from(["missing", "mean", "median", "drop"]),
    decimal_comma=st.booleans(),
    duplicates=st.sampled_from(["keep", "drop"]),
    twin_ids=st.sampled_from(["keep", "merge"]),
)


BYTES = st.one_of(
    st.binary(max_size=400),
    st.binary(max_size=60).map(lambda dirt: b"user_id,item_id\nu,i\n" + dirt),
    st.binary(max_size=60).map(lambda dirt: b'{"user_id": 1, "item_id": 2}\n' + dirt),
    st.text(max_size=60).map(lambda dirt: ("user_id:token\titem_id:token\nu\ti\n" + dirt).encode("utf-8", "replace")),
)


def adds_up(source, n_records, policy, **options):
    """Load, and check the account; a log that cannot be used must say so with an error of ours, any other fails."""
    try:
        log = load_log(source, policy=policy, **options)
    except RlrecError:
        event("refused")
        return
    event("loaded")
    report = log.cleaning
    assert report.n_read == n_records
    assert report.n_kept == log.n_events
    assert report.n_kept + sum(report.dropped.values()) == report.n_read
    assert sum(report.events.values()) == report.n_kept


@given(rows=ROWS, policy=POLICIES, size=st.sampled_from([16, 64, 1 << 20]))
@example(rows=[["u1"], ["5"] * 11, ["5"] * 5], policy=CleaningPolicy(), size=16)  # a long one first, then it evens out
@settings(max_examples=150, deadline=None)
def test_every_row_of_a_csv_is_kept_or_counted(rows, policy, size, tmp_path_factory):
    path = tmp_path_factory.mktemp("dirt") / "log.csv"
    buffer = io.StringIO()
    csv.writer(buffer).writerows([HEADER, GOOD, *rows])
    path.write_bytes(buffer.getvalue().encode())
    usual = text.text_blocks.__kwdefaults__
    text.text_blocks.__kwdefaults__ = usual | {"size": size}
    try:
        adds_up(path, len(rows) + 1, policy)
    finally:
        text.text_blocks.__kwdefaults__ = usual


@given(
    lines=st.lists(st.one_of(st.text(max_size=30), WHOLE, st.just("{}"), st.just('{"user_id": [1]}')), max_size=20),
    policy=POLICIES,
)
@settings(max_examples=100, deadline=None)
def test_every_line_of_json_is_kept_or_counted(lines, policy, tmp_path_factory):
    first = json.dumps(dict(zip(HEADER, GOOD, strict=True)))
    texts = [
        json.dumps(dict(zip(HEADER, line, strict=True))) if isinstance(line, list) else " ".join(line.split())
        for line in lines
    ]
    texts = [line for line in texts if line.strip()]
    path = tmp_path_factory.mktemp("dirt") / "log.jsonl"
    path.write_text("\n".join([first, *texts]) + "\n", encoding="utf-8", errors="replace")
    adds_up(path, len(texts) + 1, policy, format="jsonl")


@given(
    data=BYTES,
    name=st.sampled_from(["log.csv", "log.txt", "log.jsonl", "log.parquet", "log.csv.gz", "x.inter"]),
)
@settings(max_examples=150, deadline=None)
def test_any_bytes_load_or_are_refused_in_a_sentence(data, name, tmp_path_factory):
    path = tmp_path_factory.mktemp("bytes") / name
    path.write_bytes(data)
    try:
        log = load_log(path)
    except RlrecError:
        event("refused")
    else:
        event("loaded")
        assert log.cleaning.n_read == log.cleaning.n_kept + log.cleaning.n_dropped
