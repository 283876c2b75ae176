"""``rlrec data``: every row is accounted for, and what it saves opens as the same log."""

from __future__ import annotations

import json

import pytest

from rlrec.cli.app import main
from rlrec.cli.data import as_text, describe_log
from rlrec.data.load import load_log
from tests.small import cycle_log

DAY = 86_400


@pytest.fixture
def shop(tmp_path):
    """Two people on two days; one row has nobody, one has no time."""
    rows = [
        ("ann", "tea", 0, "view"),
        ("ann", "jam", DAY, "cart"),
        ("bob", "tea", DAY, "view"),
        ("bob", "tea", 60, "view"),
    ]
    lines = [f"{user},{item},{1_600_000_000 + time},{event}" for user, item, time, event in rows]
    path = tmp_path / "shop.csv"
    broken = [",tea,1600000000,view", "bob,jam,,view"]
    path.write_text("\n".join(["who,what,timestamp,event", *lines, *broken]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def named(shop):
    return [str(shop), "--columns", "user_id=who", "item_id=what"]


def test_it_prints_the_account_and_what_is_in_the_log(named, capsys):
    assert main(["data", *named, "--rename-events", "cart=basket"]) == 0
    printed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line[0] != "i")
    assert printed["rows"].startswith("6 rows read, 4 kept, 2 dropped (")
    assert "missing user_id: 1" in printed["rows"]
    assert printed["users"] == "2"
    assert set(printed["events"].split(", ")) == {"view 3 (75.0%)", "basket 1 (25.0%)"}
    assert printed["time"] == "2020-09-13 12:26 UTC to 2020-09-14 12:26 UTC (1.0 days)"
    assert printed["sequences"] == "2 users, length: mean 2.00, median 2, 90 % up to 2, longest 2"
    assert printed["popularity"] == "the most frequent tenth of the items (1) has 75.0% of the rows"


def test_json_has_the_numbers(named, capsys):
    assert main(["data", *named, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["n_events"], facts["n_users"], facts["n_items"]) == (4, 2, 2)
    assert facts["cleaning"]["n_read"] == facts["n_events"] + sum(facts["cleaning"]["dropped"].values()) == 6
    assert facts["events"] == {"view": 3, "cart": 1}
    assert facts["time"]["days"] == 1.0


def test_what_it_saves_is_the_same_log_with_its_account(named, tmp_path, capsys):
    out = tmp_path / "kept"
    assert main(["data", *named, "--out", str(out)]) == 0
    assert f"rlrec fit {out}" in capsys.readouterr().out
    log = load_log(named[0], columns={"user_id": "who", "item_id": "what"})
    again = load_log(out)
    assert again == log
    assert again.cleaning == log.cleaning
    assert main(["data", str(out)]) == 0
    assert "6 rows read, 4 kept" in capsys.readouterr().out


def test_sessions_are_counted_as_such(tmp_path, capsys):
    log = cycle_log()
    log.to_pandas().to_csv(tmp_path / "cycle.csv", index=False)
    assert main(["data", str(tmp_path / "cycle.csv"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["sequences_are"], facts["n_sequences"]) == ("sessions", 120)
    assert facts["sequence_length"]["mean"] == pytest.approx(log.n_events / 120)
    assert facts["time"] == {"first": 0.0, "last": log.timestamp.max(), "days": None}  # an order, not dates


def test_an_item_that_never_occurs_is_said(shop, named, tmp_path, capsys):
    (tmp_path / "items.csv").write_text("item_id,price\ntea,2\njam,3\nham,4\n", encoding="utf-8")
    assert main(["data", *named, "--items", str(tmp_path / "items.csv")]) == 0
    printed = capsys.readouterr().out
    assert "3, of which 1 never occur" in printed
    assert "item features  price" in printed


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["nowhere.csv"], "'nowhere.csv' does not exist; check the path, or use builtin:NAME for an embedded log"),
        (["builtin:nope"], "there is no builtin log 'nope'; there are: eshop2008, online_retail"),
        (["SHOP"], "has no column 'user_id'; it has: who, what, timestamp, event."),
        (
            ["SHOP", "--columns", "user_id"],
            "columns must be pairs NAME=VALUE, got 'user_id'; such as --columns a=b c=d",
        ),
        (
            ["SHOP", "--rename-events", "=x"],
            "rename_events must be pairs NAME=VALUE, got '=x'; such as --rename-events a=b c=d",
        ),
        (["SHOP", "--strict", "--columns", "user_id=who", "item_id=what"], "missing"),
        (["SHOP", "--columns", "user_id=who", "item_id=what", "--out", "FULL"], "holds other files; give a new folder"),
    ],
)
def test_what_cannot_be_used_is_one_line(args, sentence, shop, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("", encoding="utf-8")
    places = {"SHOP": str(shop), "FULL": str(tmp_path / "full")}
    assert main(["data", *(places.get(arg, arg) for arg in args)]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert sentence in printed
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.txt"]


def test_an_empty_log_has_numbers_too():
    none = cycle_log().select(cycle_log().user < 0)
    assert "0 sessions" in as_text(describe_log(none))
