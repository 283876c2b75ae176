"""Every off-policy estimator by its name, and a table of what each is.

They live by what they assume: single recommendations in `weighting`, `doubly_robust` and `mips`, slates in `slate_ope`,
episodes in `sequential_ope`, `fqe`, `mrdr` and `marginal`. Each returns an `OffPolicyEstimate`; two of them on one log
are compared by `difference`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rlrec.evaluation.difference import difference
from rlrec.evaluation.doubly_robust import clipped_dr, dm, dr, dros, sg_dr, sndr, switch_dr
from rlrec.evaluation.estimation import OffPolicyEstimate
from rlrec.evaluation.fqe import fqe
from rlrec.evaluation.marginal import marginal_is
from rlrec.evaluation.mips import mips
from rlrec.evaluation.mrdr import mrdr
from rlrec.evaluation.return_distribution import ReturnDistribution
from rlrec.evaluation.sequential_ope import magic, pdis, sequential_dm, sequential_dr, tis, wdr
from rlrec.evaluation.slate_ope import cascade_dr, iips, pseudo_inverse, rips, sips
from rlrec.evaluation.weighting import clipped_ips, ips, sg_ips, snips

__all__ = [
    "ESTIMATORS",
    "Estimator",
    "ReturnDistribution",
    "cascade_dr",
    "clipped_dr",
    "clipped_ips",
    "difference",
    "dm",
    "dr",
    "dros",
    "fqe",
    "iips",
    "ips",
    "magic",
    "marginal_is",
    "mips",
    "mrdr",
    "pdis",
    "pseudo_inverse",
    "rips",
    "sequential_dm",
    "sequential_dr",
    "sg_dr",
    "sg_ips",
    "sips",
    "sndr",
    "snips",
    "switch_dr",
    "tis",
    "wdr",
]


@dataclass(frozen=True)
class Estimator:
    """A row of the table of estimators."""

    function: Callable[..., OffPolicyEstimate]
    """Called with the log, the target and keywords."""
    family: Literal["bandit", "slate", "sequential"]
    """What one row, and one term, of its log is."""
    needs_model: bool = False
    """True where it takes a model of rewards ``q``."""
    parameter: str | None = None
    """Name of the hyper-parameter that trades bias for variance; SLOPE chooses it where it is left out."""


ESTIMATORS: dict[str, Estimator] = {
    "dm": Estimator(dm, "bandit", needs_model=True),
    "ips": Estimator(ips, "bandit"),
    "clipped_ips": Estimator(clipped_ips, "bandit", parameter="clip"),
    "snips": Estimator(snips, "bandit"),
    "sg_ips": Estimator(sg_ips, "bandit", parameter="mixing"),
    "dr": Estimator(dr, "bandit", needs_model=True),
    "clipped_dr": Estimator(clipped_dr, "bandit", needs_model=True, parameter="clip"),
    "sndr": Estimator(sndr, "bandit", needs_model=True),
    "switch_dr": Estimator(switch_dr, "bandit", needs_model=True, parameter="tau"),
    "dros": Estimator(dros, "bandit", needs_model=True, parameter="shrinkage"),
    "sg_dr": Estimator(sg_dr, "bandit", needs_model=True, parameter="mixing"),
    "mips": Estimator(mips, "bandit"),
    "sips": Estimator(sips, "slate"),
    "iips": Estimator(iips, "slate"),
    "rips": Estimator(rips, "slate"),
    "pseudo_inverse": Estimator(pseudo_inverse, "slate"),
    "cascade_dr": Estimator(cascade_dr, "slate", needs_model=True),
    "tis": Estimator(tis, "sequential"),
    "pdis": Estimator(pdis, "sequential"),
    "sequential_dm": Estimator(sequential_dm, "sequential", needs_model=True),
    "sequential_dr": Estimator(sequential_dr, "sequential", needs_model=True),
    "wdr": Estimator(wdr, "sequential", needs_model=True),
    "magic": Estimator(magic, "sequential", needs_model=True),
    "mrdr": Estimator(mrdr, "sequential"),
    "fqe": Estimator(fqe, "sequential"),
    "marginal_is": Estimator(marginal_is, "sequential"),
}
"""Every estimator by name."""
