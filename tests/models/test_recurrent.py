"""The scan's own backward pass against the library's LSTM and against finite differences."""

from __future__ import annotations

import torch

from rlrec.models.recurrent import _LSTMScan, lstm_scan


def test_it_equals_the_library():
    torch.manual_seed(0)
    layers = torch.nn.LSTM(5, 4, 2, batch_first=True).double()
    inputs = torch.randn(3, 7, 5, dtype=torch.double)
    hidden, cell = torch.randn(2, 3, 2, 4, dtype=torch.double).unbind(0)
    output, hiddens, cells = lstm_scan(layers, inputs, hidden, cell)
    expected, (last, last_cell) = layers(
        inputs, (hidden.transpose(0, 1).contiguous(), cell.transpose(0, 1).contiguous())
    )
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(hiddens[:, -1], last.transpose(0, 1))
    torch.testing.assert_close(cells[:, -1], last_cell.transpose(0, 1))


def test_its_gradient_equals_finite_differences():
    torch.manual_seed(0)
    shapes = [(4, 3, 16), (16, 4), (3, 4), (3, 4)]
    inputs = [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(_LSTMScan.apply, inputs)
