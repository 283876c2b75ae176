"""Whether a ranking of policies made in one simulator holds in another: train on synthetic, test on real, for policies.

Policies built in a simulator of synthetic users are ranked there and on a simulator of real users. Next to that belongs
the same for policies built in a simulator of real users, since a ranking moves between two samples of real people too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from scipy import stats

from rlrec.core.errors import InvalidArgumentError
from rlrec.core.estimate import Estimate
from rlrec.core.protocols import Policy
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.evaluation.rollout import RolloutResults, evaluate_policies


@dataclass(frozen=True, kw_only=True)
class Flip:
    """Two policies whose order differs between the simulators."""

    better: str
    """The better one at home."""
    worse: str
    """The better one elsewhere."""
    home: Estimate
    """Return of ``better`` minus ``worse`` at home, over the same users."""
    elsewhere: Estimate
    """The same elsewhere: below 0."""

    @property
    def clear(self) -> bool:
        """Whether neither interval holds 0: no tie that fell one way here and the other way there."""
        return self.home.low > 0 and self.elsewhere.high < 0

    def __str__(self) -> str:
        """Say which pair and by how much."""
        kind = "clearly" if self.clear else "within their intervals"
        return (
            f"{self.better} over {self.worse} turns round, {kind} ({self.home.value:+.3f} at home, "
            f"{self.elsewhere.value:+.3f} elsewhere)"
        )


@dataclass(frozen=True, kw_only=True)
class PolicyTransfer:
    """How a ranking fared."""

    home: dict[str, Estimate]
    """Return by policy where they were built."""
    elsewhere: dict[str, Estimate]
    """Return in the other simulator."""
    tau: float
    """Kendall's tau-b of the two: 1 the same order, -1 the reverse."""
    flips: tuple[Flip, ...]
    """Pairs that changed places."""

    @property
    def sentence(self) -> str:
        """What came out, in words."""
        order = ", ".join(sorted(self.elsewhere, key=lambda name: -self.elsewhere[name].value))
        turned = "; ".join(map(str, self.flips)) or "no pair turns round"
        return f"order of policies: Kendall tau {self.tau:.2f}; {turned}; best first elsewhere: {order}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for ``summary.json``."""
        return {
            "home": {name: found.to_dict() for name, found in self.home.items()},
            "elsewhere": {name: found.to_dict() for name, found in self.elsewhere.items()},
            "tau": self.tau,
            "flips": [
                {
                    "better": flip.better,
                    "worse": flip.worse,
                    "clear": flip.clear,
                    "home": flip.home.to_dict(),
                    "elsewhere": flip.elsewhere.to_dict(),
                }
                for flip in self.flips
            ],
        }


def policy_transfer(
    policies: Mapping[str, Policy],
    home: RecommendationVectorEnv,
    elsewhere: RecommendationVectorEnv,
    *,
    n_users: int = 1_000,
    seed: int = 1,
) -> PolicyTransfer:
    """Rank policies in two simulators.

    Parameters
    ----------
    policies : mapping of str to Policy
        At least two; built in ``home``.
    home, elsewhere : RecommendationVectorEnv
        The same rules for other people, such as synthetic and real ones; over one catalogue. Give both the observer
        that the policies were built with.
    n_users : int
        Users in each simulator.
    seed : int
        Of the users; another than the policies were trained with.

    Raises
    ------
    InvalidArgumentError
        If there are fewer than two policies.
    """
    if len(policies) < 2:
        raise InvalidArgumentError(f"a ranking needs at least two policies, got {', '.join(policies) or 'none'}")
    here, there = (
        evaluate_policies(policies, env, n_users=n_users, seed=seed, show_progress=False) for env in (home, elsewhere)
    )
    values = [[results.estimate(name).value for name in policies] for results in (here, there)]
    return PolicyTransfer(
        home={name: here.estimate(name) for name in policies},
        elsewhere={name: there.estimate(name) for name in policies},
        tau=float(stats.kendalltau(*values).statistic),
        flips=tuple(flip for a, b in combinations(policies, 2) if (flip := _flip(a, b, here, there)) is not None),
    )


def _flip(a: str, b: str, here: RolloutResults, there: RolloutResults) -> Flip | None:
    at_home, away = here.paired(a, b), there.paired(a, b)
    if at_home.value * away.value >= 0:
        return None
    better, worse = (a, b) if at_home.value > 0 else (b, a)
    return Flip(better=better, worse=worse, home=here.paired(better, worse), elsewhere=there.paired(better, worse))
