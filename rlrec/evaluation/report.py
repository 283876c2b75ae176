"""The report of a run: one self-contained HTML file that opens from disk and asks for nothing.

Its one script sorts tables, and only that script may run: the page's policy names it by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from rlrec.core.artifacts import atomic_path, read_json
from rlrec.core.errors import ArtifactError, ArtifactNotFoundError
from rlrec.evaluation.findings import findings
from rlrec.evaluation.report_details import ReportDetails
from rlrec.evaluation.report_tables import (
    Table,
    facts_table,
    kappa_table,
    metrics_table,
    models_table,
    policies_table,
    privacy_table,
    seeds_table,
)

SUMMARY_FILE = "summary.json"
REPORT_FILE = "report.html"
_TEMPLATE = "report.html.j2"
_SCRIPT = "sort.js"
_PLOTTED_LEAST = 2  # points that make a curve


def write_report(summary: Mapping[str, Any], details: ReportDetails | None, path: str | Path) -> Path:
    """Write a run's report.

    Parameters
    ----------
    summary : mapping
        What ``summary.json`` holds. A missing part leaves its section out.
    details : ReportDetails, optional
        Curves, samples and journeys.
    path : path
        The HTML file; it is replaced only when the new one is whole.

    Returns
    -------
    Path
        The file written.
    """
    page = render_report(summary, details)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return Path(path)


def render_report(summary: Mapping[str, Any], details: ReportDetails | None = None) -> str:
    """Return the report as HTML text; names and notes are escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("rlrec.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["svg"] = Markup  # only for our own plots, whose texts matplotlib has escaped
    environment.filters["inline"] = Markup  # only for our own script
    details = ReportDetails() if details is None else details
    return environment.get_template(_TEMPLATE).render(report_context(summary, details), script=_script()) + "\n"


def _script() -> dict[str, str]:
    """Return the script that sorts tables, and its hash as a content security policy names it."""
    text = resources.files("rlrec.evaluation").joinpath("templates", _SCRIPT).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return {"text": text, "source": f"sha256-{digest}"}


def report_folder(folder: str | Path, out: str | Path | None = None) -> Path:
    """Build ``report.html`` again from a run folder's ``summary.json`` and ``details.json``.

    Parameters
    ----------
    folder : path
        What a fit or demo wrote.
    out : path, optional
        Folder for the report; the run folder by default.
    """
    folder = Path(folder)
    if not (folder / SUMMARY_FILE).is_file():
        raise ArtifactNotFoundError(f"{str(folder)!r} holds no {SUMMARY_FILE}; give the folder that a run wrote")
    summary = read_json(folder / SUMMARY_FILE)
    if not isinstance(summary, dict):
        raise ArtifactError(f"{str(folder / SUMMARY_FILE)!r} must hold a JSON object, got {type(summary).__name__}")
    return write_report(summary, ReportDetails.load(folder), Path(out or folder) / REPORT_FILE)


def report_context(summary: Mapping[str, Any], details: ReportDetails) -> dict[str, Any]:
    """Return what the template shows: sentences, tables and plots; absent parts are None or empty."""
    data: Mapping[str, Any] = summary.get("data") or {}
    simulator: Mapping[str, Any] = summary.get("simulator") or {}
    return {
        "name": str(data.get("name", "a behaviour log")),
        "title": summary.get("title"),
        "findings": findings(summary),
        "data": facts_table(data, "The log", ("fact", "value")) if data else None,
        "models": _table(models_table, summary.get("models")),
        "policies": _table(policies_table, summary.get("policies")),
        "seeds": _table(seeds_table, summary.get("seeds")),
        "kappa": _table(kappa_table, details.kappa_sweep),
        "fidelity": _metrics(simulator.get("fidelity"), "Simulated people beside real ones"),
        "speed": simulator.get("user_steps_per_cpu_second"),
        "synthetic": _metrics(summary.get("synthetic"), "Synthetic data beside its control"),
        "audit": _table(privacy_table, summary.get("privacy")),
        "plots": _plots(summary, details),
        "journeys": [list(journey) for journey in details.journeys],
        "seconds": _facts(summary.get("seconds"), "Seconds per stage", ("stage", "seconds")),
        "versions": _facts(summary.get("versions"), "Versions", ("package", "version")),
        "seed": summary.get("seed"),
        "licence": details.licence,
        "notes": list(details.notes),
    }


def _table(build: Any, part: Mapping[str, Any] | None) -> Table | None:
    table: Table | None = build(part) if part else None
    return table


def _metrics(part: Mapping[str, Any] | None, caption: str) -> Table | None:
    return metrics_table(part, caption) if part else None


def _facts(part: Mapping[str, Any] | None, caption: str, columns: tuple[str, str]) -> Table | None:
    return facts_table(part, caption, columns) if part else None


def _plots(summary: Mapping[str, Any], details: ReportDetails) -> dict[str, Any]:
    """Draw what there is data for, by the section it belongs to."""
    from rlrec.evaluation import plots  # matplotlib takes half a second to import
    from rlrec.evaluation.interest_plot import interest_map_plot

    sections = ("learning", "interest", "policies", "kappa", "distributions", "detectors")
    drawn: dict[str, list[Any]] = {section: [] for section in sections}
    if details.valid_nll is not None and len(details.valid_nll):
        drawn["learning"].append(plots.valid_nll_plot(details.valid_nll))
    if details.ppo_curve is not None and len(details.ppo_curve) >= _PLOTTED_LEAST:
        drawn["learning"].append(plots.ppo_plot(details.ppo_curve))
    if details.interest_map:
        drawn["interest"].append(interest_map_plot(details.interest_map))
    policies = summary.get("policies") or {}
    if any(row.get("return") or row.get("heldout_return") for row in policies.values()):
        drawn["policies"].append(plots.policies_plot(policies))
    if details.kappa_sweep:
        drawn["kappa"].append(plots.kappa_plot(details.kappa_sweep))
    if summary.get("privacy") and (summary.get("synthetic") or {}).get("c2st_auc"):
        drawn["detectors"].append(plots.detectors_plot(summary["synthetic"]))
    if details.session_lengths:
        drawn["distributions"].append(plots.lengths_plot(details.session_lengths))
    if details.item_popularity:
        drawn["distributions"].append(plots.popularity_plot(details.item_popularity))
    return drawn
