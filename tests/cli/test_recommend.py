"""The verb ``recommend``: to a user, after a history, to everyone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from rlrec.cli.recommend import Command, run
from rlrec.cli.saved import find_recommender
from rlrec.core.artifacts import write_json
from rlrec.core.errors import ArtifactNotFoundError, InvalidArgumentError, UnknownIdError
from rlrec.data.load import load_log
from rlrec.models.counting import PopularityModel
from rlrec.models.knn import ItemKNNModel


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A saved model and the file of the log that it was fitted on: integer ids, everyone walks on by one."""
    folder = tmp_path_factory.mktemp("shop")
    rows = [(100 + u, (u + t) % 9, t) for u in range(30) for t in range(4)]
    pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).to_csv(folder / "log.csv", index=False)
    ItemKNNModel.fit(load_log(folder / "log.csv")).save(folder / "model")
    return folder / "model", str(folder / "log.csv")


def test_a_user_gets_a_list_with_reasons(shop, capsys):
    model, log = shop
    assert run(Command(model=model, user="103", log=log, k=3, explain=True, exclude_seen=True, json=True)) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["history"] == [3, 4, 5, 6]
    assert [row["rank"] for row in told["recommended"]] == [1, 2, 3]
    assert not {row["item_id"] for row in told["recommended"]} & {3, 4, 5, 6}
    assert {reason["item_id"] for reason in told["recommended"][0]["because"]} <= {3, 4, 5, 6}


def test_a_history_needs_no_log(shop, capsys):
    assert run(Command(model=shop[0], history=("3", "4"), k=2)) == 0
    assert "After 3, 4" in capsys.readouterr().out


def test_everyone_goes_into_parquet(shop, tmp_path, capsys):
    model, log = shop
    assert run(Command(model=model, all=True, log=log, k=4, out=tmp_path / "lists")) == 0
    frame = pl.read_parquet(tmp_path / "lists" / "part-00000.parquet")
    assert frame.columns == ["user_id", "rank", "item_id", "score"]
    assert frame.height == 30 * 4
    alone = ItemKNNModel.load(model).recommend([[3, 4, 5, 6]], k=4)[0].tolist()
    assert frame.filter(pl.col("user_id") == 103)["item_id"].to_list() == alone
    assert np.array_equal(frame["rank"].to_numpy()[:4], [1, 2, 3, 4])


def test_a_run_says_which_model_is_meant_and_a_flag_another(shop, tmp_path, capsys):
    log = load_log(shop[1])
    for name, model in (("item_knn", ItemKNNModel.fit(log)), ("popularity", PopularityModel.fit(log))):
        model.save(tmp_path / "models" / name)
    write_json(tmp_path / "summary.json", {"best": "item_knn"})
    assert find_recommender(tmp_path) == tmp_path / "models" / "item_knn"
    assert run(Command(model=tmp_path, use="popularity", history=("3",), k=2, json=True)) == 0
    told = json.loads(capsys.readouterr().out)
    popular = PopularityModel.fit(log).recommend([[3]], k=2)[0].tolist()
    assert [row["item_id"] for row in told["recommended"]] == popular
    with pytest.raises(ArtifactNotFoundError, match="holds the models item_knn, popularity, and none is called 'lstm'"):
        find_recommender(tmp_path, "lstm")
    with pytest.raises(ArtifactNotFoundError, match="holds no models, and none is called 'lstm'"):
        find_recommender(tmp_path / "elsewhere", "lstm")


def test_errors_are_sentences(shop):
    model, log = shop
    with pytest.raises(InvalidArgumentError, match="say to whom: one of --user ID, --history ITEM ITEM"):
        run(Command(model=model))
    with pytest.raises(InvalidArgumentError, match="does not say which log it was fitted on; give it: --log LOG"):
        run(Command(model=model, user="103"))
    with pytest.raises(InvalidArgumentError, match="--all writes files and needs a folder"):
        run(Command(model=model, all=True, log=log))
    with pytest.raises(UnknownIdError, match="is not among the 30 known ids"):
        run(Command(model=model, user="7", log=log))
