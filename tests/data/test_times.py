import polars as pl
import pytest

from rlrec.core.errors import DataError
from rlrec.data.cleaning_policy import CleaningPolicy
from rlrec.data.load import load_log
from rlrec.data.readers import text
from rlrec.data.times import DateEvidence, parse_times

DAY, MONTH = 1_291_161_600.0, 1_263_254_400.0  # 2010-12-01, which 01/12/2010 is day first, and 2010-01-12


def write(path, dates):
    path.write_text("user_id,item_id,timestamp\n" + "".join(f"u{i},i,{date}\n" for i, date in enumerate(dates)))
    return path


@pytest.mark.parametrize(
    ("spelling", "seconds"),
    [
        ("1291195920", 1291195920.0),
        ("1291195920000", 1291195920.0),
        ("1291195920000000", 1291195920.0),
        ("1291195920000000000", 1291195920.0),
        ("2010-12-01T09:32:00Z", 1291195920.0),
        ("2010-12-01 10:32:00+01:00", 1291195920.0),
        ("2010/12/1 9:32", 1291195920.0),
        ("2010-12-01 09:32:00.250", 1291195920.25),
        ("2010-12-01", DAY),
        ("", None),
        ("0000-00-00", None),
        ("1e400", None),
        ("2010-02-30", None),
    ],
)
def test_a_time_in_any_spelling_is_utc_seconds(spelling, seconds):
    assert parse_times(pl.Series([spelling])).seconds.to_list() == [seconds]


def test_the_whole_column_tells_day_from_month_however_it_is_cut_into_blocks(tmp_path, monkeypatch):
    path = write(tmp_path / "log.csv", ["01/12/2010"] * 40 + ["13/12/2010"])
    whole = load_log(path)
    monkeypatch.setattr(text, "BLOCK_BYTES", 64)
    monkeypatch.setattr(text.text_blocks, "__kwdefaults__", text.text_blocks.__kwdefaults__ | {"size": 64})
    in_blocks = load_log(path)
    assert in_blocks == whole
    assert whole.timestamp.min() == DAY
    write(path, ["01/12/2010"] * 40 + ["12/13/2010"])
    assert load_log(path).timestamp.min() == MONTH


def test_rows_that_the_chosen_order_cannot_read_are_counted(tmp_path):
    path = write(tmp_path / "log.csv", ["01/12/2010", "12/13/2010"])
    log = load_log(path, policy=CleaningPolicy(day_first=True))
    assert log.cleaning.dropped == {"missing or unreadable timestamp": 1}
    log = load_log(write(path, ["01/12/2010", "12/13/2010", "31/31/2010", "2010-12-01"]))
    assert log.timestamp.tolist() == [MONTH, 1_292_198_400.0, DAY]
    assert log.cleaning.dropped == {"missing or unreadable timestamp": 1}


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        (["01/12/2010", "2/3/2010"], "has 2 dates such as '01/12/2010', and nothing tells day from month; say Clea"),
        (["13/12/2010", "12/13/2010"], "has 2 dates such as '13/12/2010', and 1 have the day first and 1 the month;"),
    ],
)
def test_dates_that_do_not_tell_are_refused(tmp_path, dates, message):
    with pytest.raises(DataError) as caught:
        load_log(write(tmp_path / "log.csv", dates))
    assert message in str(caught.value)
    assert load_log(tmp_path / "log.csv", policy=CleaningPolicy(day_first=True)).n_events >= 1


def test_evidence_adds_up():
    total = DateEvidence(2, 0, 0, "1/2/2010").plus(DateEvidence(3, 1, 0, "13/2/2010"))
    assert total == (5, 1, 0, "1/2/2010")
    assert total.decide()
