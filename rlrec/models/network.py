"""The LSTM network: behaviour embedding, recurrent layers, heads. Plain torch, no recommender logic.

Checked against the textbook equations in NumPy (``tests/models/test_network.py``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rlrec.data.sequences import N_GAPS
from rlrec.models.base import BehaviourBatch, BehaviourStep, RecurrentState
from rlrec.models.config import LSTMConfig
from rlrec.models.recurrent import layer_weights, lstm_scan


class SequenceNetwork(nn.Module):
    """Embedding → LSTM → heads for item, end of session, event type and gap.

    A token is embedded as ``item + W·features + event + gap``; the output layer scores an item with the same
    ``item + W·features`` vector, so features speak for items that were never seen.

    Parameters
    ----------
    n_items, n_events : int
        Sizes I and number of event types.
    features : Tensor, shape (I, F)
        Dense item features; F may be 0.
    config : LSTMConfig
    """

    item_features: Tensor

    def __init__(self, n_items: int, n_events: int, features: Tensor, config: LSTMConfig) -> None:
        super().__init__()
        size, hidden = config.embedding_size, config.hidden_size
        self.config = config
        self.n_items, self.n_events = n_items, n_events
        self.item_embedding = nn.Embedding(n_items, size)
        self.event_embedding = nn.Embedding(n_events, size)
        self.gap_embedding = nn.Embedding(N_GAPS, size)
        self.register_buffer("item_features", features)
        self.feature_weight = nn.Parameter(torch.zeros(features.shape[1], size))  # (F, E); F may be 0
        self.lstm = nn.LSTM(size, hidden, config.n_layers, batch_first=True)
        self.start_hidden = nn.Parameter(torch.zeros(config.n_layers, hidden))
        self.start_cell = nn.Parameter(torch.zeros(config.n_layers, hidden))
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.dropout = nn.Dropout(config.dropout)
        self.to_item = nn.Linear(hidden, size)
        self.item_bias = nn.Parameter(torch.zeros(n_items))
        self.end_head = nn.Linear(hidden, 1)
        self.gap_head = nn.Linear(hidden, N_GAPS)
        self.event_head = nn.Linear(hidden, n_events)
        self.event_item_head = nn.Linear(size, n_events, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        """Small embeddings, so that the tied logits start near uniform (standard deviation as in GRU4Rec's code)."""
        for table in (self.item_embedding, self.event_embedding, self.gap_embedding):
            nn.init.normal_(table.weight, std=0.05)
        if self.item_features.shape[1]:
            nn.init.normal_(self.feature_weight, std=0.05)

    # ---- in -----------------------------------------------------------------------------------------------------

    def item_vectors(self) -> Tensor:
        """Return the vector of every item, shape (I, E); without features, the table itself."""
        if not self.item_features.shape[1]:
            return self.item_embedding.weight
        vectors: Tensor = self.item_embedding.weight + self.item_features @ self.feature_weight
        return vectors

    def embed(self, item: Tensor, event: Tensor, gap: Tensor) -> Tensor:
        """Embed behaviours of any shape (...), giving (..., E)."""
        vector: Tensor = self.item_embedding(item) + self.event_embedding(event) + self.gap_embedding(gap)
        if self.item_features.shape[1]:
            vector = vector + self.item_features[item] @ self.feature_weight
        return vector

    def initial_state(self, batch_size: int) -> RecurrentState:
        """Return the learned state before any behaviour, tensors (B, layers, H)."""
        shape = (batch_size, *self.start_hidden.shape)
        return RecurrentState((self.start_hidden.expand(shape), self.start_cell.expand(shape)))

    # ---- through ------------------------------------------------------------------------------------------------

    def scan(self, tokens: BehaviourBatch, state: RecurrentState) -> Tensor:
        """Return the top layer's output after each behaviour, (B, T, H)."""
        return self._scan(tokens, state)[0]

    def scan_with_state(self, tokens: BehaviourBatch, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """As `scan`, and the state after each row's last real behaviour (every row needs one)."""
        output, hiddens, cells = self._scan(tokens, state)
        rows, last = torch.arange(len(tokens.length), device=output.device), tokens.length - 1
        return output, RecurrentState((hiddens[rows, last], cells[rows, last]))

    def _scan(self, tokens: BehaviourBatch, state: RecurrentState) -> tuple[Tensor, Tensor, Tensor]:
        vectors = self.input_dropout(self.embed(tokens.item, tokens.event, tokens.gap))  # (B, T, E)
        return lstm_scan(self.lstm, vectors, *state.tensors)

    def step(self, tokens: BehaviourStep, state: RecurrentState) -> RecurrentState:
        """Take one behaviour in, (B,); the textbook cell, layer by layer."""
        vector = self.input_dropout(self.embed(tokens.item, tokens.event, tokens.gap))  # (B, E)
        hiddens, cells = [], []
        for layer in range(self.config.n_layers):
            before = (state.tensors[0][:, layer], state.tensors[1][:, layer])
            hidden, cell = torch.lstm_cell(vector, before, *layer_weights(self.lstm, layer))
            hiddens.append(hidden)
            cells.append(cell)
            vector = hidden
        return RecurrentState((torch.stack(hiddens, dim=1), torch.stack(cells, dim=1)))

    # ---- out ----------------------------------------------------------------------------------------------------

    def item_logits(self, hidden: Tensor) -> Tensor:
        """Return logits of all items, (..., I)."""
        query: Tensor = self.to_item(hidden)
        return query @ self.item_vectors().T + self.item_bias

    def event_logits(self, hidden: Tensor, items: Tensor) -> Tensor:
        """Return event logits for ``items`` (..., K), shape (..., K, n_events)."""
        vector = self.item_embedding(items)
        if self.item_features.shape[1]:
            vector = vector + self.item_features[items] @ self.feature_weight
        logits: Tensor = self.event_head(hidden).unsqueeze(-2) + self.event_item_head(vector)
        return logits

    def end_logit(self, hidden: Tensor) -> Tensor:
        """Return the end-of-session logit, (...)."""
        logit: Tensor = self.end_head(hidden).squeeze(-1)
        return logit

    def gap_logits(self, hidden: Tensor) -> Tensor:
        """Return logits of the gap before the next behaviour, (..., N_GAPS)."""
        logits: Tensor = self.gap_head(hidden)
        return logits
