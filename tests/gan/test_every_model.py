"""A synthetic log, written and read back, trains every model of the registry."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from rlrec.cli.generate import write_log
from rlrec.data.load import load_log
from rlrec.data.log import InteractionLog
from rlrec.data.splits import split_by_time
from rlrec.gan.sampling import generate_sequences
from rlrec.gan.synthetic_log import sequences_to_log
from rlrec.models.config import LSTMConfig
from rlrec.models.content import ContentModel
from rlrec.models.counting import MarkovModel, PopularityModel
from rlrec.models.factorization import FactorizationModel
from rlrec.models.hybrid import HybridModel
from rlrec.models.knn import ItemKNNModel, UserKNNModel
from rlrec.models.lstm import LSTMModel
from rlrec.models.newcomers import NewcomerModel
from rlrec.models.ngram import NGramModel
from rlrec.models.recommender import Recommender
from rlrec.models.registry import MODELS
from tests.small import N_ITEMS, cycle_log, cycle_model

ITEMS = pd.DataFrame({"item_id": [f"i{i}" for i in range(N_ITEMS)], "colour": ["red", "blue"] * (N_ITEMS // 2)})


def lstm(log: InteractionLog) -> LSTMModel:
    config = LSTMConfig(embedding_size=4, hidden_size=5, n_epochs=1)
    return LSTMModel.fit(log, valid=log, config=config, show_progress=False)


def factorization(log: InteractionLog) -> FactorizationModel:
    pytest.importorskip("implicit")
    return FactorizationModel.fit(log)


FITS: dict[str, Callable[[InteractionLog], Recommender]] = {
    "models/content": ContentModel.fit,
    "models/factorization": factorization,
    "models/hybrid": lambda log: HybridModel.fit({"lstm": lstm(log), "knn": ItemKNNModel.fit(log)}, log),
    "models/item_knn": ItemKNNModel.fit,
    "models/lstm": lstm,
    "models/markov": MarkovModel.fit,
    "models/newcomers": lambda log: NewcomerModel.fit(log, MarkovModel.fit(log)),
    "models/ngram": NGramModel.fit,
    "models/popularity": PopularityModel.fit,
    "models/user_knn": UserKNNModel.fit,
}


@pytest.fixture(params=[".parquet", ".csv"], scope="module")
def synthetic(request, tmp_path_factory) -> InteractionLog:
    """A synthetic log after a trip over the disk, beside the real catalogue's features and a label for each user."""
    folder = tmp_path_factory.mktemp("synthetic")
    path = folder / f"log{request.param}"
    drawn = sequences_to_log(generate_sequences(cycle_model(), 80, seed=0), cycle_log())
    write_log(drawn, path)
    ITEMS.to_csv(folder / "items.csv", index=False)
    labels = pd.DataFrame({"user_id": drawn.users.ids, "country": ["PL", "CZ"] * 40})
    labels.to_csv(folder / "users.csv", index=False)
    log = load_log(path, items=folder / "items.csv", users=folder / "users.csv")
    assert log.n_users == 80
    assert log.cleaning.n_kept == log.n_events == drawn.n_events
    return log


def test_every_kind_of_the_registry_is_here():
    assert sorted(FITS) == sorted(MODELS)


@pytest.mark.parametrize("kind", sorted(FITS))
def test_it_trains(kind, synthetic):
    model = FITS[kind](split_by_time(synthetic)[0])
    assert model.kind == kind
    found = model.recommend([["i2", "i3"]], k=2)
    assert set(found.ravel()) <= {f"i{i}" for i in range(N_ITEMS)}
    if kind in ("models/markov", "models/ngram", "models/item_knn"):
        assert "i4" in found[0], "the ring of the real people is in the synthetic ones"
