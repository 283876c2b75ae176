"""The plots of a report, as inline SVG that takes the page's text colour, so that they read in light and dark mode."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from rlrec.evaluation.report_numbers import bounds, point

_INK = "#010203"  # drawn with this, then replaced by the page's own text colour
PALETTE = ("#2f86d6", "#d97a1e", "#2a9d6f", "#9a6fd0", "#c2557f")  # mid tones: they read on white and on black
_MARKERS = ("o", "s", "^", "D", "v")
_LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
_ORDER = ("real", "simulated", "synthetic")
_STYLE: Any = {  # matplotlib types its settings by name, so a plain dict does not fit
    "svg.fonttype": "none",
    "svg.hashsalt": "rlrec",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


@dataclass(frozen=True)
class Plot:
    """One picture, with the words for those who cannot see it."""

    title: str
    alt: str
    svg: str


def valid_nll_plot(valid_nll: Sequence[float]) -> Plot:
    """Draw the LSTM's validation loss by epoch, its best epoch marked."""
    values = np.asarray(valid_nll, float)
    epochs, best = np.arange(1, len(values) + 1), int(np.argmin(values))

    def draw(axes: Axes) -> None:
        axes.plot(epochs, values, color=PALETTE[0], marker="o", markersize=4)
        axes.plot([best + 1], [values[best]], "o", color=PALETTE[1], markersize=8, label=f"kept: epoch {best + 1}")
        axes.set(xlabel="epoch", ylabel="nats per next item (less is better)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()

    alt = f"Validation loss over {len(values)} epochs, from {values[0]:.3f} to a lowest {values[best]:.3f} nats."
    return _plot("LSTM: validation loss", alt, "nll", draw)


def ppo_plot(curve: Sequence[tuple[int, float]]) -> Plot:
    """Draw PPO's mean return by environment step."""
    steps, returns = np.asarray(curve, float).T

    def draw(axes: Axes) -> None:
        axes.plot(steps, returns, color=PALETTE[0])
        axes.set(xlabel="environment steps", ylabel="mean return of a session")
        axes.xaxis.set_major_formatter(FuncFormatter(_thousands))
        axes.xaxis.set_major_locator(MaxNLocator(5))

    alt = f"Mean return in training: {returns[0]:.2f} at the start, {returns[-1]:.2f} after {steps[-1]:,.0f} steps."
    return _plot("PPO: return in training", alt, "ppo", draw)


def policies_plot(policies: Mapping[str, Mapping[str, Any]]) -> Plot:
    """Draw returns with 95 % intervals, at home and held out side by side on one scale; best held out on top."""
    panels = [("return", "at home"), ("heldout_return", "held-out simulator")]
    panels = [
        (key, title) for key, title in panels if any(point(row.get(key)) is not None for row in policies.values())
    ]
    names = sorted(policies, key=lambda name: point(policies[name].get(panels[-1][0])) or 0.0)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
        for index, (axes, (key, title)) in enumerate(zip(grid, panels, strict=True)):
            _dots(axes, [policies[name].get(key) for name in names], PALETTE[index], _MARKERS[index])
            axes.set_title(title, fontsize=10)
            axes.set_yticks(range(len(names)), names)
            axes.set_ylim(-0.6, len(names) - 0.4)
            axes.set_xlabel("return per session")
            axes.grid(axis="y", color=_INK, alpha=0.12)

    alt = "Return per session with 95 % intervals: " + "; ".join(
        _spoken(name, policies[name], panels) for name in names
    )
    return draw_figure(
        "Policies, with 95 % intervals", alt, "policies", draw, height=1.3 + 0.34 * len(names), width=5.6
    )


def detectors_plot(table: Mapping[str, Mapping[str, Any]]) -> Plot:
    """Draw what each detector makes of each set, with 95 % intervals and the line of 0.5, where it cannot tell."""
    families = {"c2st_auc": "boosted trees", "c2st_auc_logistic": "logistic", "c2st_auc_gru": "GRU"}
    families = {key: words for key, words in families.items() if key in table}
    words = {"train_vs_real": "training", "real_vs_real": "other real", "control": "control", "synthetic": "synthetic"}
    names = [name for name in words if name in table["c2st_auc"]]

    def draw(figure: Figure) -> None:
        grid = figure.subplots(1, len(families), sharex=True, sharey=True, squeeze=False)[0]
        for index, (axes, (key, title)) in enumerate(zip(grid, families.items(), strict=True)):
            axes.axvline(0.5, color=_INK, alpha=0.4, linewidth=1)
            _dots(axes, [table[key].get(name) for name in names], PALETTE[index], _MARKERS[index])
            axes.set_title(title, fontsize=10)
            axes.set_yticks(range(len(names)), [words[name] for name in names])
            axes.set_ylim(-0.6, len(names) - 0.4)
            axes.set_xlabel("AUC")
            axes.grid(axis="y", color=_INK, alpha=0.12)

    panels = [(name, words[name]) for name in names]
    alt = "AUC of telling sessions from held-out real ones, 0.5 being chance: " + "; ".join(
        _spoken(title, table[key], panels) for key, title in families.items()
    )
    return draw_figure("Can a classifier tell them from real sessions?", alt, "detectors", draw, height=2.2, width=5.6)


def kappa_plot(sweep: Mapping[str, Sequence[Mapping[str, float]]]) -> Plot:
    """Draw each policy's return over kappa, with its interval as a band."""

    def draw(axes: Axes) -> None:
        for index, (name, points) in enumerate(sweep.items()):
            ordered = sorted(points, key=lambda entry: entry["kappa"])
            kappa, value = ([entry[key] for entry in ordered] for key in ("kappa", "value"))
            colour = PALETTE[index % len(PALETTE)]
            axes.plot(kappa, value, color=colour, label=name, marker=_MARKERS[index % len(_MARKERS)], markersize=4)
            if all("low" in entry and "high" in entry for entry in ordered):
                low, high = ([entry[key] for entry in ordered] for key in ("low", "high"))
                axes.fill_between(kappa, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.set(xlabel="kappa (1: only what they would have picked anyway)", ylabel="return per session")
        if all(entry["kappa"] > 0 for points in sweep.values() for entry in points):
            axes.set_xscale("log")
        axes.legend()

    return _plot("Return over kappa", f"Return over kappa for {', '.join(sweep)}.", "kappa", draw)


def lengths_plot(samples: Mapping[str, Any]) -> Plot:
    """Draw the share of sessions of each length, up to the real 98th percentile."""
    arrays = {name: np.asarray(samples[name], float) for name in _known(samples)}
    reach = int(np.percentile(arrays.get("real", next(iter(arrays.values()))), 98)) + 1
    lengths = np.arange(1, reach + 1)

    def draw(axes: Axes) -> None:
        for name, values in arrays.items():
            share = np.array([(values == length).mean() for length in lengths])
            axes.step(lengths, share, where="mid", label=name, **_look(name))
        axes.set(xlabel="behaviours in a session", ylabel="share of sessions")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(bottom=0)
        axes.legend()

    means = ", ".join(f"{name} {values.mean():.2f}" for name, values in arrays.items())
    return _plot("Session length", f"Distributions of session length; means: {means}.", "lengths", draw)


def popularity_plot(samples: Mapping[str, Any]) -> Plot:
    """Draw each item's share, items in the order of their real popularity; a point off the line is a wrong share."""
    arrays = {name: _share(samples[name]) for name in _known(samples)}
    reference = arrays.get("real", next(iter(arrays.values())))
    order = np.argsort(-reference, kind="stable")
    rank = np.arange(1, len(order) + 1)

    def draw(axes: Axes) -> None:
        for name, share in arrays.items():
            seen = share[order] > 0
            look = _look(name)
            if name != "real":
                look |= {
                    "linestyle": "none",
                    "marker": "o" if name == "simulated" else "^",
                    "markersize": 3,
                    "alpha": 0.6,
                }
            axes.plot(rank[seen], share[order][seen], label=name, **look)
        axes.set(xlabel="items, most popular first", ylabel="share of behaviours", xscale="log", yscale="log")
        axes.legend()

    alt = f"Share of each of {len(order)} items, by real popularity, for {', '.join(arrays)}."
    return _plot("Item popularity", alt, "popularity", draw)


def _dots(axes: Axes, cells: Sequence[Any], colour: str, marker: str) -> None:
    for row, cell in enumerate(cells):
        value, ends = point(cell), bounds(cell)
        if value is not None:
            axes.plot([value], [row], marker=marker, color=colour, markersize=6)
            if ends is not None:
                axes.plot(ends, [row, row], color=colour, linewidth=2, solid_capstyle="butt")
                axes.plot(ends, [row, row], linestyle="none", marker="|", color=colour, markersize=8)


def _spoken(name: str, row: Mapping[str, Any], panels: Sequence[tuple[str, str]]) -> str:
    said = [f"{title} {value:.3g}" for key, title in panels if (value := point(row.get(key))) is not None]
    return f"{name} {', '.join(said)}"


def _known(samples: Mapping[str, Any]) -> list[str]:
    return [name for name in _ORDER if name in samples and len(samples[name])]


def _look(name: str) -> dict[str, Any]:
    index = _ORDER.index(name)
    return {"color": PALETTE[index], "linestyle": _LINES[index]}


def _share(values: Any) -> NDArray[np.float64]:
    array: NDArray[np.float64] = np.asarray(values, np.float64)
    return array / max(float(array.sum()), 1e-12)


def _thousands(value: float, _: int | None = None) -> str:
    return f"{value / 1_000:g}k" if value >= 1_000 else f"{value:g}"


def _plot(title: str, alt: str, name: str, draw: Callable[[Axes], None]) -> Plot:
    return draw_figure(title, alt, name, lambda figure: draw(figure.subplots()))


def draw_figure(
    title: str, alt: str, name: str, draw: Callable[[Figure], None], *, width: float = 4.6, height: float = 3.0
) -> Plot:
    """Draw with our style; small figures, so that a phone shrinks the letters little."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return Plot(title, alt, inline_svg(text.getvalue(), name))


def inline_svg(document: str, name: str) -> str:
    """Turn matplotlib's SVG document into an element for a page: no prolog, own ids, the page's colour and font."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = svg.replace("xlink:href", "href").replace(_INK, "currentColor")
    svg = svg.replace('id="', f'id="{name}-').replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    svg = re.sub(r"(font: [^;\"]*?px) [^;\"]*", r"\1 system-ui, sans-serif", svg)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', svg, count=1)
    return re.sub(r"\s*\n\s*", "\n", svg).strip()


def standalone_svg(plot: Plot) -> str:
    """Return the plot as an SVG file, in a grey that reads on white and on black."""
    names = 'xmlns="http://www.w3.org/2000/svg" color="#7a8590" role="img"'
    return plot.svg.replace("<svg ", f"<svg {names} ", 1).replace('aria-hidden="true"', "", 1)
