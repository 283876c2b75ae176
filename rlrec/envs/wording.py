"""A step of one simulated user in words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rlrec.envs.simulator import Responses


def describe_step(slate: NDArray[np.int64], responses: Responses, row: int, name: Callable[[int], str]) -> str:
    """Return what was shown to the user in ``row``, with what chance, what it did, and why it left.

    Parameters
    ----------
    slate : int array, shape (K,)
        Items shown.
    responses : Responses
        Of the whole batch.
    row : int
        Which user.
    name : callable
        Words for an item index.
    """
    chances = responses.click_probs[row]
    shown = ", ".join(f"{name(int(item))} ({chance:.0%})" for item, chance in zip(slate, chances, strict=True))
    item = int(responses.item[row])
    if responses.position[row] >= 0:
        reaction = f"clicked {name(item)}"
    elif item >= 0:
        reaction = f"ignored it and found {name(item)}"
    else:
        reaction = "ignored it"
    return f"shown {shown}: {reaction}{_leaving(responses, row)}"


def _leaving(responses: Responses, row: int) -> str:
    if not responses.left[row]:
        return ""
    streak = int(responses.streak[row])
    why = f" after {streak} useless slate{'s' if streak > 1 else ''}" if streak else ""
    return f", then left (chance {responses.leave_probs[row]:.0%}{why})"
