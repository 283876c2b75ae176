"""``rlrec ope``: judge a policy on a log of another, or test the estimators on simulated users."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from rlrec.cli.command import BaseCommand
from rlrec.core.errors import ConfigError
from rlrec.evaluation.selftest_config import SelfTestConfig

if TYPE_CHECKING:
    from rlrec.core.estimate import Estimate
    from rlrec.data.log import InteractionLog
    from rlrec.evaluation.selftest import SelfTest


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Judge a policy on a log that another one wrote (TABLE), or test every estimator where the truth is known.

    TABLE has the columns action, reward, behavior_prob and target_prob, and optionally episode, t and cluster (such as
    the user); with --out, the numbers go to ope.json.
    """

    table: tyro.conf.Positional[Path | None] = None
    """CSV or Parquet file with one row for each logged decision."""
    selftest: bool = False
    """Collect logs from simulated users with a known logger, and compare every estimator with a roll-out."""
    gamma: float = 1.0
    """Discount per step, where TABLE has episodes."""
    log: str = "builtin:eshop2008"
    """Selftest: the log that simulated users are fitted on."""
    n_items: int = 20
    """Selftest: its most frequent items that are kept; with few, every estimator has something to say."""
    tracks: tuple[Literal["bandit", "slate", "sequential"], ...] = ("bandit", "slate", "sequential")
    """Selftest: the settings to run."""
    size: SelfTestConfig = field(default_factory=SelfTestConfig)
    """Selftest: how many logs and users."""


def run(command: Command) -> int:
    """Judge or test."""
    if command.selftest == (command.table is not None):
        raise ConfigError("give either a TABLE to judge a policy on, or --selftest")
    found = _selftest(command) if command.selftest else _judge(command)
    if command.out is not None:
        from rlrec.core.artifacts import write_json

        write_json(command.out / "ope.json", found)
        print(f"numbers: {command.out / 'ope.json'}")
    return 0


# ---- a table --------------------------------------------------------------------------------------------------------


def _judge(command: Command) -> dict[str, Any]:
    import numpy as np

    from rlrec.evaluation.logged import LoggedBatch
    from rlrec.evaluation.ope import ips, pdis, sg_ips, snips, tis

    assert command.table is not None
    frame = _read(command.table)
    if "target_prob" not in frame.columns:
        raise ConfigError(
            f"{command.table} must have a column target_prob, got {', '.join(frame.columns)}; it holds the judged "
            "policy's probability of the logged action"
        )
    log, target = LoggedBatch.from_polars(frame), frame["target_prob"].to_numpy().astype(np.float64)
    found: dict[str, Estimate] = {"logger": ips(log, log.require_behavior_prob())}
    if log.episode is None:
        found |= {"ips": ips(log, target), "snips": snips(log, target), "sg_ips": sg_ips(log, target)}
    else:
        for name, estimator in (("tis", tis), ("pdis", pdis)):
            found[name] = estimator(log, target, gamma=command.gamma)
            found[f"{name} (self-normalised)"] = estimator(log, target, gamma=command.gamma, self_normalised=True)
    width = max(map(len, found))
    for name, estimate in found.items():
        print(f"{name:{width}}  {estimate}  n={estimate.n}, effective {estimate.effective_sample_size:.0f}")
    for note in dict.fromkeys(note for name, estimate in found.items() for note in estimate.notes if name != "logger"):
        print(f"- {note}")
    return {name: estimate.to_dict() for name, estimate in found.items()}


def _read(path: Path) -> Any:
    import polars as pl

    if not path.is_file():
        raise ConfigError(f"there is no file {path}; give a CSV or Parquet table")
    return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path)


# ---- the selftest ---------------------------------------------------------------------------------------------------


def _selftest(command: Command) -> dict[str, Any]:
    from rlrec.agents.baselines import GreedyPolicy, PopularPolicy, RandomPolicy
    from rlrec.data.load import load_log
    from rlrec.envs.config import SimulatorConfig
    from rlrec.envs.vector import make_vec
    from rlrec.evaluation.mixture import MixturePolicy
    from rlrec.evaluation.selftest import selftest
    from rlrec.evaluation.selftest_tracks import TRACKS
    from rlrec.models.counting import MarkovModel

    people = MarkovModel.fit(most_frequent(load_log(command.log), command.n_items))
    expect, popular = GreedyPolicy(people), PopularPolicy(people.space.item_counts)
    chance = RandomPolicy(people.n_items)
    logger = MixturePolicy([expect, popular, chance], [0.3, 0.2, 0.5])
    targets = {
        "more of what is expected": MixturePolicy([logger, expect], [0.6, 0.4]),
        "more of what is popular": MixturePolicy([logger, popular], [0.6, 0.4]),
        "more chance": MixturePolicy([logger, chance], [0.6, 0.4]),
        "what is expected, twice as sharp": MixturePolicy([logger, GreedyPolicy(people, temperature=0.5)], [0.5, 0.5]),
    }
    found: dict[str, Any] = {}
    for name in command.tracks:
        track = TRACKS[name]
        # Impatience would be a state that no observation shows; without it the last item is all that matters.
        config = SimulatorConfig(impatience=0.0, horizon=1 if track.one_step else 50)
        env = make_vec(people, num_envs=2000, slate_size=2 if name == "slate" else 1, config=config)
        result = selftest(name, env, logger, targets, config=command.size, seed=command.seed)
        print_selftest(result)
        found[name] = result.to_dict()
    return found


def most_frequent(log: InteractionLog, n_items: int) -> InteractionLog:
    """Return the rows of the ``n_items`` most frequent items, over a catalogue of these alone."""
    import numpy as np

    from rlrec.data.catalog import ItemCatalog
    from rlrec.data.log import InteractionLog
    from rlrec.data.vocabulary import Vocabulary

    kept = np.sort(np.argsort(-log.item_counts, kind="stable")[:n_items])
    place = np.full(log.n_items, -1)
    place[kept] = np.arange(len(kept))
    part = log.select(place[log.item] >= 0)
    return InteractionLog.from_columns(
        name=f"{log.name}, {len(kept)} items",
        user=part.user,
        item=place[part.item],
        timestamp=part.timestamp,
        event=part.event,
        session=part.session,
        users=log.users,
        catalog=ItemCatalog(Vocabulary(np.asarray(log.catalog.ids)[kept])),
        event_names=log.event_names,
    )


def print_selftest(result: SelfTest) -> None:
    """Print one setting as a Markdown table, as the guide has it."""
    truths = ", ".join(f"{name} {value:.4f}" for name, value in result.truths.items())
    print(f"\n{result.track}: the logger earns {result.logger_return:.4f}; truths: {truths}\n")
    print("| estimator | bias | z | RMSE | coverage | reliable | rank correlation | ms |")
    print("|---|---|---|---|---|---|---|---|")
    for name, score in result.scores.items():
        rank = "" if score.rank_correlation is None else f"{score.rank_correlation:.2f}"
        print(
            f"| {name} | {score.bias:.4f} | {score.z:.1f} | {score.rmse:.4f} | {score.coverage:.1%} | "
            f"{score.reliable:.0%} | {rank} | {1000 * score.seconds:.0f} |"
        )
