"""A handful of validation sequences calibrates nothing beyond reason: people still stay after the first behaviour."""

from __future__ import annotations

import pytest
import torch

from rlrec.models.config import LSTMConfig
from rlrec.models.lstm import LSTMModel
from tests.small import cycle_log


@pytest.mark.parametrize("n_valid", [1, 2, 4])
def test_few_validation_sequences_leave_a_model_that_can_simulate(n_valid):
    config = LSTMConfig(embedding_size=8, hidden_size=16, dropout=0.0, input_dropout=0.0, n_epochs=3, batch_tokens=64)
    valid = cycle_log(n_valid, seed=2)
    model = LSTMModel.fit(cycle_log(), valid=valid, config=config, seed=0, show_progress=False)
    end = model.heads(model.initial_state(1)).end_probs().detach()
    assert torch.isfinite(end).all()
    assert 0.0 < float(end) < 0.9
    assert abs(model.calibration.end_shift) < 3
