"""Each published layout in a few rows, read back by hand."""

import gzip
import json

import numpy as np
import pytest

from rlrec.core.errors import DataError
from rlrec.data.cleaning_policy import CleaningPolicy
from rlrec.data.load import load_log


def rows(log):
    """(user, item, seconds, event) of each row, in the caller's ids."""
    events = np.array(log.event_names, dtype=object)[log.event]
    return list(
        zip(
            log.users.ids[log.user].tolist(),
            log.catalog.ids[log.item].tolist(),
            log.timestamp.tolist(),
            events.tolist(),
            strict=True,
        )
    )


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def test_movielens_100k(tmp_path):
    item = "1|Café (1995)|01-Jan-1995||http://x|" + "|".join("1" if i in (3, 5) else "0" for i in range(19))
    files = {
        "u.data": "5\t1\t4\t881250949\n",
        "u.item": (item + "\n").encode("latin-1"),
        "u.user": "5|24|M|writer|02138\n",
    }
    log = load_log(write(tmp_path, **files))
    assert rows(log) == [(5, 1, 881250949, "rating")]
    assert log.value.tolist() == [4]
    assert log.catalog.describe(0) == "1 (Café (1995))"
    assert log.catalog.features["genres"].words() == ["Animation|Comedy"]
    assert log.user_features["age"].words() == ["24"]


def test_movielens_1m(tmp_path):
    files = {
        "ratings.dat": "1::1193::5::978300760\n1::661::3::978302109\n",
        "movies.dat": "661::James (1996)::Animation|Musical\n1193::Nest, The (1975)::Drama\n".encode("latin-1"),
        "users.dat": "1::F::1::10::48067\n",
    }
    log = load_log(write(tmp_path, **files))
    assert rows(log) == [(1, 1193, 978300760, "rating"), (1, 661, 978302109, "rating")]
    assert log.catalog.features["genres"].words() == ["Animation|Musical", "Drama"]
    assert log.user_features["occupation"].words() == ["10"]


def test_movielens_latest(tmp_path):
    files = {
        "ratings.csv": "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n",
        "movies.csv": 'movieId,title,genres\n31,"Minds, Dangerous",Drama\n9,None,(no genres listed)\n',
    }
    log = load_log(write(tmp_path, **files))
    assert rows(log) == [(1, 31, 1260759144, "rating")]
    assert log.catalog.features["genres"].words() == ["Drama", ""]
    assert log.catalog.describe(0) == "31 (Minds, Dangerous)"


def test_open_bandit(tmp_path):
    header = ",timestamp,item_id,position,click,propensity_score,user_feature_0\n"
    for policy, click in (("random", 0), ("bts", 1)):
        line = f"0,2019-11-24 00:00:01.5+00:00,7,3,{click},0.25,abc\n"
        write(tmp_path / policy, **{"men.csv": header + line, "item_context.csv": ",item_id,f\n0,7,x\n"})
    log = load_log(tmp_path)
    assert rows(log) == [("bts/0", 7, 1574553601.5, "click"), ("random/0", 7, 1574553601.5, "impression")]
    assert (log.position.tolist(), log.propensity.tolist(), log.value.tolist()) == ([2, 2], [0.25, 0.25], [1, 0])
    assert log.exposed.all()
    assert log.user_features["user_feature_0"].words() == ["abc", "abc"]
    assert load_log(tmp_path / "bts").n_events == 1


@pytest.mark.parametrize(
    "review",
    [
        {"reviewerID": "A1", "asin": "0007", "overall": 5.0, "unixReviewTime": 1391040000, "helpful": [0, 1]},
        {"user_id": "A1", "asin": "x", "parent_asin": "0007", "rating": 5.0, "timestamp": 1391040000000},
        {"user_id": "A1", "asin": "0007", "rating": 5.0, "timestamp": 1391040000000, "images": [{"a": "b"}]},
    ],
    ids=["2014", "2023", "2023 without parents"],
)
def test_amazon_reviews(tmp_path, review):
    path = tmp_path / "Beauty.json.gz"
    with gzip.open(path, "wt") as file:
        file.write(json.dumps(review) + "\n")
    log = load_log(path)
    assert rows(log) == [("A1", "0007", 1391040000, "review")]
    assert log.value.tolist() == [5]


