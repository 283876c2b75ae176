"""The recurrent network: behaviour embedding, recurrent layers, heads. Plain torch, no recommender logic.

Its cells are checked against the textbook equations in NumPy (``tests/models/test_recurrent.py``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rlrec.data.sequences import N_GAPS
from rlrec.models.base import BehaviourBatch, BehaviourStep, RecurrentState
from rlrec.models.config import LSTMConfig
from rlrec.models.recurrent import make_layers, scan_layers, step_layers


class SequenceNetwork(nn.Module):
    """Embedding → recurrent layers → heads for item, end of session, event type, gap and, if asked for, value.

    A token is embedded as ``item + W·features + event + gap``; the output layer scores an item with the same
    ``item + W·features`` vector, so features speak for items that were never seen. The layers are called ``lstm`` in
    saved weights whatever their cell.

    Parameters
    ----------
    n_items, n_events : int
        Sizes I and number of event types.
    features : Tensor, shape (I, F)
        Dense item features; F may be 0.
    config : LSTMConfig
    """

    item_features: Tensor
    value_shift: Tensor
    value_scale: Tensor

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
        self.lstm = make_layers(config.cell, size, hidden, config.n_layers)
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
        sizes = [size] + [hidden] * (config.n_layers - 1)
        self.norms = nn.ModuleList([nn.LayerNorm(width) for width in sizes] if config.layer_norm else [])
        self.cold: Tensor | None = None  # (I,) items without training rows, kept out of every softmax while training
        if config.value_weight:
            self.value_head = nn.Linear(hidden, 2)  # mean and log standard deviation, of standardised values
            self.value_item_head = nn.Linear(size, 2, bias=False)
            self.register_buffer("value_shift", torch.zeros(()))
            self.register_buffer("value_scale", torch.ones(()))

    def _initialise(self) -> None:
        """Small embeddings, so that the tied logits start near uniform (standard deviation as in GRU4Rec's code)."""
        for table in (self.item_embedding, self.event_embedding, self.gap_embedding):
            nn.init.normal_(table.weight, std=0.05)
        if self.item_features.shape[1]:
            nn.init.normal_(self.feature_weight, std=0.05)

    # ---- in -----------------------------------------------------------------------------------------------------

    def item_vectors(self) -> Tensor:
        """Return the vector of every item, shape (I, E); without features, the table itself."""
        return self._vectors(self._shown())

    def _vectors(self, shown: Tensor | None) -> Tensor:
        own = self.item_embedding.weight
        if not self.item_features.shape[1]:
            return own
        own = own if shown is None else own * shown.unsqueeze(1)
        vectors: Tensor = own + self.item_features @ self.feature_weight
        return vectors

    def vectors_of(self, items: Tensor) -> Tensor:
        """Return the vectors of ``items`` (...), shape (..., E)."""
        if items.numel() >= self.n_items and self.item_features.shape[1] and not self.item_embedding.sparse:
            return F.embedding(items, self.item_vectors())  # cheaper than each item's features once for every place
        vectors: Tensor = self.item_embedding(items)
        shown = self._shown()
        if shown is not None:
            vectors = vectors * shown[items].unsqueeze(-1)
        if self.item_features.shape[1]:
            vectors = vectors + self.item_features[items] @ self.feature_weight
        return vectors

    def _shown(self) -> Tensor | None:
        """Draw which items show their own vector in this training batch, (I,); None where all do."""
        rate = self.config.id_dropout
        if not (self.training and rate and self.item_features.shape[1]):
            return None
        return (torch.rand(self.n_items, device=self.item_bias.device) >= rate).to(self.item_bias.dtype)

    def embed(self, item: Tensor, event: Tensor, gap: Tensor) -> Tensor:
        """Embed behaviours of any shape (...), giving (..., E)."""
        vector: Tensor = self.vectors_of(item) + self.event_embedding(event) + self.gap_embedding(gap)
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
        return scan_layers(self.lstm, vectors, state.tensors[0], state.tensors[1], tuple(self.norms))

    def step(self, tokens: BehaviourStep, state: RecurrentState) -> RecurrentState:
        """Take one behaviour in, (B,); the textbook cell, layer by layer."""
        vector = self.input_dropout(self.embed(tokens.item, tokens.event, tokens.gap))  # (B, E)
        return RecurrentState(step_layers(self.lstm, vector, state.tensors[0], state.tensors[1], tuple(self.norms)))

    # ---- out ----------------------------------------------------------------------------------------------------

    def output_layer(self) -> tuple[Tensor, Tensor]:
        """Return the vectors (I, E) and biases (I,) that score the items; a cold item's bias is minus infinity."""
        shown = self._shown()  # one draw for both: an item that is hidden has neither
        bias = self.item_bias if shown is None else self.item_bias * shown
        return self._vectors(shown), bias if self.cold is None else bias.masked_fill(self.cold, -torch.inf)

    def item_logits(self, hidden: Tensor) -> Tensor:
        """Return logits of all items, (..., I)."""
        vectors, bias = self.output_layer()
        return F.linear(self.to_item(hidden), vectors, bias)

    def event_logits(self, hidden: Tensor, items: Tensor) -> Tensor:
        """Return event logits for ``items`` (..., K), shape (..., K, n_events)."""
        vector = self.vectors_of(items)
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

    def value_parameters(self, hidden: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log standard deviation of the standardised value of ``items`` (...), shape (...) each."""
        both = self.value_head(hidden) + self.value_item_head(self.vectors_of(items))
        mean, log_sd = both.unbind(-1)
        return mean, log_sd.clamp(-5.0, 5.0)
