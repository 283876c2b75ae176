"""The content model against dense cosines, and what it says where nothing is known."""

from __future__ import annotations

import socket
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rlrec.core.errors import DataError, InvalidArgumentError, MissingExtraError
from rlrec.data.catalog import ItemCatalog
from rlrec.data.features import FeatureTable, Text
from rlrec.data.log import InteractionLog
from rlrec.models.config import ContentConfig
from rlrec.models.content import ContentModel, tells_apart


def shop(**features: object) -> InteractionLog:
    items = pd.DataFrame({"item_id": ["a", "b", "c", "d"], **features})
    return InteractionLog.from_pandas(pd.DataFrame({"user_id": [1, 1], "item_id": ["a", "b"]}), items=items)


def test_vectors_give_the_cosine_of_the_decayed_profile():
    vectors = np.random.default_rng(0).normal(size=(4, 5))
    model = ContentModel.fit(shop(), config=ContentConfig(decay=0.5), vectors={"image": vectors})
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    profile = 0.5 * unit[0] + unit[2]
    expected = unit @ profile / np.linalg.norm(profile)
    np.testing.assert_allclose(model.scores(model.histories([["a", "c"]]))[0].numpy(), expected, rtol=1e-12)


def test_text_and_labels_find_an_item_nobody_touched():
    words = ["red wool coat", "blue cotton shirt", "red wool hat", "yellow rubber boots"]
    log = shop()
    table = FeatureTable({"name": Text(np.array(words, dtype=object))}, 4)
    model = ContentModel.fit(replace(log, catalog=ItemCatalog(log.catalog.vocabulary, table)))
    assert model.recommend([["a"]], k=1, exclude_seen=True).tolist() == [["c"]]


def test_a_newcomer_scores_zero_everywhere():
    model = ContentModel.fit(shop(colour=["red", "blue", "red", "blue"]))
    assert not model.scores(model.histories([[]])).any()


def test_a_catalogue_without_features_is_refused():
    with pytest.raises(DataError, match="a content model needs item features and the catalogue has none"):
        ContentModel.fit(shop())


def test_vectors_of_another_catalogue_are_refused():
    with pytest.raises(InvalidArgumentError, match=r"vectors\['x'\] must have shape \(n_items=4, d\), got \(3, 2\)"):
        ContentModel.fit(shop(), vectors={"x": np.zeros((3, 2))})
    with pytest.raises(InvalidArgumentError, match=r"vectors\['x'\] must be finite"):
        ContentModel.fit(shop(), vectors={"x": np.full((4, 2), np.nan)})


def test_a_catalogue_tells_items_apart_or_not():
    assert not tells_apart(shop().catalog)
    assert tells_apart(shop(colour=["red", "blue", "red", "blue"]).catalog)
    blank = FeatureTable({"name": Text(np.array(["", " ", "", ""], dtype=object))}, 4)
    assert not tells_apart(ItemCatalog(shop().catalog.vocabulary, blank))


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """Close every door out: no socket connects, and no cache of an earlier download is in the home."""

    def refuse(*_: object) -> None:
        raise AssertionError("text embeddings reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def read(*words: str, text: str) -> ContentModel:
    log = shop()
    table = FeatureTable({"name": Text(np.array(words, dtype=object))}, 4)
    log = replace(log, catalog=ItemCatalog(log.catalog.vocabulary, table))
    return ContentModel.fit(log, config=ContentConfig(text=text))  # type: ignore[arg-type]


@pytest.mark.usefixtures("no_network")
def test_embeddings_find_another_word_for_the_same_thing():
    pytest.importorskip("wordllama")
    words = ("red dress", "garden hose", "scarlet gown", "")
    near = read(*words, text="embeddings")
    assert near.recommend([["a"]], k=1, exclude_seen=True).tolist() == [["c"]]
    scores = near.scores(near.histories([["a"]]))[0]
    assert scores[0] == pytest.approx(1.0)
    assert scores[3] == 0.0  # nothing is said of it
    assert read(*words, text="tfidf").scores(near.histories([["a"]]))[0, 2] == 0.0  # no word is shared


def test_embeddings_without_the_extra_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "wordllama", None)
    with pytest.raises(MissingExtraError, match=r"needs the package 'wordllama'; .*pip install 'rlrec\[text\]'"):
        read("a", "b", "c", "d", text="embeddings")
