"""``rlrec fit``: fit the models of what comes next on a log, and compare them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from rlrec.cli.command import BaseCommand
from rlrec.cli.tables import print_table
from rlrec.models.config import ItemKNNConfig, LSTMConfig, MarkovConfig, NGramConfig

if TYPE_CHECKING:
    from rlrec.data.log import InteractionLog
    from rlrec.models.base import SequenceModel
    from rlrec.models.recommender import Recommender
    from rlrec.models.selection import Choice


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Fit the LSTM and its baselines on a log, and compare them on its latest part.

    The hybrid votes with all of them, by weights learned on the validation part. The model that does best on that part,
    by NDCG, is named, and `rlrec recommend` takes it. The same command after a kill goes on where it stopped.

    Writes models/, metrics.json, summary.json, details.json, interest_map.svg, config.toml, metrics.jsonl and
    tensorboard/.
    """

    log: tyro.conf.Positional[str]
    """"builtin:eshop2008", "builtin:online_retail", or a file or folder with a behaviour log."""
    out: Path = Path("runs/fit")
    """Folder for the results."""
    valid: float = 0.1
    """Share of the sessions, by time, that stops training early and calibrates."""
    test: float = 0.1
    """Share of the sessions, the latest, that the models are compared on."""
    heldout: bool = False
    """Also fit an LSTM on the test part, for models/heldout: the second simulator of `rlrec evaluate --heldout`."""
    k: int = 10
    """Length of the ranked lists."""
    lstm: LSTMConfig = field(default_factory=LSTMConfig)
    """The LSTM."""
    markov: MarkovConfig = field(default_factory=MarkovConfig)
    """The Markov chain."""
    ngram: NGramConfig = field(default_factory=NGramConfig)
    """The n-gram model."""
    item_knn: ItemKNNConfig = field(default_factory=ItemKNNConfig)
    """The item-kNN model."""


def run(command: Command) -> int:
    """Fit, compare, save, and print the table."""
    from rlrec.cli.runs import data_summary, start_run
    from rlrec.core.artifacts import package_versions, write_json
    from rlrec.data.load import load_log
    from rlrec.data.splits import split_to_fit
    from rlrec.evaluation.ranking import evaluate_ranking
    from rlrec.evaluation.report_details import ReportDetails
    from rlrec.evaluation.report_tables import models_table

    log = load_log(command.log)
    train, valid, test, note = split_to_fit(log, valid=command.valid, test=command.test, seed=command.seed)
    if note:
        print(f"note: {note}")
    start_run(command.out, command)
    models, seconds, choice = fit_models(train, valid, command)
    began = time.perf_counter()
    scores = {name: evaluate_ranking(model, test, k=command.k).summary() for name, model in models.items()}
    seconds["ranking"] = time.perf_counter() - began
    if command.heldout:
        models["heldout"], seconds["heldout"] = fit_heldout(test, valid, command)
    for name, model in models.items():
        model.save(command.out / "models" / name)
    record = getattr(models["lstm"], "record", None)
    places = draw_interests(models["lstm"], train, command.out, command.seed)
    ReportDetails(
        valid_nll=None if record is None else record.valid_nll,
        interest_map=places,
        licence=log.notes.get("licence") or log.notes.get("notice"),
    ).save(command.out)
    write_json(command.out / "metrics.json", scores)
    summary = {
        "data": data_summary(log),
        "models": scores,
        "best": choice.name,
        "valid_ndcg": choice.ndcg,
        "seconds": seconds,
        "versions": package_versions(),
        "seed": command.seed,
    }
    write_json(command.out / "summary.json", summary)
    print_table(models_table(scores))
    spent = getattr(models["lstm"], "privacy", None)
    if spent is not None:
        print(f"privacy: the LSTM has {spent}; the other models and these numbers have none")
    print(
        f"best: {choice.name}, by NDCG@{choice.k} on {choice.n_targets:,} behaviours of the validation part "
        f"({choice.ndcg[choice.name]:.4f}); rlrec recommend takes it"
    )
    print(f"models and numbers are in {command.out}; for a page: rlrec report {command.out}")
    return 0


def fit_models(
    train: InteractionLog, valid: InteractionLog, command: Command
) -> tuple[dict[str, Recommender], dict[str, float], Choice]:
    """Fit every model; returns them and the seconds that each took, by name, and which is best on validation."""
    from rlrec.models.content import ContentModel, tells_apart
    from rlrec.models.counting import MarkovModel, PopularityModel
    from rlrec.models.knn import ItemKNNModel
    from rlrec.models.lstm import LSTMModel
    from rlrec.models.ngram import NGramModel
    from rlrec.models.selection import HYBRID, blend_and_choose

    builders: dict[str, Any] = {
        "lstm": lambda: LSTMModel.fit(train, valid=valid, config=command.lstm, seed=command.seed, folder=command.out),
        "markov": lambda: MarkovModel.fit(train, config=command.markov),
        "ngram": lambda: NGramModel.fit(train, config=command.ngram, valid=valid),
        "item_knn": lambda: ItemKNNModel.fit(train, config=command.item_knn, valid=valid),
        **({"content": lambda: ContentModel.fit(train)} if tells_apart(train.catalog) else {}),
        "popularity": lambda: PopularityModel.fit(train),
    }
    models: dict[str, Recommender] = {}
    seconds: dict[str, float] = {}
    for name, build in builders.items():
        began = time.perf_counter()
        models[name] = build()
        seconds[name] = time.perf_counter() - began
    began = time.perf_counter()
    models[HYBRID], choice = blend_and_choose(models, valid, k=command.k, seed=command.seed)
    seconds[HYBRID] = time.perf_counter() - began
    return models, seconds, choice


def draw_interests(lstm: Recommender, train: InteractionLog, out: Path, seed: int) -> dict[str, Any] | None:
    """Write interest_map.svg, people and popular items on a plane; return the places, or None for too few people."""
    from rlrec.core.artifacts import atomic_path
    from rlrec.core.errors import DataError
    from rlrec.evaluation.interest_plot import interest_map_plot
    from rlrec.evaluation.plots import standalone_svg
    from rlrec.models.base import SequenceModel
    from rlrec.models.interest_map import interest_map

    assert isinstance(lstm, SequenceModel)
    try:
        places = interest_map(lstm, train, seed=seed).to_dict()
    except DataError as error:
        print(f"note: {error}")
        return None
    with atomic_path(out / "interest_map.svg") as temporary:
        temporary.write_text(standalone_svg(interest_map_plot(places)), encoding="utf-8")
    return places


def fit_heldout(test: InteractionLog, valid: InteractionLog, command: Command) -> tuple[SequenceModel, float]:
    """Fit on the period that the other models never saw; it is not ranked, as it knows the answers."""
    from rlrec.models.lstm import LSTMModel

    began = time.perf_counter()
    model = LSTMModel.fit(test, valid=valid, config=command.lstm, seed=command.seed + 1)
    return model, time.perf_counter() - began
