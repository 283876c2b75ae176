"""Every file of shared dirty data gives what its manifest calls sensible; `SENSIBLE` has a line for each of them."""

import json

import numpy as np
import pytest

from rlrec.core.errors import DataError
from rlrec.data.cleaning_policy import CleaningPolicy
from rlrec.data.load import load_log
from rlrec.data.splits import split_by_time, split_by_user

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


def same_rows(dirty, name):
    """The same users did the same with the same items at the same times; ties within a basket may differ in order."""
    rows = [
        sorted(zip(*(log.to_pandas()[c].tolist() for c in ("user_id", "timestamp", "item_id", "value")), strict=True))
        for log in (load_log(dirty / name), load_log(dirty / "00_clean.csv"))
    ]
    return rows[0] == rows[1]


def event_counts(dirty):
    return dict(load_log(dirty / "08_unknown_events.csv").cleaning.events)


def unknown_events_are_named(dirty):
    found, tidy = (
        event_counts(dirty),
        load_log(dirty / "08_unknown_events.csv", policy=CleaningPolicy(tidy_events=True)),
    )
    assert (found["refund"], found["PURCHASE "], found["unknown"], found["купить"]) == (6, 6, 5, 2)
    assert "purchse" in tidy.event_names
    assert "PURCHASE " not in tidy.event_names
    mapped = load_log(dirty / "08_unknown_events.csv", events={"purchse": "purchase"})
    assert "purchse" not in mapped.event_names


def one_event_users_can_be_filtered_with_a_count(dirty):
    log = load_log(dirty / "18_one_event_users.csv")
    assert (log.n_events, log.n_users) == (10_787, 650)
    for part in split_by_time(log):
        assert part.n_events > 0
        assert (part.sequences().lengths > 0).all()


def the_test_part_has_new_items_and_users(dirty):
    train, test = load_log(dirty / "22_train.csv"), load_log(dirty / "22_test.csv")
    unknown = train.catalog.vocabulary.find(test.catalog.ids) < 0
    assert {f"NEW{i:03d}" for i in range(25)} <= set(test.catalog.ids[unknown].tolist())
    assert train.n_events == 8_305


def far_future_is_accepted_with_a_warning(dirty):
    log = load_log(dirty / "27_future_timestamps.csv")
    assert log.n_events == 10_387
    assert any("lie in the future" in warning for warning in log.cleaning.warnings)


def one_user_cannot_be_split_by_user(dirty):
    log = load_log(dirty / "28_single_user.csv")
    assert log.n_users == 1
    with pytest.raises(DataError, match="a split needs at least 3 sequences or users, got 1"):
        split_by_user(log)


def one_time_cannot_be_split_by_time(dirty):
    log = load_log(dirty / "31_all_same_timestamp.csv")
    clean = load_log(dirty / "00_clean.csv")
    assert log.catalog.ids[log.item].tolist() == clean.catalog.ids[clean.item].tolist()  # stable: the file's order
    with pytest.raises(DataError, match="the timestamps do not allow a split by time"):
        split_by_time(log)


def a_giant_user_is_cut_to_bounded_batches(dirty):
    log = load_log(dirty / "30_one_giant_user.csv")
    lengths = log.sequences().tail(200).lengths
    assert (log.n_events, lengths.max()) == (30_387, 200)


def is_refused(name):
    def check(dirty):
        with pytest.raises(DataError) as caught:
            load_log(dirty / name)
        assert REFUSED[name] in str(caught.value)

    return check


def drops(name):
    def check(dirty):
        assert load_log(dirty / name).cleaning.dropped == DROPPED[name]

    return check


def has(name, **counts):
    def check(dirty):
        log = load_log(dirty / name)
        for count, expected in counts.items():
            assert getattr(log, count) == expected, count

    return check


def is_clean(name):
    def check(dirty):
        assert same_rows(dirty, name)

    return check