def test_amazon_metadata_is_an_item_table(tmp_path):
    files = {
        "reviews.jsonl": '{"user_id": "A1", "parent_asin": "0007", "rating": 5, "timestamp": 1391040000000}\n',
        "meta.jsonl": '{"parent_asin": "0007", "title": "Soap", "price": 3.5, "categories": ["Beauty", "Bath"]}\n',
    }
    write(tmp_path, **files)
    (tmp_path / "meta.jsonl.gz").write_bytes(gzip.compress(files["meta.jsonl"].encode()))
    for meta in ("meta.jsonl", "meta.jsonl.gz"):
        log = load_log(tmp_path / "reviews.jsonl", items=tmp_path / meta)
        assert log.catalog.describe(0) == "0007 (Soap)"
        assert log.catalog.features["categories"].words() == ["Beauty|Bath"]
    (tmp_path / "meta.jsonl").write_text("{broken\n")
    with pytest.raises(DataError, match=r"meta\.jsonl' cannot be read as a table: .*; repair it, or convert it to CSV"):
        load_log(tmp_path / "reviews.jsonl", items=tmp_path / "meta.jsonl")


def test_retailrocket(tmp_path):
    header = "timestamp,visitorid,event,itemid,transactionid\n"
    properties = "timestamp,itemid,property,value\n"
    files = {
        "events.csv": header + "1433221332117,9,view,35,\n1433221332500,9,transaction,35,4\n",
        "item_properties_part1.csv": properties + "1,35,categoryid,8\n3,35,categoryid,9\n2,35,790,n5\n",
        "item_properties_part2.csv": properties + "2,35,available,1\n5,36,categoryid,8\n",
        "category_tree.csv": "categoryid,parentid\n9,1\n",
    }
    log = load_log(write(tmp_path, **files))
    assert rows(log) == [(9, 35, 1433221332.117, "view"), (9, 35, 1433221332.5, "transaction")]
    assert log.catalog.features["category"].words() == ["9", "8"]
    assert log.catalog.features["parent_category"].words() == ["1", ""]
    assert log.catalog.features["available"].words() == ["1", ""]
    assert load_log(tmp_path / "events.csv") == log


def test_yoochoose(tmp_path):
    files = {
        "yoochoose-clicks.dat": "1,2014-04-07T10:51:09.277Z,214536502,0\n2,2014-04-07T10:52:00.000Z,7,S\n",
        "yoochoose-buys.dat": "1,2014-04-07T10:54:09.868Z,214536502,1046,2\n",
    }
    log = load_log(write(tmp_path, **files))
    assert [row[:2] + row[3:] for row in rows(log)] == [(1, 214536502, "click"), (1, 214536502, "buy"), (2, 7, "click")]
    np.testing.assert_array_equal(log.value, [np.nan, 1046, np.nan])
    assert log.session.tolist() == [0, 0, 1]
    assert log.timestamp[0] == pytest.approx(1396867869.277)


def test_kuairand(tmp_path):
    header = "user_id,video_id,time_ms,is_click,is_like,is_hate,long_view,play_time_ms,duration_ms\n"
    files = {
        "log_standard_4_08_to_4_21_pure.csv": header
        + "0,9,1649000000000,1,1,0,1,500,1000\n0,8,1649000001000,0,0,0,0,0,0\n",
        "log_random_4_22_to_5_08_pure.csv": header + "1,9,1650000000000,1,0,1,0,250,1000\n",
        "video_features_basic_pure.csv": "video_id,video_type\n8,NORMAL\n9,AD\n",
        "user_features_pure.csv": "user_id,user_active_degree\n0,high\n1,low\n",
    }
    write(tmp_path / "data", **files)
    log = load_log(tmp_path)
    assert [row[:2] + row[3:] for row in rows(log)] == [(0, 9, "like"), (0, 8, "impression"), (1, 9, "hate")]
    np.testing.assert_array_equal(log.value, [0.5, np.nan, 0.25])
    assert log.exposed.all()
    assert log.catalog.features["video_type"].words() == ["NORMAL", "AD"]
    assert load_log(tmp_path / "data" / "log_random_4_22_to_5_08_pure.csv").n_events == 1


