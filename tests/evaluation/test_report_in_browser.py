"""The report in Chromium: nothing fetched, nothing on the console, sorted by mouse and keys, accessible by axe-core.

Skipped without Chromium; the last check also needs axe-core, which `make test-report` fetches.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rlrec.evaluation.report import write_report
from tests.browser import chromium, find_chromium
from tests.evaluation.test_report import NASTY, full_details, full_summary, policy

AXE = Path(__file__).parents[2] / "build" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
LOOKS = [(1200, False), (1200, True), (360, False), (360, True)]
FIRST_COLUMN = "[...document.querySelectorAll('#policies tbody tr')].map(row => row.cells[0].textContent)"
SORT_STATES = "[...document.querySelectorAll('#policies thead th')].map(head => head.getAttribute('aria-sort'))"

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    summary = full_summary()
    summary["policies"][NASTY] = policy(9.0, 4.9) | {"session_length": None}
    return write_report(summary, full_details(), tmp_path_factory.mktemp("report") / "report.html")


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_nothing_is_fetched_nothing_complains_and_nothing_sticks_out(page, report, width, dark):
    page.look(width=width, dark=dark)
    page.open(report)
    assert page.requests == []
    assert page.complaints == []
    assert page.run("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.run("[...document.querySelectorAll('script')].length") == 1


def test_the_mouse_sorts(page, report):
    page.look()
    page.open(report)
    assert page.run(FIRST_COLUMN) == ["greedy", NASTY, "ppo", "random"]
    box = page.run(
        "(() => { const b = document.querySelectorAll('#policies thead button')[1]; b.scrollIntoView({block: 'center', "
        "behavior: 'instant'}); const r = b.getBoundingClientRect(); "
        "return [r.x + r.width / 2, r.y + r.height / 2] })()"
    )
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)
    assert page.run(FIRST_COLUMN) == ["ppo", NASTY, "greedy", "random"]
    assert page.run(SORT_STATES)[:3] == [None, "descending", None]


def test_keys_alone_sort_and_a_cell_without_a_number_comes_last(page, report):
    page.look()
    page.open(report)
    page.run("document.querySelector('#policies .scroll').focus()")
    page.press("Tab", 9)
    assert page.run("document.activeElement.textContent") == "policy"
    page.press("Enter", 13, "\r")
    page.press("Enter", 13, "\r")
    assert page.run(FIRST_COLUMN) == [NASTY, "greedy", "ppo", "random"]
    assert page.run(SORT_STATES)[0] == "ascending"
    heads = page.run("[...document.querySelectorAll('#policies thead th')].map(head => head.textContent)")
    column = heads.index("session length")
    for _ in range(column):
        page.press("Tab", 9)
    for _ in range(2):
        page.press(" ", 32, " ")
        assert page.run(FIRST_COLUMN)[-1] == NASTY


def test_without_script_the_report_is_whole(page, report):
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(report)
        text = page.call("DOM.getOuterHTML", nodeId=page.call("DOM.getDocument")["root"]["nodeId"])["outerHTML"]
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)
    assert "<button" not in text
    assert text.count("<tr>") >= 20


def test_a_script_that_got_in_would_not_run(page, report, tmp_path):
    text = report.read_text(encoding="utf-8").replace("</main>", "<script>document.title = 'taken'</script></main>")
    (tmp_path / "attacked.html").write_text(text, encoding="utf-8")
    page.open(tmp_path / "attacked.html")
    assert page.run("document.title") != "taken"


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there; make test-report fetches it")
@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_axe_finds_no_violation(page, report, width, dark):
    page.look(width=width, dark=dark)
    page.open(report)
    page.run(AXE.read_text(encoding="utf-8") + "; 0")
    violations, n_passes = page.run(
        "axe.run().then(r => [r.violations.map(v => [v.impact, v.id, v.nodes[0].html]), r.passes.length])"
    )
    assert violations == []
    assert n_passes > 10
