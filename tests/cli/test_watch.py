"""``rlrec watch`` tells one user's session, the same each time."""

from __future__ import annotations

import re

from rlrec.cli.app import main
from tests.small import cycle_model


def watch(tmp_path, capsys, *flags: str) -> str:
    cycle_model().save(tmp_path / "model")
    assert main(["watch", str(tmp_path / "model"), *flags]) == 0
    return capsys.readouterr().out


def test_a_session_is_told_step_by_step(tmp_path, capsys):
    out = watch(tmp_path, capsys, "--n-users", "3", "--slate-size", "2")
    lines = out.splitlines()
    assert lines[0].startswith("user 0 arrives after i")
    assert re.match(r"   1  shown i\d \(\d+%\), i\d \(\d+%\): (clicked|ignored it and found) i\d", lines[1])
    assert out.count("arrives") == 3
    assert out.count("then left (chance") + out.count("cut off at the horizon") == 3
    assert watch(tmp_path, capsys, "--n-users", "3", "--slate-size", "2") == out


def test_a_log_of_other_items_is_refused(tmp_path, capsys):
    cycle_model().save(tmp_path / "model")
    assert main(["watch", str(tmp_path / "model"), "--log", "builtin:eshop2008"]) == 2
    assert "give the log it was fitted on" in capsys.readouterr().err
