"""The tables of a report, as rows of cells; every number in them stands in ``summary.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlrec.evaluation.report_numbers import bounds, by_metric, interval_text, number_text, point

_COLUMN_WORDS = {
    "real_vs_real": "real vs real",
    "train_vs_real": "training vs real",
    "mle": "maximum-likelihood LSTM",
    "control": "control (as many steps, no adversary)",
    "gan": "GAN",
    "value": "measured",
}
_COLUMN_ORDER = ("real", "value", "simulated", "synthetic", "gan", "control", "mle", "train_vs_real", "real_vs_real")
_METRIC_WORDS = {
    "session_length_mean": "mean session length",
    "session_length_wasserstein": "session lengths, Wasserstein distance (behaviours)",
    "session_length_ks": "session lengths, Kolmogorov-Smirnov distance",
    "gap_jsd": "times between behaviours, JSD",
    "repeat_rate": "share of repeated items",
    "item_jsd": "item popularity, JSD",
    "transition_jsd": "transitions, JSD",
    "c2st_auc": "a classifier telling them from real, AUC (0.5: it cannot)",
    "c2st_auc_logistic": "the same by logistic regression, AUC",
    "c2st_auc_gru": "the same by a GRU on the items, AUC",
    "tstr_ndcg@10": "trained on it, tested on real, NDCG@10",
    "trtr_ndcg@10": "trained on real, tested on real, NDCG@10",
    "cluster_transition_jsd": "transitions between clusters of items, JSD",
    "coverage": "distinct items, over those of the real sessions",
    "new_transition_share": "share of transitions that training does not have",
    "copied_share": "share of sessions of 5 or more copied from training",
    "copied_5grams": "share of runs of 5 items that training has",
}
_POLICY_COLUMNS = {
    "return": "return, home",
    "heldout_return": "return, held out",
    "paired_vs_greedy": "vs greedy, home",
    "heldout_paired_vs_greedy": "vs greedy, held out",
    "paired_vs_random": "vs random, home",
    "session_length": "session length",
    "clicks": "clicks",
    "coverage": "coverage",
    "popularity_bias": "popularity bias",
}

_SEED_COLUMNS = {
    "n_seeds": "seeds",
    "return": "return, home",
    "paired_vs_greedy": "vs greedy, home",
    "seed_sd": "seeds' SD, home",
    "rollout_error": "users' error, home",
    "heldout_return": "return, held out",
    "heldout_paired_vs_greedy": "vs greedy, held out",
    "heldout_seed_sd": "seeds' SD, held out",
    "heldout_rollout_error": "users' error, held out",
}


@dataclass(frozen=True)
class Cell:
    """A number and its interval, as written, and what a table is sorted by."""

    text: str
    interval: str = ""
    key: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its caption; the first column names the rows."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    sortable: bool = True


def cell_of(value: Any) -> Cell:
    """Write a number, or an estimate with its interval."""
    if isinstance(value, Mapping):
        mark = "" if value.get("reliable", True) else " (unreliable)"
        return Cell(number_text(value.get("value")), interval_text(value) + mark, _key(value.get("value")))
    return Cell(number_text(value), key=_key(value))


def _key(value: Any) -> str:
    """Return what a cell is sorted by: a finite number in full, a text as it is, else nothing."""
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    return "" if value is None else str(value)


def models_table(models: Mapping[str, Mapping[str, Any]]) -> Table:
    """Lay out the models' ranking metrics on the test part."""
    metrics = list(dict.fromkeys(name for row in models.values() for name in row))
    rows = tuple((name, tuple(cell_of(row.get(metric)) for metric in metrics)) for name, row in models.items())
    columns = tuple("nats per next item" if name == "test_nll" else name for name in metrics)
    return Table("Next-item prediction on the test part, over the full catalogue", ("model", *columns), rows)


