"""Matrix factorisation: the fold-in against one dense solve, and the sentence where the extra is missing."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from rlrec.core.errors import MissingExtraError
from rlrec.models.config import FactorizationConfig
from rlrec.models.factorization import FactorizationModel
from rlrec.models.space import BehaviourSpace
from tests.models.test_knn import random_log

CONFIG = FactorizationConfig(n_factors=3, alpha=2.0, decay=0.5)


def test_folding_in_is_the_least_squares_solution():
    log = random_log()
    y = np.random.default_rng(0).normal(size=(log.n_items, 3)).astype(np.float32)
    model = FactorizationModel(BehaviourSpace.of(log), y, CONFIG)
    weight = np.zeros(log.n_items)
    weight[[5, 1, 3]] = [1, 0.5, 0.25]
    confidence = 1 + 2.0 * weight
    system = (y.T * np.where(weight > 0, confidence, 1.0)) @ y + CONFIG.regularization * np.eye(3)
    person = np.linalg.solve(system, y.T @ (confidence * (weight > 0)))
    np.testing.assert_allclose(model.scores(model.histories([[3, 1, 5]]))[0].numpy(), y @ person, rtol=1e-5)


def test_it_is_saved_without_the_package(tmp_path):
    pytest.importorskip("implicit")
    model = FactorizationModel.fit(random_log(), config=CONFIG)
    model.save(tmp_path / "m")
    assert np.array_equal(FactorizationModel.load(tmp_path / "m").vectors, model.vectors)


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "implicit.cpu.als", None)
    with pytest.raises(MissingExtraError, match=r"matrix factorisation needs .*'implicit'.* pip install 'rlrec\[mf\]'"):
        FactorizationModel.fit(random_log())
