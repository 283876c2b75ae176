import sqlite3

import pandas as pd
import polars as pl
import pytest

from rlrec.core.errors import DataError, InvalidTypeError
from rlrec.data.load import load_log
from rlrec.data.log import InteractionLog
from tests.data.logs import random_frame

QUERY = "SELECT user_id, item_id, timestamp, event, value FROM log"


@pytest.fixture
def sqlite_path(tmp_path):
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    random_frame().to_sql("log", connection, index=False)
    connection.close()
    return path


def test_every_database_gives_the_same_log(tmp_path, sqlite_path):
    frame = random_frame()
    expected = InteractionLog.from_pandas(frame)
    assert load_log(sqlite_path, query=QUERY) == expected
    connection = sqlite3.connect(sqlite_path)
    assert load_log(connection, query=QUERY) == expected
    connection.close()
    assert load_log(frame, query=QUERY) == expected
    assert load_log(pl.DataFrame(frame.to_dict("list")), query=QUERY) == expected


def test_duckdb_by_connection_relation_database_and_file(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    frame = random_frame()
    expected = InteractionLog.from_pandas(frame)
    pl.DataFrame(frame.to_dict("list")).write_parquet(tmp_path / "it's a log.parquet")
    assert load_log(tmp_path / "it's a log.parquet", query=QUERY) == expected
    connection = duckdb.connect(str(tmp_path / "shop.duckdb"))
    quoted = str(tmp_path / "it's a log.parquet").replace("'", "''")
    connection.execute(f"CREATE TABLE clicks AS SELECT * FROM '{quoted}'")
    from_clicks = QUERY.replace("FROM log", "FROM clicks")
    assert load_log(connection, query=from_clicks) == expected
    assert load_log(connection.table("clicks")) == expected
    assert load_log(connection.table("clicks"), query=QUERY) == expected
    connection.close()
    assert load_log(tmp_path / "shop.duckdb", query=from_clicks) == expected
    with pytest.raises(DataError, match=r"the query failed: .*nothing.*; it was: SELECT \* FROM nothing"):
        load_log(tmp_path / "shop.duckdb", query="SELECT * FROM nothing")


def test_wide_integers_come_out_of_duckdb_exactly():
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        query = "SELECT 18446744073709551617::HUGEINT AS user_id, 1 AS item_id"
        assert load_log(connection, query=query).users.ids.tolist() == ["18446744073709551617"]


def test_columns_are_mapped_and_aggregates_work(sqlite_path):
    query = "SELECT user_id AS who, item_id, count(*) AS n FROM log GROUP BY 1, 2"
    log = load_log(sqlite_path, query=query, columns={"user_id": "who", "value": "n"})
    assert log.value.sum() == 200


def test_a_column_of_two_types_becomes_text(tmp_path):
    connection = sqlite3.connect(tmp_path / "t.db")
    connection.execute("CREATE TABLE log (user_id, item_id)")
    connection.execute("INSERT INTO log VALUES (7, 1), ('x', 1), (NULL, 1)")
    log = load_log(connection, query="SELECT * FROM log")
    connection.close()
    assert log.users.ids.tolist() == ["7", "x"]
    assert log.cleaning.dropped == {"missing user_id": 1}


def test_what_a_query_cannot_do_is_said(tmp_path, sqlite_path):
    with pytest.raises(DataError, match="a database needs a query"):
        load_log(sqlite_path)
    with pytest.raises(DataError, match=r"the query failed: .*; it was: SELECT nonsense FROM log"):
        load_log(sqlite_path, query="SELECT nonsense FROM log")
    with pytest.raises(DataError, match=r"the query failed: .*; it was: SELECT nonsense FROM log"):
        load_log(pd.DataFrame({"user_id": [1]}), query="SELECT nonsense FROM log")
    with pytest.raises(DataError, match="'/no/such' does not exist; give a DuckDB or SQLite file"):
        load_log("/no/such", query=QUERY)
    with pytest.raises(InvalidTypeError, match="query= needs a path, a table or a database connection as the source"):
        load_log(7, query=QUERY)
    with pytest.raises(DataError, match="has no interactions to use: 0 rows read"):
        load_log(sqlite_path, query=QUERY + " WHERE user_id IS NULL")
