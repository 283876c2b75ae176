"""``rlrec recommend``: the next items of a user, of a history, or of everyone, and why."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from rlrec.cli.command import BaseCommand
from rlrec.core.checks import check_at_least

if TYPE_CHECKING:
    from rlrec.data.log import InteractionLog
    from rlrec.data.sequences import Sequences
    from rlrec.data.vocabulary import Vocabulary
    from rlrec.models.recommender import Recommender

_USERS_A_FILE = 50_000  # with lists of 10 about 4 MB of Parquet each (chosen here)


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Recommend to a user of the log, after a history that you give, or to every user into Parquet files.

    Nothing here is random: the seed has no effect.
    """

    model: tyro.conf.Positional[Path]
    """A saved model of any kind, or the folder that `rlrec fit` wrote, whose best model on validation is meant."""
    use: str | None = None
    """Name of another model of that folder, such as lstm or markov."""
    user: str | None = None
    """Id of a user of the log."""
    history: tuple[str, ...] = ()
    """Item ids, oldest first, in place of a user."""
    all: bool = False
    """Every user of the log, into --out."""
    log: str | None = None
    """The log; by default the one that the run folder was fitted on."""
    k: int = 10
    """Length of the list."""
    exclude_seen: bool = False
    """Leave out what is in the history."""
    n_new: int = 0
    """Places of the list, the last ones, kept for items that nobody had touched in training."""
    explain: bool = False
    """Show which past behaviours carried each item."""
    json: bool = False
    """Print JSON, for a script."""
    out: Path | None = None
    """Folder for the Parquet files of --all: user_id, rank, item_id, score."""

    def __post_init__(self) -> None:
        """Refuse an empty list."""
        check_at_least("k", self.k, 1)


def run(command: Command) -> int:
    """Recommend, and print or write."""
    from rlrec.cli.saved import find_recommender
    from rlrec.core.errors import InvalidArgumentError
    from rlrec.models.registry import load_model

    if (command.user is not None) + bool(command.history) + command.all != 1:
        raise InvalidArgumentError("say to whom: one of --user ID, --history ITEM ITEM ..., or --all")
    if command.all and command.out is None:
        raise InvalidArgumentError("--all writes files and needs a folder: --out FOLDER")
    model = load_model(find_recommender(command.model, command.use))
    if command.history:
        history = model.histories([_as_known(model.space.items, command.history)])
        return _print_list(model, history, command, None)
    log = _load_log(command, model)
    if command.all:
        return _write_everyone(model, log, command)
    return _print_list(model, _history_of(log, command.user or ""), command, log)


def _load_log(command: Command, model: Recommender) -> InteractionLog:
    """Return the log that was named, or the one in the run's config.toml."""
    from rlrec.core.config import read_toml
    from rlrec.core.errors import InvalidArgumentError
    from rlrec.data.load import load_log

    source = command.log
    if source is None and (command.model / "config.toml").is_file():
        source = read_toml(command.model / "config.toml").get("log")
    if source is None:
        raise InvalidArgumentError(
            f"{str(command.model)!r} does not say which log it was fitted on; give it: --log LOG"
        )
    log = load_log(source)
    model.space.check_log(log)
    return log


def _as_known(vocabulary: Vocabulary, texts: tuple[str, ...]) -> list[Hashable]:
    """Return ids as the vocabulary has them: what is a number there comes as text from the command line."""
    import numpy as np

    whole = [int(text) if text.lstrip("-").isdigit() else text for text in texts]
    as_numbers: list[Hashable] = list(whole)
    found = vocabulary.find(list(texts)) if not np.issubdtype(vocabulary.ids.dtype, np.integer) else None
    return [text if found is not None and found[i] >= 0 else as_numbers[i] for i, text in enumerate(texts)]


def _history_of(log: InteractionLog, user: str) -> Sequences:
    """Return a user's last sequence, with its events and times; an empty one if the log has no row of theirs."""
    import numpy as np

    from rlrec.data.sequences import Sequences
    from rlrec.models.interests import latest_sequences

    index = log.users.index_of(_as_known(log.users, (user,)))
    people = latest_sequences(log.select(log.user == index[0]))
    return people if len(people) else Sequences.from_items(np.zeros(0, np.int64), np.array([0, 0]))


def _print_list(model: Recommender, history: Sequences, command: Command, log: InteractionLog | None) -> int:
    from rlrec.models.explanations import explain

    past: list[Hashable] = model.space.items.ids[history.item].tolist()
    k = min(command.k, model.n_items)
    items, scores = model.top_items(history, k, exclude_seen=command.exclude_seen, n_new=command.n_new)
    ids = model.space.items.ids[items[0]].tolist()
    reasons = explain(model, history, ids) if command.explain and past else []
    rows: list[dict[str, Any]] = []
    for place, (item, id_, score) in enumerate(zip(items[0], ids, scores[0], strict=True)):
        row: dict[str, Any] = {"rank": place + 1, "item_id": id_, "score": float(score)}
        if log is not None:
            row["item"] = log.catalog.describe(int(item))
        if reasons:
            row["because"] = [{"item_id": earlier, "gain": gain} for earlier, gain in reasons[place].strongest()]
        rows.append(row)
    if command.json:
        print(json.dumps({"history": past, "recommended": rows}, ensure_ascii=False))
        return 0
    _print_table(past, rows)
    return 0


def _print_table(history: list[Hashable], rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = ", ".join(map(str, history[-8:])) or "nothing yet"
    table = Table(title=f"After {'... ' if len(history) > 8 else ''}{shown}")
    table.add_column("", justify="right")
    table.add_column("item")
    table.add_column("score", justify="right")
    if rows and "because" in rows[0]:
        table.add_column("because of")
    for row in rows:
        because = ", ".join(f"{reason['item_id']} ({reason['gain']:+.2f})" for reason in row.get("because", []))
        cells = [str(row["rank"]), str(row.get("item", row["item_id"])), f"{row['score']:.3f}"]
        table.add_row(*cells, *([because] if "because" in row else []))
    Console().print(table)


def _write_everyone(model: Recommender, log: InteractionLog, command: Command) -> int:
    """Write the lists of all users, a file at a time, so that memory holds one file's users."""
    import numpy as np
    import polars as pl

    from rlrec.core.progress import progress
    from rlrec.data.frames import table_path
    from rlrec.models.interests import latest_sequences

    assert command.out is not None
    k = min(command.k, model.n_items)
    sequences = latest_sequences(log)
    starts = range(0, len(sequences), _USERS_A_FILE)
    for number, begin in enumerate(progress(starts, description="recommend", unit="file")):
        part = sequences.select(np.arange(begin, min(begin + _USERS_A_FILE, len(sequences))))
        items, scores = model.top_items(part, k, exclude_seen=command.exclude_seen, n_new=command.n_new)
        frame = pl.DataFrame(
            {
                "user_id": np.repeat(log.users.ids[part.user], k).tolist(),
                "rank": np.tile(np.arange(1, k + 1), len(part)),
                "item_id": model.space.items.ids[items.ravel()].tolist(),
                "score": scores.ravel(),
            }
        )
        with table_path(command.out / f"part-{number:05}.parquet") as temporary:
            frame.write_parquet(temporary)
    print(f"{len(sequences):,} lists of {k} are in {command.out}")
    return 0
