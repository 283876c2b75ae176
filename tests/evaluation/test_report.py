"""The report: all parts, few parts, escaping, no request, and numbers that come from the summary."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from rlrec.core.artifacts import write_json
from rlrec.core.errors import ArtifactNotFoundError, DataError
from rlrec.evaluation.findings import findings, gan_finding, learner_finding, shipping_finding, trust_finding
from rlrec.evaluation.interest_plot import interest_map_plot
from rlrec.evaluation.plots import standalone_svg, valid_nll_plot
from rlrec.evaluation.report import render_report, report_folder, write_report
from rlrec.evaluation.report_details import ReportDetails
from rlrec.evaluation.report_numbers import number_text
from rlrec.evaluation.report_tables import policies_table

NASTY = "<script>alert('x')</script>"


def estimate(value: float, half: float = 0.2) -> dict:
    return {"value": value, "low": value - half, "high": value + half, "n": 500, "reliable": True}


def policy(home: float, held: float) -> dict:
    return {
        "return": estimate(home),
        "heldout_return": estimate(held),
        "session_length": estimate(11.5),
        "coverage": estimate(0.37, 0.01),
        "paired_vs_random": estimate(home - 0.13),
        "paired_vs_greedy": estimate(home - 7.6),
        "heldout_paired_vs_greedy": estimate(held - 5.2),
    }


def full_summary() -> dict:
    model = {"test_nll": 3.8125, "hit@1": 0.151, "hit@10": 0.5423, "ndcg@10": 0.301}
    return {
        "data": {"name": "shop", "n_users": 24_026, "n_items": 217, "n_events": 165_474, "sha256": "ab" * 32},
        "models": {"lstm": model, "markov": model | {"test_nll": 3.96}, "popularity": model | {"test_nll": 5.01}},
        "simulator": {
            "user_steps_per_cpu_second": 51_234.5,
            "fidelity": {
                "session_length_mean": {"real": 6.9, "simulated": 6.7, "real_vs_real": 6.88},
                "item_jsd": {"simulated": 0.021, "real_vs_real": 0.008},
            },
        },
        "policies": {"random": policy(0.13, 0.13), "greedy": policy(7.6, 5.2), "ppo": policy(10.9, 4.3)},
        "synthetic": {
            "c2st_auc": {"gan": 0.56, "mle": 0.58, "real_vs_real": 0.5},
            "item_jsd": {"gan": 0.022, "mle": 0.021, "real_vs_real": 0.008},
        },
        "seconds": {"lstm": 110.3},
        "versions": {"rlrec": "0.1.0"},
        "seed": 7,
    }


def full_details() -> ReportDetails:
    rng = np.random.default_rng(0)
    lengths = {name: rng.geometric(0.15, 300) for name in ("real", "simulated", "synthetic")}
    counts = {name: rng.integers(0, 50, 40) for name in ("real", "simulated", "synthetic")}
    return ReportDetails(
        valid_nll=(4.1, 3.9, 3.95),
        ppo_curve=((2_048, 7.5), (4_096, 8.5)),
        session_lengths=lengths,
        item_popularity=counts,
        journeys=[["is shown a blouse: clicks", f"is shown {NASTY}"]],
        interest_map={
            "users": rng.normal(size=(30, 2)).tolist(),
            "items": [[0.0, 0.0], [0.0, 0.01], [2.0, 1.0]],
            "names": [NASTY, "a name over another", "far away"],
            "shares": [0.4, 0.2],
        },
        kappa_sweep={"ppo": [{"kappa": 0.1, "value": 9.0, "low": 8.8, "high": 9.2}, {"kappa": 1.0, "value": 4.0}]},
        licence="CC BY 4.0, https://creativecommons.org/licenses/by/4.0/",
        notes=["kappa is declared."],
    )


@pytest.fixture
def summary() -> dict:
    return full_summary()


@pytest.fixture
def details() -> ReportDetails:
    return full_details()


class Outline(HTMLParser):
    """Collects what a page loads, its ids, and whether its elements nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        self.loads += [values[key] or "" for key in ("src", "href", "xlink:href", "srcset", "data") if key in values]
        self.ids += [values["id"]] if "id" in values else []
        if tag not in {"meta", "link", "br", "img"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_full_report_has_every_section(summary, details):
    page = render_report(summary, details)
    outline = Outline(page)
    sections = {
        "data",
        "models",
        "learning",
        "interest",
        "policies",
        "kappa",
        "fidelity",
        "synthetic",
        "journeys",
        "made",
    }
    assert sections <= set(outline.ids)
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert page.count("<svg") == 7
    assert page.count('role="img"') == 7
    assert "width=device-width" in page
    assert "prefers-color-scheme: dark" in page
    assert "CC BY 4.0" in page


@pytest.mark.parametrize("given", [{}, {"data": {"name": "x"}}, {"models": {"lstm": {"test_nll": 4.0}}, "seed": 0}])
def test_missing_parts_leave_their_sections_out(given):
    outline = Outline(render_report(given))
    assert "policies" not in outline.ids
    assert "made" in outline.ids
    assert outline.open == []


def test_a_report_asks_for_nothing_and_runs_only_its_own_script(summary, details):
    page = render_report(summary, details)
    outline = Outline(page)
    assert all(load.startswith(("#", "data:")) for load in outline.loads)
    assert all(target.startswith("#") for target in re.findall(r"url\(\s*['\"]?([^)]*)", page))
    assert "@import" not in page
    assert not {"iframe", "object", "embed"} & set(outline.tags)
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page


@pytest.mark.parametrize("place", ["log", "model", "policy", "journey"])
def test_names_are_escaped(summary, details, place):
    if place == "log":
        summary["data"]["name"] = NASTY
    elif place == "model":
        summary["models"][NASTY] = summary["models"]["lstm"]
    elif place == "policy":
        summary["policies"][NASTY] = policy(9.0, 6.0)
    page = render_report(summary, details)
    assert page.count("<script") == 1  # our own
    assert NASTY not in page
    assert "&lt;script&gt;" in page


def test_every_number_of_the_policies_table_stands_in_the_summary(summary):
    known = {""}
    for row in summary["policies"].values():
        for cell in row.values():
            low, high = number_text(cell["low"]), number_text(cell["high"])
            known |= {number_text(cell["value"]), f"[{low}, {high}]"}
    table = policies_table(summary["policies"])
    cells = [cell for _, row in table.rows for cell in row]
    assert len(cells) == 3 * 7
    assert {text for cell in cells for text in (cell.text, cell.interval)} <= known
    assert [name for name, _ in table.rows] == ["greedy", "ppo", "random"]  # best held out first


def test_the_first_sentence_ships_what_wins_held_out(summary):
    policies = summary["policies"]
    assert shipping_finding(policies).startswith("Ship greedy")
    policies["ppo"] = policy(10.9, 6.0)
    assert shipping_finding(policies).startswith("Ship ppo")
    assert shipping_finding({"ppo": {"return": estimate(1.0)}}).startswith("No policy was judged")


def test_a_lucky_seed_is_not_shipped(summary):
    """Of several agents that differ by their seed, the algorithm is judged: one of them always looks best."""
    policies = summary["policies"]
    policies["a2c, seed 3"] = policy(10.9, 6.0)
    assert findings(summary)[0].startswith("Ship a2c, seed 3")
    doubtful = {"heldout_return": estimate(5.0), "heldout_paired_vs_greedy": estimate(0.1) | {"low": -0.1}}
    assert findings(summary | {"seeds": {"a2c": doubtful}})[0].startswith("Ship greedy")
    proven = doubtful | {"heldout_paired_vs_greedy": estimate(0.3) | {"low": 0.1}}
    assert findings(summary | {"seeds": {"a2c": proven}})[0].startswith("Ship a2c, to a test")


def test_a_policy_that_only_wins_at_home_is_told_so(summary):
    text = learner_finding(summary["policies"], "ppo")
    assert "+43 %" in text
    assert "\N{MINUS SIGN}17 %" in text
    assert "only wins at home" in text


def test_the_simulator_and_the_gan_are_judged(summary):
    assert "close to the 6.9" in trust_finding(summary["simulator"]["fidelity"])
    assert "NOT close" in trust_finding({"session_length_mean": {"real": 6.9, "simulated": 4.0}})
    assert "did not beat" in gan_finding(summary["synthetic"])
    assert "The GAN beat" in gan_finding({"c2st_auc": {"gan": 0.52, "mle": 0.58}})
    assert "not beat" in gan_finding({"c2st_auc": {"gan": estimate(0.52), "mle": estimate(0.58)}})  # they overlap


def test_a_run_folder_gives_the_same_report_again(summary, details, tmp_path):
    write_json(tmp_path / "summary.json", summary)
    details.save(tmp_path)
    write_report(summary, details, tmp_path / "first.html")
    again = report_folder(tmp_path)
    assert again.read_bytes() == (tmp_path / "first.html").read_bytes()
    with pytest.raises(ArtifactNotFoundError, match=r"holds no summary\.json"):
        report_folder(tmp_path / "absent")


def test_unknown_details_are_refused():
    with pytest.raises(DataError, match="unknown parts"):
        ReportDetails.from_dict({"curve": []})


def test_the_map_names_an_item_only_where_there_is_room():
    plot = interest_map_plot(full_details().interest_map or {})
    assert "far away" in plot.svg
    assert "a name over another" not in plot.svg  # it would lie on the first one
    assert "<script" not in plot.svg  # NASTY came out escaped
    assert plot.alt.startswith("30 users and the 3 most popular items")
    assert "they hold 40% and 20% of the variance" in plot.alt


def test_a_plot_stands_alone_as_a_file():
    svg = standalone_svg(valid_nll_plot([4.0, 3.9]))
    assert svg.startswith("<svg xmlns=")