def clean_has_no_warnings(dirty):
    assert load_log(dirty / "00_clean.csv").cleaning.warnings == []


def values_are_finite_or_missing_and_negatives_kept(dirty):
    log = load_log(dirty / "07_bad_values.csv")
    assert not np.isinf(log.value).any()
    assert np.isnan(log.value).sum() == 45
    assert (log.value < 0).sum() == 15


def one_item_is_no_trouble(dirty):
    log = load_log(dirty / "29_single_item.csv")
    assert (log.n_items, log.item_counts.tolist()) == (1, [log.n_events])


SENSIBLE = {
    "00_clean.csv": clean_has_no_warnings,
    "01_missing_ids.csv": drops("01_missing_ids.csv"),
    "02_nan_timestamps.csv": drops("02_nan_timestamps.csv"),
    "03_duplicates.csv": has("03_duplicates.csv", n_events=10_467),
    "04_mixed_ms_s.csv": is_clean("04_mixed_ms_s.csv"),
    "05_mixed_ms_s_within_user.csv": is_clean("05_mixed_ms_s_within_user.csv"),
    "06_mixed_timestamp_formats.csv": is_clean("06_mixed_timestamp_formats.csv"),
    "07_bad_values.csv": values_are_finite_or_missing_and_negatives_kept,
    "08_unknown_events.csv": unknown_events_are_named,
    "09_bom_crlf.csv": is_clean("09_bom_crlf.csv"),
    "10_quoted_commas.csv": is_clean("10_quoted_commas.csv"),
    "11_unsorted.csv": is_clean("11_unsorted.csv"),
    "12_non_utf8.csv": is_refused("12_non_utf8.csv"),
    "13_empty.csv": is_refused("13_empty.csv"),
    "14_header_only.csv": is_refused("14_header_only.csv"),
    "15_semicolon.csv": is_clean("15_semicolon.csv"),
    "16_tab.csv": is_clean("16_tab.csv"),
    "17_no_header.csv": is_refused("17_no_header.csv"),
    "18_one_event_users.csv": one_event_users_can_be_filtered_with_a_count,
    "19_giant_ints.csv": has("19_giant_ints.csv", n_events=10_387, n_users=250),
    "20_ids_above_2_53.csv": has("20_ids_above_2_53.csv", n_events=10_387, n_users=250),
    "21_unicode_ids.csv": has("21_unicode_ids.csv", n_users=250),
    "22_train.csv": has("22_train.csv", n_events=8_305),
    "22_test.csv": the_test_part_has_new_items_and_users,
    "23_ragged.csv": drops("23_ragged.csv"),
    "24_truncated.csv.gz": is_refused("24_truncated.csv.gz"),
    "25_repeated_header.csv": drops("25_repeated_header.csv"),
    "26_dup_columns.csv": is_refused("26_dup_columns.csv"),
    "27_future_timestamps.csv": far_future_is_accepted_with_a_warning,
    "28_single_user.csv": one_user_cannot_be_split_by_user,
    "29_single_item.csv": one_item_is_no_trouble,
    "30_one_giant_user.csv": a_giant_user_is_cut_to_bounded_batches,
    "31_all_same_timestamp.csv": one_time_cannot_be_split_by_time,
}


@pytest.mark.parametrize("name", SENSIBLE)
def test_the_behaviour_is_what_the_manifest_calls_sensible(dirty, name):
    SENSIBLE[name](dirty)


def test_no_file_of_the_manifest_is_forgotten(dirty):
    faults = json.loads((dirty / "manifest.json").read_text())["faults"]
    assert {fault["file"] for fault in faults} == set(SENSIBLE)


def test_other_bytes_are_read_with_their_encoding_or_replaced(dirty):
    path = dirty / "12_non_utf8.csv"
    assert load_log(path, encoding="cp1252").n_events == 10_387
    replaced = load_log(path, policy=CleaningPolicy(bad_encoding="replace"))
    assert replaced.cleaning.fixed == {"bytes replaced": 25}
