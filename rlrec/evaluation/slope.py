r"""SLOPE: choose a hyper-parameter that trades bias for variance, without knowing the bias.

Candidates are ordered from the least biased (widest interval) on. The rule keeps going while all intervals
:math:`\hat\theta_i \pm 2 c_i` so far share a point, and takes the last one: its error is within a constant of the best.

References
----------
.. [1] Su, Srinath & Krishnamurthy, "Adaptive Estimator Selection for Off-Policy Evaluation", ICML 2020.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlrec.core.checks import check_at_least
from rlrec.evaluation.intervals import normal_interval
from rlrec.evaluation.terms import RatioTerms


def choose(candidates: Sequence[RatioTerms], level: float = 0.95) -> int:
    """Return the index of the candidate that SLOPE chooses.

    Parameters
    ----------
    candidates : sequence of RatioTerms
        The same estimator with hyper-parameters ordered from least to most biased.
    level : float
        Level of the CLT intervals.

    Returns
    -------
    int

    Examples
    --------
    >>> noise = np.array([-1.0, 1.0] * 50)
    >>> sure = [RatioTerms(1.0 + s * noise, np.ones(100)) for s in (3.0, 1.0)] + [RatioTerms(5 + noise, np.ones(100))]
    >>> choose(sure)  # the third is precise but far off
    1
    """
    check_at_least("the number of candidates", len(candidates), 1)
    ends = np.array([normal_interval(terms.value, terms.influence, level) for terms in candidates])  # (C, 2)
    middle, half = ends.mean(axis=1), np.diff(ends, axis=1)[:, 0] / 2
    lows = np.maximum.accumulate(middle - 2 * half)
    highs = np.minimum.accumulate(middle + 2 * half)
    return int(np.flatnonzero(lows <= highs)[-1])
