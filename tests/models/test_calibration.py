"""The scale of the item logits is fitted on as many targets as memory holds, and they say the same as all."""

from __future__ import annotations

import pytest

from rlrec.models import calibration
from rlrec.models.config import LSTMConfig
from rlrec.models.lstm import LSTMModel
from tests.small import cycle_log


def test_a_part_of_the_targets_gives_nearly_the_scale_of_all(monkeypatch):
    config = LSTMConfig(embedding_size=8, hidden_size=16, n_epochs=2, batch_tokens=64)
    model = LSTMModel.fit(cycle_log(), config=config, seed=0, show_progress=False)
    valid = cycle_log(400, seed=2)
    whole = model.calibrated(valid.sequences()).calibration
    monkeypatch.setattr(calibration, "_LOGITS", 0)
    part = model.calibrated(valid.sequences()).calibration
    assert part != whole
    assert part.item_scale == pytest.approx(whole.item_scale, rel=0.1)
    assert part.end_scale == whole.end_scale
    assert 0.5 < whole.item_scale < 20
