"""Every file of shared dirty data gives what its manifest calls sensible."""

import json

import numpy as np
import pytest

from rlrec.core.errors import DataError
from rlrec.data.cleaning_policy import CleaningPolicy
from rlrec.data.load import load_log

REFUSED = {
    "12_non_utf8.csv": "is not valid utf-8 at byte 30,715; say how it is encoded",
    "13_empty.csv": "is empty: no header, no rows",
    "14_header_only.csv": "has no interactions to use: 0 rows read",
    "17_no_header.csv": "seems to have no header",
    "24_truncated.csv.gz": "is a damaged or truncated .gz file",
    "26_dup_columns.csv": "has the column 'item_id' twice",
}
DROPPED = {
    "01_missing_ids.csv": {"missing user_id": 20, "missing item_id": 20},
    "02_nan_timestamps.csv": {"missing or unreadable timestamp": 30},
    "23_ragged.csv": {"ragged row (more or fewer fields than the header)": 20},
    "25_repeated_header.csv": {"repeated header": 1},
}
SAME_AS_CLEAN = [
    "04_mixed_ms_s.csv",
    "05_mixed_ms_s_within_user.csv",
    "06_mixed_timestamp_formats.csv",
    "09_bom_crlf.csv",
    "10_quoted_commas.csv",
    "15_semicolon.csv",
    "16_tab.csv",
]


@pytest.fixture
def dirty(shared_data):
    return shared_data / "dirty"


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_in_a_sentence(dirty, name):
    with pytest.raises(DataError) as caught:
        load_log(dirty / name)
    assert REFUSED[name] in str(caught.value)


@pytest.mark.parametrize("name", DROPPED)
def test_dropped_rows_are_counted_and_strict_refuses_them(dirty, name):
    report = load_log(dirty / name).cleaning
    assert report.dropped == DROPPED[name]
    assert report.n_read == report.n_kept + report.n_dropped
    with pytest.raises(DataError, match="rows refused"):
        load_log(dirty / name, strict=True)


@pytest.mark.parametrize("name", SAME_AS_CLEAN)
def test_harmless_spellings_give_the_clean_log(dirty, name):
    assert load_log(dirty / name) == load_log(dirty / "00_clean.csv")


def test_every_row_of_every_usable_file_is_accounted_for(dirty):
    for fault in json.loads((dirty / "manifest.json").read_text())["faults"]:
        if fault["file"] in REFUSED:
            continue
        log = load_log(dirty / fault["file"])
        assert log.cleaning.n_read == log.n_events + log.cleaning.n_dropped, fault["file"]
        assert log.n_events == fault.get("expected_good_rows", log.n_events), fault["file"]
        assert log.n_users == fault.get("expected_users", log.n_users), fault["file"]


def test_duplicates_are_kept_by_default_and_dropped_on_request(dirty):
    path = dirty / "03_duplicates.csv"
    assert any(warning.startswith("80 rows repeat") for warning in load_log(path).cleaning.warnings)
    assert load_log(path, policy=CleaningPolicy(duplicates="drop")).n_events == 10_387


def test_unicode_ids_stay_apart_and_unchanged(dirty):
    faults = json.loads((dirty / "manifest.json").read_text())["faults"]
    expected = next(fault["map_first"] for fault in faults if fault["file"] == "21_unicode_ids.csv")
    assert set(expected.values()) <= set(load_log(dirty / "21_unicode_ids.csv").users.ids.tolist())


def test_twin_ids_are_kept_and_named_merged_or_refused(dirty):
    path = dirty / "21_unicode_ids.csv"
    assert any("differ only in Unicode form: 'e\\u0301', '\\xe9'" in w for w in load_log(path).cleaning.warnings)
    assert load_log(path, policy=CleaningPolicy(twin_ids="merge")).n_users == 249
    with pytest.raises(DataError, match="2 ids of column 'user_id' differ only in Unicode form"):
        load_log(path, policy=CleaningPolicy(twin_ids="fail"))


@pytest.mark.parametrize("how", ["mean", "median"])
def test_bad_values_are_filled_from_the_good_ones_of_the_whole_log(dirty, how):
    path = dirty / "07_bad_values.csv"
    missing = load_log(path).value
    good = missing[np.isfinite(missing)]
    log = load_log(path, policy=CleaningPolicy(bad_value=how))
    assert np.isfinite(log.value).all()
    assert np.unique(log.value[~np.isfinite(missing)]).tolist() == pytest.approx([getattr(np, how)(good)])
    assert log.cleaning.fixed == {f"value is no finite number: set to the {how}": 45}


def test_empty_values_are_no_fault_and_stay_missing(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,value\n1,1,2\n1,2,\n1,3,inf\n")
    log = load_log(path, policy=CleaningPolicy(bad_value="mean"))
    np.testing.assert_array_equal(log.value, [2, np.nan, 2])
    path.write_text("user_id,item_id,value\n1,1,x\n")
    assert "there is no mean to fill the others with" in str(
        load_log(path, policy=CleaningPolicy(bad_value="mean")).cleaning.warnings
    )