def test_kuairec(tmp_path):
    header = "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n"
    line = "14,148,4381,6067,2020-07-05 05:27:48.378,20200705,1593898068.378,0.7221\n"
    files = {
        "big_matrix.csv": header + line + "14,149,1,2,,,,0.5\n",
        "small_matrix.csv": header + line,
        "item_categories.csv": 'video_id,feat\n148,"[27, 9]"\n',
        "user_features.csv": "user_id,user_active_degree\n14,full_active\n",
    }
    write(tmp_path / "data", **files)
    log = load_log(tmp_path)
    assert rows(log) == [(14, 148, 1593898068.378, "watch")]
    assert log.cleaning.dropped == {"missing or unreadable timestamp": 1}
    assert log.value.tolist() == [0.7221]
    assert log.catalog.features["categories"].words()[0] == "27|9"
    assert load_log(tmp_path / "data" / "small_matrix.csv").cleaning.n_read == 1


@pytest.mark.parametrize("text", ["u1 7 8 7\nu2 9\n", "u1 7\nu1 8\nu1 7\nu2 9\n", "u1\t7  8 7 \r\n\nu2 9"])
def test_sequences_in_lines_and_in_pairs(tmp_path, text):
    path = tmp_path / "Beauty.txt"
    path.write_bytes(text.encode())
    log = load_log(path, format="sequences")
    assert [row[:2] for row in rows(log)] == [("u1", 7), ("u1", 8), ("u1", 7), ("u2", 9)]
    if "\t" not in text:  # a tab would do for a table, too
        assert load_log(path) == log


def test_lines_of_items_only(tmp_path):
    path = tmp_path / "input.txt"
    path.write_text("7 8\n\n9\n")
    log = load_log(path, format="item-lines")
    assert [row[:2] for row in rows(log)] == [(0, 7), (0, 8), (2, 9)]


def test_json_lines_keep_ids_digit_for_digit_and_count_what_is_no_object(tmp_path):
    path = tmp_path / "log.jsonl"
    ids = [18446744073709551617, 9007199254740993, "007", "👩‍🚀", 'say "hi"']
    lines = [json.dumps({"who": value, "item_id": i, "ts": 5 + i}) for i, value in enumerate(ids)]
    path.write_text("\n".join([lines[0], "{broken", "[1, 2]", "", *lines[1:], '{"item_id": 3}']), encoding="utf-8")
    log = load_log(path, columns={"user_id": "who", "timestamp": "ts"})
    assert set(log.users.ids.tolist()) == {str(value) for value in ids}
    assert log.cleaning.dropped == {"line is no JSON object": 2, "missing user_id": 1}
    assert log.cleaning.n_read == 8
    with pytest.raises(DataError, match="2 rows refused: line is no JSON object"):
        load_log(path, columns={"user_id": "who"}, policy=CleaningPolicy(bad_record="fail"))
    with pytest.raises(DataError, match="has no column 'user_id'; it has: who, item_id, ts"):
        load_log(path)


def test_a_file_that_holds_no_object_is_refused(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("[1, 2]\n")
    with pytest.raises(DataError, match="does not begin with a JSON object"):
        load_log(path, format="jsonl")
    with pytest.raises(DataError, match="has no layout that rlrec knows; name one with format=: folder, recbole"):
        load_log(path)


@pytest.mark.parametrize(
    ("format", "message"),
    [
        ("recbole", "holds no .inter file"),
        ("movielens", "holds no ratings.csv; give the folder of a MovieLens data set"),
        ("open-bandit", "holds no item_context.csv beside one CSV of impressions"),
        ("retailrocket", "holds no events.csv; give the folder of RetailRocket"),
        ("kuairand", "holds no log_*.csv"),
        ("kuairec", "holds no big_matrix.csv or small_matrix.csv"),
        ("otto", "holds no single .jsonl file"),
        ("yoochoose", "holds no yoochoose-clicks.dat"),
        ("sequences", "cannot be read: Is a directory"),
    ],
)
def test_a_format_that_does_not_fit_says_what_it_wants(tmp_path, format, message):
    with pytest.raises(DataError) as caught:
        load_log(tmp_path, format=format)
    assert message in str(caught.value)
