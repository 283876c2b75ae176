"""Agents that differ by their training seed: where they lie, and what they are worth together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlrec.evaluation.rollout import RolloutResults
    from rlrec.evaluation.seeds import SeedSpread

_PREFIX = "seed-"


def seed_folder(run: Path, seed: int) -> Path:
    """Return where ``rlrec train --seeds`` keeps the agent of a seed."""
    return run / f"{_PREFIX}{seed}"


def seed_folders(run: Path) -> dict[int, Path]:
    """Return the agents in a run over seeds, by seed; empty for the run of one."""
    found = {
        int(folder.name.removeprefix(_PREFIX)): folder
        for folder in run.glob(f"{_PREFIX}*")
        if folder.name.removeprefix(_PREFIX).isdigit() and (folder / "policy").is_dir()
    }
    return dict(sorted(found.items()))


def member_name(name: str, seed: int) -> str:
    """Return what one agent of several is called in tables.

    Examples
    --------
    >>> member_name("ppo", 3)
    'ppo, seed 3'
    """
    return f"{name}, seed {seed}"


def seed_rows(
    groups: Mapping[str, list[str]], home: RolloutResults, away: RolloutResults | None, *, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Return the ``seeds`` part of ``summary.json``: each algorithm over its training seeds.

    Parameters
    ----------
    groups : mapping of str to list of str
        Names of the rolled-out agents, two or more, by algorithm.
    home, away : RolloutResults
        Of all of them, and of greedy.
    seed : int
        Of the bootstrap.
    """
    rows: dict[str, dict[str, Any]] = {}
    for name, members in groups.items():
        rows[name] = {"n_seeds": len(members), **_spreads(members, home, "", seed)}
        if away is not None:
            rows[name] |= _spreads(members, away, "heldout_", seed)
    return rows


def _spreads(members: list[str], results: RolloutResults, prefix: str, seed: int) -> dict[str, Any]:
    import numpy as np

    from rlrec.evaluation.seeds import over_seeds

    def spread(returns: Any, stream: int) -> SeedSpread:
        return over_seeds(returns, rng=np.random.default_rng([seed, stream]))

    returns = np.stack([results[member].per_user("return_") for member in members])  # (S, n)
    whole = spread(returns, 0)
    gain = spread(returns - results["greedy"].per_user("return_"), 1)
    return {
        f"{prefix}return": whole.iqm.to_dict(),
        f"{prefix}paired_vs_greedy": gain.iqm.to_dict(),
        f"{prefix}seed_sd": whole.seed_sd,
        f"{prefix}rollout_error": whole.rollout_error,
    }


def print_seeds(rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Print what several seeds say together."""
    if not rows:
        return
    print("\nOver training seeds (interquartile mean; the 95 % interval draws both seeds and users):")
    for name, row in rows.items():
        for prefix, where in (("", "at home"), ("heldout_", "held out")):
            if f"{prefix}return" not in row:
                continue
            value, gain = row[f"{prefix}return"], row[f"{prefix}paired_vs_greedy"]
            print(
                f"  {name}, {row['n_seeds']} seeds, {where}: {_text(value)}, minus greedy {_text(gain)}; between seeds "
                f"{row[f'{prefix}seed_sd']:.3f}, from the users {row[f'{prefix}rollout_error']:.3f}"
            )


def _text(estimate: Mapping[str, float]) -> str:
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"
