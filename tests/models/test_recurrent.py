"""The three cells against their textbook equations in NumPy; the LSTM's own backward pass against the library's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rlrec.models.recurrent import _LSTMScan, layer_weights, make_layers, scan_layers, step_layers


def test_it_equals_the_library():
    torch.manual_seed(0)
    layers = torch.nn.LSTM(5, 4, 2, batch_first=True).double()
    inputs = torch.randn(3, 7, 5, dtype=torch.double)
    hidden, cell = torch.randn(2, 3, 2, 4, dtype=torch.double).unbind(0)
    output, hiddens, cells = scan_layers(layers, inputs, hidden, cell)
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


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def textbook(
    cell: str, x: np.ndarray, h: np.ndarray, c: np.ndarray, w: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """One step of Hochreiter & Schmidhuber 1997, Cho et al. 2014 or Elman 1990; x (B, E), h and c (B, H)."""
    w_ih, w_hh, b_ih, b_hh = w
    size = h.shape[1]
    into, back = x @ w_ih.T + b_ih, h @ w_hh.T + b_hh
    if cell == "rnn":
        return np.tanh(into + back), c
    if cell == "gru":
        reset = sigmoid(into[:, :size] + back[:, :size])
        update = sigmoid(into[:, size : 2 * size] + back[:, size : 2 * size])
        new = np.tanh(into[:, 2 * size :] + reset * back[:, 2 * size :])
        return (1 - update) * new + update * h, c
    i, f, g, o = np.split(into + back, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_scanning_and_stepping_equal_the_textbook(cell, n_layers):
    torch.manual_seed(0)
    layers = make_layers(cell, 5, 4, n_layers).double()
    inputs = torch.randn(3, 6, 5, dtype=torch.double)
    hidden, memory = torch.randn(2, 3, n_layers, 4, dtype=torch.double).unbind(0)
    output, hiddens, memories = scan_layers(layers, inputs, hidden, memory)
    h, c = hidden.numpy().copy(), memory.numpy().copy()
    stepped = (hidden, memory)
    for t in range(6):
        x = inputs[:, t].numpy()
        for layer in range(n_layers):
            weights = [weight.detach().numpy() for weight in layer_weights(layers, layer)]
            h[:, layer], c[:, layer] = textbook(cell, x, h[:, layer], c[:, layer], weights)
            x = h[:, layer]
        np.testing.assert_allclose(hiddens[:, t].detach().numpy(), h, rtol=1e-9)
        np.testing.assert_allclose(memories[:, t].detach().numpy(), c, rtol=1e-9)
        np.testing.assert_allclose(output[:, t].detach().numpy(), h[:, -1], rtol=1e-9)
        stepped = step_layers(layers, inputs[:, t], *stepped)
        np.testing.assert_allclose(stepped[0].detach().numpy(), h, rtol=1e-9)


def test_layers_normalise_their_inputs_when_asked():
    torch.manual_seed(0)
    layers = make_layers("gru", 5, 4, 2)
    norms = (torch.nn.LayerNorm(5), torch.nn.LayerNorm(4))
    inputs, start = torch.randn(3, 6, 5), torch.zeros(3, 2, 4)
    output, _, _ = scan_layers(layers, inputs, start, start, norms)
    scaled, _, _ = scan_layers(layers, 100 * inputs + 7, start, start, norms)
    torch.testing.assert_close(output, scaled, rtol=1e-3, atol=1e-3)
    hidden, cell = start, start
    for t in range(6):
        hidden, cell = step_layers(layers, inputs[:, t], hidden, cell, norms)
    torch.testing.assert_close(hidden[:, -1], output[:, -1])
