"""The doctor reports what is installed, says how to get the rest, and fails when rlrec cannot run."""

from __future__ import annotations

import json
from importlib import metadata

import numpy as np
import pytest
import torch

from rlrec.cli import doctor
from rlrec.cli.app import main


@pytest.fixture
def without(monkeypatch):
    """Hide packages from the doctor."""

    def hide(*names: str) -> None:
        real = metadata.version

        def version(name: str) -> str:
            if name in names:
                raise metadata.PackageNotFoundError(name)
            return real(name)

        monkeypatch.setattr(doctor.metadata, "version", version)

    return hide


def test_json_report(capsys):
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["packages"]["numpy"] == np.__version__
    assert report["threads"] == torch.get_num_threads()
    assert report["missing"] == []
    assert report["cpus"] >= 1


def test_text_report_is_for_reading(capsys):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"rlrec                {metadata.version('rlrec')}"
    assert f"  numpy              {np.__version__}" in lines


def test_a_missing_extra_says_how_to_install_it(without, capsys):
    without("duckdb")
    assert main(["doctor"]) == 0
    line = "  sql                missing duckdb; pip install 'rlrec[sql]'"
    assert line in capsys.readouterr().out.splitlines()


def test_a_missing_requirement_fails(without, capsys):
    without("safetensors")
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "  safetensors        MISSING" in printed.splitlines()
    assert "Missing packages: safetensors; pip install --force-reinstall rlrec" in printed


def test_requirements_are_those_that_the_package_declares(monkeypatch):
    declared = ["numpy>=1.26", "torch>=2.8", "pyarrow>=15; extra == 'arrow'", 'duckdb>=1.0; extra == "sql"',
                "mkdocstrings[python]>=0.26; extra == 'docs'", "rlrec[arrow]; extra == 'all'"]  # fmt: skip
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: declared)
    assert doctor.requirements() == {
        "": ["numpy", "torch"],
        "arrow": ["pyarrow"],
        "sql": ["duckdb"],
        "docs": ["mkdocstrings"],
    }


def test_out_writes_the_report(tmp_path, capsys):
    assert main(["doctor", "--json", "--out", str(tmp_path / "new")]) == 0
    assert json.loads((tmp_path / "new" / "doctor.json").read_text()) == json.loads(capsys.readouterr().out)
