"""Logs and settings that nobody would write by accident: a clear error or an honest result, in bounded memory."""

from __future__ import annotations

import json
import resource

import numpy as np
import pytest

from rlrec.cli.app import main
from rlrec.core.errors import ArtifactError, DataError, RlrecError
from rlrec.data.load import load_log
from rlrec.data.log import InteractionLog
from rlrec.data.store import open_log, save_log
from tests.small import cycle_log

HEAD = "user_id,item_id,timestamp"
MEGABYTE = 2**20


def test_a_million_columns(tmp_path):
    path = tmp_path / "wide.csv"
    n = 10**6
    path.write_text(HEAD + "".join(f",c{i}" for i in range(n)) + "\nu,a,1" + "," * n + "\nu,b,2" + "," * n + "\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="more than 10,000 columns"):
        load_log(path)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1_024 < 500  # MB, for a file of 10 MB


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("\n", id="a line end"),
        pytest.param(HEAD, id="no rows"),
        pytest.param(HEAD + "\n", id="no rows either"),
        pytest.param("\0" * 4_096, id="zeros"),
        pytest.param(HEAD + "\n\0,\0,\0\n", id="zeros in cells"),
        pytest.param("<html></html>\n", id="html"),
        pytest.param("a" * MEGABYTE, id="one word"),
        pytest.param("user_id\n1\n", id="one column"),
    ],
)
def test_files_that_are_no_log(tmp_path, text, capsys):
    path = tmp_path / "log.csv"
    path.write_text(text)
    assert main(["data", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("rlrec: error: ")
    assert error.count("\n") == 1
    assert len(error) < 2_000


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".arrow", ".db", ".inter", ".csv.gz"])
def test_noise_under_any_name(tmp_path, ending, capsys):
    path = tmp_path / f"log{ending}"
    path.write_bytes(np.random.default_rng(0).bytes(4_096))
    assert main(["data", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_html_and_formulas_in_item_names_stay_text(tmp_path):
    nasty = ["<script>alert(1)</script>", '=cmd|"/c calc"!A1', "../../etc/passwd", "\u202egnp.exe", "a\tb"]
    path = tmp_path / "log.csv"
    quoted = ['"' + name.replace('"', '""') + '"' for name in nasty]
    path.write_text(HEAD + "\n" + "".join(f"u{i},{name},{i}\n" for i, name in enumerate(quoted)), encoding="utf-8")
    assert set(load_log(path).to_pandas()["item_id"]) == set(nasty)


def test_unknown_keys_of_a_config_file(tmp_path, capsys):
    path = tmp_path / "config.toml"
    path.write_text('[lstm]\nhiden_size = 3\n__class__ = "os.system"\n')
    assert main(["fit", "builtin:eshop2008", "--config", str(path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "hiden_size" in error
    assert "hidden_size" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_a_stored_log_with_a_truncated_column(tmp_path, share):
    save_log(cycle_log(), tmp_path / "log")
    column = next((tmp_path / "log").rglob("item.npy"))
    column.write_bytes(column.read_bytes()[: int(column.stat().st_size * share)])
    with pytest.raises(RlrecError):
        _ = open_log(tmp_path / "log").item_counts


def test_a_stored_log_with_a_pickle_in_place_of_a_column(tmp_path):
    save_log(cycle_log(), tmp_path / "log")
    column = next((tmp_path / "log").rglob("item.npy"))
    with column.open("wb") as file:
        np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(RlrecError):
        open_log(tmp_path / "log")


def test_an_empty_log_is_refused_or_empty():
    import pandas as pd

    frame = pd.DataFrame({"user_id": [], "item_id": [], "timestamp": []})
    assert InteractionLog.from_pandas(frame).n_events == 0


@pytest.mark.parametrize("key", ["format", "data", "name", "columns", "event_names", "users", "items", "item_features"])
def test_a_stored_log_whose_manifest_lacks_a_key(tmp_path, key):
    save_log(cycle_log(), tmp_path / "log")
    path = tmp_path / "log" / "manifest.json"
    path.write_text(path.read_text().replace(f'"{key}":', f'"{key[1:]}":'))
    with pytest.raises(ArtifactError, match=r"is damaged: .*; load and save the log again"):
        open_log(tmp_path / "log")


@pytest.mark.parametrize("column", [None, "user", ["user"], {"user": 1}, 7])
def test_a_stored_log_whose_manifest_has_other_columns(tmp_path, column):
    save_log(cycle_log(), tmp_path / "log")
    path = tmp_path / "log" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"columns": column}))
    with pytest.raises(RlrecError):
        open_log(tmp_path / "log")


def test_a_stored_column_with_items_beyond_the_catalogue(tmp_path):
    save_log(cycle_log(), tmp_path / "log")
    column = next((tmp_path / "log").rglob("item.npy"))
    np.save(column, np.full(len(np.load(column)), -7, np.int32))
    with pytest.raises(DataError, match=r"must lie in 0\.\.5, got -7\.\.-7: the stored column is damaged"):
        _ = open_log(tmp_path / "log").item_counts


def test_a_stored_column_whose_header_cannot_be_read(tmp_path):
    save_log(cycle_log(), tmp_path / "log")
    column = next((tmp_path / "log").rglob("item.npy"))
    column.write_bytes(column.read_bytes().replace(b"(", b"((", 1))
    with pytest.raises(ArtifactError, match="is damaged"):
        open_log(tmp_path / "log")


@pytest.mark.parametrize(
    "rows", ['"u"x,a,1\nv,b,2\n', '"a"b"c,x,1\n"d,y,2\nz"q"",w,3\n', 'a"",,""b1ab', '1b"\nb1"\nb""",,']
)
def test_quotes_that_do_not_pair_up_get_a_sentence(tmp_path, rows):
    path = tmp_path / "log.csv"
    path.write_text(f"{HEAD}\nk,l,1\n{rows}")
    with pytest.raises(DataError, match="pass quote=None") as caught:
        load_log(path)
    assert "infer_schema_length" not in str(caught.value)
