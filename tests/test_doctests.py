"""Every example in a docstring runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import rlrec

MODULES = sorted(module.name for module in pkgutil.walk_packages(rlrec.__path__, "rlrec."))


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    outcome = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert outcome.failed == 0


def test_the_walk_finds_the_modules():
    assert {"rlrec.core.artifacts", "rlrec.cli.app"} <= set(MODULES)