def policies_table(policies: Mapping[str, Mapping[str, Any]]) -> Table:
    """Lay out the policies, best held out first."""
    present = {key for row in policies.values() for key in row}
    keys = [key for key in _POLICY_COLUMNS if key in present]
    by = "heldout_return" if "heldout_return" in present else "return"
    names = sorted(policies, key=lambda name: -(point(policies[name].get(by)) or 0.0))
    rows = tuple((name, tuple(cell_of(policies[name].get(key)) for key in keys)) for name in names)
    sizes = [int(cell["n"]) for row in policies.values() if (cell := row.get("return")) and cell.get("n")]
    users = f", from {number_text(max(sizes))} simulated sessions each" if sizes else ""
    caption = f"Means with 95 % intervals{users}; “vs” columns are paired differences"
    return Table(caption, ("policy", *(_POLICY_COLUMNS[key] for key in keys)), rows)


def seeds_table(seeds: Mapping[str, Mapping[str, Any]]) -> Table:
    """Lay out algorithms over their training seeds."""
    present = {key for row in seeds.values() for key in row}
    keys = [key for key in _SEED_COLUMNS if key in present]
    rows = tuple((name, tuple(cell_of(row.get(key)) for key in keys)) for name, row in seeds.items())
    caption = "Interquartile means over training seeds; the 95 % intervals draw both seeds and simulated users"
    return Table(caption, ("algorithm", *(_SEED_COLUMNS[key] for key in keys)), rows)


def metrics_table(part: Mapping[str, Any], caption: str) -> Table:
    """Lay out metric by metric what was measured, its control, and the real-vs-real value."""
    metrics = by_metric(part)
    present = list(dict.fromkeys(column for row in metrics.values() for column in row))
    columns = [name for name in _COLUMN_ORDER if name in present]
    columns += [name for name in present if name not in columns]
    rows = tuple(
        (_METRIC_WORDS.get(name, name.replace("_", " ")), tuple(cell_of(row.get(column)) for column in columns))
        for name, row in metrics.items()
    )
    words = tuple(_COLUMN_WORDS.get(name, name.replace("_", " ")) for name in columns)
    return Table(caption, ("measure", *words), rows)


def privacy_table(audit: Mapping[str, Any]) -> Table:
    """Lay out the attacks of a privacy audit beside real people in the place of the synthetic ones."""
    rows = [
        ("who was in training, by the nearest session, AUC (0.5: nobody can tell)", "nearest", "nearest_control"),
        ("the same by a model fitted on the synthetic log, AUC", "refit", "refit_control"),
        ("median distance to the nearest training session", "distance_to_training", "distance_of_strangers"),
    ]
    cells = [(words, (cell_of(audit.get(one)), cell_of(audit.get(two)))) for words, one, two in rows]
    copied, strangers = audit.get("copied") or {}, audit.get("copied_by_strangers") or {}
    cells += [(_METRIC_WORDS.get(name, name), (cell_of(copied[name]), cell_of(strangers.get(name)))) for name in copied]
    columns = ("attack", "synthetic log", "real strangers in its place")
    return Table("What the synthetic log gives away of the training set", columns, tuple(cells))


def kappa_table(sweep: Mapping[str, Sequence[Mapping[str, float]]]) -> Table:
    """Lay out each policy's return over kappa."""
    kappas = sorted({entry["kappa"] for points in sweep.values() for entry in points})
    rows = []
    for name, points in sweep.items():
        by_kappa = {entry["kappa"]: entry for entry in points}
        rows.append((name, tuple(cell_of(by_kappa.get(kappa)) for kappa in kappas)))
    return Table("Return per session", ("policy", *(f"kappa {number_text(kappa)}" for kappa in kappas)), tuple(rows))


def facts_table(values: Mapping[str, Any], caption: str, columns: tuple[str, str]) -> Table:
    """Lay out plain facts, one a row; estimates keep their interval."""
    rows = tuple(
        (name.removeprefix("n_").replace("_", " "), (cell_of(value),))
        for name, value in values.items()
        if not isinstance(value, Mapping) or bounds(value) is not None
    )
    return Table(caption, columns, rows, sortable=False)
