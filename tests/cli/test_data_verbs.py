"""``rlrec data check``, ``convert`` and ``download``: what they print, write and refuse; never a traceback."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlrec.cli import data_download
from rlrec.cli.app import main
from rlrec.data import download
from rlrec.data.load import load_log
from rlrec.data.store import open_log


@pytest.fixture
def sorted_log(tmp_path):
    """People whose rows were sorted by item: a false order."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", item, 1_600_000_000 + 10_000 * user + 600 * place)
        for user in range(80)
        for place, item in enumerate(sorted(rng.choice(30, size=8, replace=False)))
    ]
    path = tmp_path / "sorted.csv"
    pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).to_csv(path, index=False)
    return path


def test_check_prints_warnings_and_writes_a_page(sorted_log, tmp_path, capsys):
    assert main(["data", "check", str(sorted_log), "--out", str(tmp_path / "check")]) == 0
    printed = capsys.readouterr().out
    assert "warning (false-order): 100.0% of the steps inside a sequence go up by item id" in printed
    assert "<svg" in (tmp_path / "check" / "check.html").read_text()
    kept = json.loads((tmp_path / "check" / "check.json").read_text())
    assert main(["data", "check", str(sorted_log), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == kept
    assert main(["data", "check", str(sorted_log), "--fail-on-warning"]) == 1


def test_check_compares_two_parts(sorted_log, capsys):
    assert main(["data", "check", str(sorted_log), "--test", str(sorted_log)]) == 0
    assert "warning (shared-rows): 640 rows of the test part are in the training part" in capsys.readouterr().out


def test_convert_gives_the_log_that_is_loaded(sorted_log, tmp_path, capsys):
    assert main(["data", "convert", str(sorted_log), "--out", str(tmp_path / "log")]) == 0
    assert "640 rows read, 640 kept, 0 dropped" in capsys.readouterr().out
    assert open_log(tmp_path / "log") == load_log(sorted_log)
    assert main(["data", "convert", "builtin:eshop2008", "--out", str(tmp_path / "eshop")]) == 0
    assert open_log(tmp_path / "eshop") == load_log("builtin:eshop2008")


def test_convert_cuts_sessions_hides_ids_and_drops_columns(sorted_log, tmp_path, capsys):
    key = tmp_path / "key"
    key.write_bytes(b"sixteen secret bytes\n")
    users = tmp_path / "users.csv"
    users.write_text("user_id,age,city\nu1,30,Rome\n")
    flags = ["--session-gap", "500", "--pseudonym-key", str(key), "--drop", "users.age", "--users", str(users)]
    assert main(["data", "convert", str(sorted_log), "--out", str(tmp_path / "log"), *flags]) == 0
    log = open_log(tmp_path / "log")
    assert len(log.sequences()) == log.n_events
    assert list(log.user_features) == ["city"]
    assert not any(str(name).startswith("u") for name in log.users.ids)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "log", "sorted.csv", "users.csv"]


def test_faults_follow_the_policy_of_the_flags(tmp_path, capsys):
    path = tmp_path / "log.csv"
    path.write_text("user_id;item_id;timestamp\n1;2;3/4/2020\n1;2;3/4/2020\n;3;3/4/2020\n")
    assert main(["data", "check", str(path)]) == 2
    assert "nothing tells day from month; say CleaningPolicy(day_first=True)" in capsys.readouterr().err
    flags = ["--policy.day-first", "True", "--policy.duplicates", "drop"]
    assert main(["data", "convert", str(path), "--out", str(tmp_path / "log"), *flags]) == 0
    assert "3 rows read, 1 kept, 2 dropped (missing user_id: 1, exact duplicate: 1)" in capsys.readouterr().out
    assert main(["data", "check", str(path), "--strict", *flags]) == 2
    assert "give --strict or --policy options, not both" in capsys.readouterr().err


def test_the_mapping_may_stand_in_a_file(tmp_path, capsys):
    (tmp_path / "log.csv").write_text("who,what,price\na,x,\nb,y,3\n")
    mapping = 'columns = ["user_id=who", "item_id=what", "value=price"]\n[policy]\nbad_value = "mean"\n'
    (tmp_path / "map.toml").write_text(mapping)
    assert main(["data", "check", str(tmp_path / "log.csv"), "--config", str(tmp_path / "map.toml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_users"] == 2


def test_a_query_and_a_file_without_header(tmp_path, capsys):
    pytest.importorskip("duckdb")
    path = tmp_path / "log.csv"
    path.write_text("a,x\nb,y\n")
    named = ["--header", "user_id", "item_id", "--json"]
    assert main(["data", "check", str(path), *named]) == 0
    assert json.loads(capsys.readouterr().out)["n_events"] == 2
    path.write_text("who,what\na,x\nb,y\n")
    query = "SELECT who AS user_id, what AS item_id FROM log WHERE who = 'a'"
    assert main(["data", "check", str(path), "--query", query, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_events"] == 1


def test_download_lists_names_and_terms(capsys):
    assert main(["data", "download"]) == 0
    printed = capsys.readouterr().out
    assert "ml-100k" in printed
    assert "CC BY 4.0" in printed


def test_download_asks_for_the_terms_before_the_network(tmp_path, capsys, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(download.urllib.request, "urlopen", never)
    assert main(["data", "download", "ml-100k", "--out", str(tmp_path)]) == 2
    assert "ml-100k has terms to accept" in capsys.readouterr().err
    assert main(["data", "download", "ml-7", "--out", str(tmp_path)]) == 2
    assert "there is no public log 'ml-7' to download; there are: ml-100k" in capsys.readouterr().err


def test_download_says_the_licence_and_the_next_step(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(download, "download_log", lambda name, out, accept_licence: out / name)
    assert data_download.run(data_download.Command(name="open-bandit", out=tmp_path)) == 0
    printed = capsys.readouterr().out
    assert "licence: read the terms before use" in printed
    assert f"rlrec data check {tmp_path / 'open-bandit'}" in printed


DIRT = st.one_of(st.binary(max_size=80), st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")))


@given(dirt=DIRT, name=st.sampled_from(["log.csv", "log.jsonl", "log.parquet", "log.csv.gz", "log.txt", "x.inter"]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_dirt_makes_a_traceback(dirt, name, tmp_path_factory, capsys):
    path = tmp_path_factory.mktemp("dirt") / name
    head = b"user_id:token\titem_id:token\nu\ti\n" if name == "x.inter" else b"user_id,item_id\nu,i\n"
    path.write_bytes((b"" if name.endswith(("parquet", "gz")) else head) + dirt)
    code = main(["data", "check", str(path), "--json"])
    printed = capsys.readouterr()
    if code:
        assert code == 2
        assert printed.err.startswith("rlrec: error: ")
        assert printed.err.count("\n") == 1
    else:
        json.loads(printed.out)
