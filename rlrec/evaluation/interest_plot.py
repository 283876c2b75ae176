"""The map of interest as a picture: people as dots, popular items as squares with their names where there is room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from rlrec.evaluation.plots import PALETTE, Plot, draw_figure

_LONGEST = 22  # letters of a name
_LETTER, _LINE = 4.6, 10.0  # points that a name takes, at its size of 8


def interest_map_plot(places: Mapping[str, Any]) -> Plot:
    """Draw what ``InterestMap.to_dict`` gave."""
    users, items = (np.asarray(places[name], float).reshape(-1, 2) for name in ("users", "items"))
    names = [str(name) for name in places["names"]]
    shares = [float(share) for share in places["shares"]]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(*users.T, "o", color=PALETTE[0], markersize=3, alpha=0.35, linestyle="none", label="a user")
        axes.plot(*items.T, "s", color=PALETTE[1], markersize=4.5, linestyle="none", label="an item alone")
        axes.margins(0.08)
        axes.set(xlabel=f"first direction ({shares[0]:.0%} of the variance)", ylabel=f"second ({shares[1]:.0%})")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.legend(loc="upper left", bbox_to_anchor=(0, 1.1), ncols=2)
        figure.canvas.draw()  # settles the limits that the names are laid out by
        points = axes.transData.transform(items) * 72 / figure.dpi
        frame = axes.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
        for index in with_room(points, names, frame):
            axes.annotate(_short(names[index]), items[index], (4, 2), textcoords="offset points", fontsize=8)

    alt = (
        f"{len(users)} users and the {len(items)} most popular items on the two directions in which users' interest "
        f"differs most; they hold {shares[0]:.0%} and {shares[1]:.0%} of the variance."
    )
    return draw_figure("Map of interest", alt, "interest", draw, width=6.4, height=4.6)


def with_room(points: NDArray[np.float64], names: list[str], frame: Bbox) -> list[int]:
    """Return which items (K, 2), places in points, can be named without covering a name before them.

    ``frame`` is the axes' box in inches; a name that would leave it on the right is left out.
    """
    taken: list[Bbox] = []
    chosen = []
    for index, ((x, y), name) in enumerate(zip(points, names, strict=True)):
        box = Bbox.from_bounds(x + 4, y, _LETTER * len(_short(name)), _LINE)
        if box.x1 <= frame.x1 * 72 and not any(box.overlaps(other) for other in taken):
            taken.append(box)
            chosen.append(index)
    return chosen


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
