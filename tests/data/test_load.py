import gzip

import pandas as pd
import polars as pl
import pytest

from rlrec.core.errors import DataError, InvalidTypeError
from rlrec.data.load import load_log
from rlrec.data.log import InteractionLog
from tests.data.logs import random_frame


@pytest.mark.parametrize(
    ("name", "counts"), [("eshop2008", (165_474, 24_026, 217)), ("online_retail", (300_821, 4_310, 1_000))]
)
def test_builtin_logs_have_the_counts_of_their_cards(name, counts):
    log = load_log(f"builtin:{name}")
    assert (log.n_events, log.n_users, log.n_items) == counts
    assert "licence" in log.notes


def test_every_door_gives_the_same_log(tmp_path):
    frame = random_frame()
    expected = InteractionLog.from_pandas(frame)
    frame.to_csv(tmp_path / "log.csv", index=False)
    frame.to_csv(tmp_path / "log.tsv", index=False, sep="\t")
    with gzip.open(tmp_path / "log.csv.gz", "wt") as file:
        frame.to_csv(file, index=False, sep=";")
    table = pl.DataFrame(frame.to_dict("list"))
    table.write_parquet(tmp_path / "log.parquet")
    parts = tmp_path / "parts"
    for part in range(3):
        (parts / f"day={part}").mkdir(parents=True)
        table.slice(part * 80, 80).write_parquet(parts / f"day={part}" / "rows.parquet")
    sources = [
        frame,
        table,
        table.lazy(),
        *(tmp_path / f"log.{end}" for end in ("csv", "tsv", "csv.gz", "parquet")),
        parts,
    ]
    for source in sources:
        log = load_log(source)
        assert log == expected, source
        assert log.cleaning is not None
        assert log.cleaning.n_read == log.cleaning.n_kept == 200


def test_own_columns_by_name_and_by_position(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("when|customer|sku\n5|ann|x\n3|ann|y\n")
    by_name = load_log(path, columns={"user_id": "customer", "item_id": "sku", "timestamp": "when"})
    by_position = load_log(path, columns={"user_id": 1, "item_id": 2, "timestamp": 0})
    assert by_name == by_position
    assert by_name.catalog.ids[by_name.item].tolist() == ["y", "x"]


def test_a_file_without_header(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("1,7,100\n1,8,90\n")
    log = load_log(path, header=("user_id", "item_id", "timestamp"))
    assert log.n_events == 2
    with pytest.raises(DataError, match=r"seems to have no header: its first row is 1, 7, 100"):
        load_log(path)


def test_folder_with_item_and_user_tables(tmp_path):
    (tmp_path / "interactions.csv").write_text("user_id,item_id\nu1,007\nu2,008\n")
    (tmp_path / "items.csv").write_text("item_id,title,price\n007,Bond,3.5\n008,Bill,4\n009,Bob,\n")
    (tmp_path / "users.csv").write_text("user_id,age\nu1,30\n")
    log = load_log(tmp_path)
    assert log.catalog.ids.tolist() == ["007", "008", "009"]
    assert log.catalog.describe(0) == "007 (Bond)"
    assert log.user_features is not None
    assert log.user_features["age"].words() == ["30", ""]


def test_side_tables_given_by_the_caller(tmp_path):
    items = pd.DataFrame({"item_id": [2, 1], "price": [1.0, 2.0]})
    log = load_log(pd.DataFrame({"user_id": [1], "item_id": [1]}), items=items)
    assert log.catalog.ids.tolist() == [2, 1]


def test_text_ids_stay_text_if_one_of_them_is_no_plain_number(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id\n12,1\n00012,2\n1e5,3\n")
    log = load_log(path)
    assert log.users.ids.tolist() == ["00012", "12", "1e5"]
    assert log.catalog.ids.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("builtin:nothing", DataError, "there is no builtin log 'nothing'; there are: eshop2008, online_retail"),
        ("/no/such/file.csv", DataError, "'/no/such/file.csv' does not exist; check the path, or use builtin:NAME"),
        (7, InvalidTypeError, "source must be a path, 'builtin:NAME', a pandas, Polars or Arrow table, or a database"),
        (pd.DataFrame({"a": [1]}), DataError, "the table has no column 'user_id'; it has: a. Say which column it is"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_a_sentence(source, error, message):
    with pytest.raises(error) as caught:
        load_log(source)
    assert str(caught.value).startswith(message)


def test_the_likely_column_is_suggested():
    with pytest.raises(DataError, match=r"columns=\{'user_id': 'customer_id'\}"):
        load_log(pd.DataFrame({"customer_id": [1], "item_id": [2]}))


def test_strict_and_policy_exclude_each_other():
    from rlrec.data.cleaning_policy import CleaningPolicy

    with pytest.raises(DataError, match="give strict=True or a policy, not both"):
        load_log(random_frame(), strict=True, policy=CleaningPolicy())
