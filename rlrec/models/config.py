"""Settings of the sequence models. Free of torch, so the command line can print them without loading it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from rlrec.core.checks import check_at_least, check_between, check_choice, check_positive

# Where no validation part is given: near the best on the validation parts of eshop2008, ml-100k and yoochoose-100k.
DEFAULT_STRENGTH = 10.0
DEFAULT_DECAY = 0.5


@dataclass(frozen=True, kw_only=True)
class PrivacyConfig:
    """Differential privacy of the people in the training log (extra "privacy")."""

    users: int = 0
    """People expected in a step, each drawn by themselves; 0 trains without privacy."""
    noise: float = 1.0
    """Standard deviation of the noise on the sum of gradients, in clips; 0 protects nobody."""
    clip: float = 1.0
    """Largest norm of a person's gradient (chosen here; McMahan et al. 2018 use about 1)."""
    delta: float = 1e-5
    """Probability with which epsilon may not hold; well below 1 / people."""
    secret: bool = True
    """Draw people and noise from the system's entropy, so that no run is like another; False draws them from the seed,
    for tests and benchmarks: who knows the seed can take the noise off."""

    def __post_init__(self) -> None:
        """Refuse values that bound nothing."""
        check_at_least("privacy.users", self.users, 0)
        check_at_least("privacy.noise", self.noise, 0.0)
        check_positive("privacy.clip", self.clip)
        check_positive("privacy.delta", self.delta)
        check_between("privacy.delta", self.delta, 0.0, 0.1)


@dataclass(frozen=True, kw_only=True)
class LSTMConfig:
    """The recurrent sequence model, an LSTM unless ``cell`` says otherwise, and its training."""

    embedding_size: int = 96
    """Size of the item, event and gap embeddings; the output layer is tied to the item embedding (chosen here)."""
    hidden_size: int = 160
    """Units of each LSTM layer, and the size of the interest vector (chosen here: as good as 192, cheaper)."""
    n_layers: int = 1
    """Recurrent layers, 1 to 3."""
    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    """Recurrent cell; "gru" has no cell state, "rnn" is the plain one with tanh (Elman 1990)."""
    layer_norm: bool = False
    """Normalise the input of every recurrent layer (Ba, Kiros & Hinton 2016)."""
    input_dropout: float = 0.2
    """Probability of dropping an entry of a token's embedding in training."""
    dropout: float = 0.4
    """Probability of dropping an entry of the hidden vector before the heads in training (GRU4Rec uses 0 to 0.5)."""
    use_features: bool = True
    """Add projected item features to the item embedding, so that an item never seen still has a vector."""
    id_dropout: float = 0.0
    """Probability of hiding an item's own vector and bias in a training batch, so that its features must speak for it,
    as they will for an item that nobody has touched; used only where there are features."""
    n_negatives: int | None = None
    """Items drawn for the sampled softmax of a training batch; 0 is the full softmax, None decides by the catalogue."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the catalogue softmax's products in training; weights and sums stay in single precision. "bfloat16" pays on a
    processor that has it: half the softmax's time (measured here)."""
    optimizer: Literal["adagrad", "adam", "adamw"] = "adagrad"
    """Adagrad with a large step is what GRU4Rec trains with; it suits rare items."""
    learning_rate: float = 0.05
    """Step size of the optimizer."""
    schedule: Literal["constant", "one_cycle"] = "constant"
    """Of the step size: "one_cycle" rises over the first three tenths of ``n_epochs`` and falls to 0 by the last, along
    cosines (Smith & Topin 2018). Its last epochs are its best, so say how many there shall be."""
    weight_decay: float = 0.0
    """L2 penalty (AdamW: decoupled)."""
    batch_tokens: int = 384
    """Padded behaviours in a batch: small updates learn more from an epoch, larger ones cost less CPU (chosen here)."""
    n_epochs: int = 12
    """Most passes over the training sequences."""
    patience: int = 3
    """Epochs without a better validation loss before training stops."""
    end_weight: float = 0.2
    """Weight of the end-of-session loss against the item loss (chosen here)."""
    event_weight: float = 0.2
    """Weight of the event-type loss."""
    gap_weight: float = 0.1
    """Weight of the gap loss."""
    value_weight: float = 0.0
    """Weight of the value loss (rating, price, quantity); 0 builds no value head."""
    max_length: int = 200
    """Longer training sequences are cut into pieces of this many behaviours."""
    clip_norm: float = 5.0
    """Largest norm of a gradient."""
    privacy: PrivacyConfig = field(default_factory=PrivacyConfig)
    """Of the people trained on; off by default."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        for name in ("embedding_size", "hidden_size", "n_layers", "batch_tokens", "n_epochs", "patience"):
            check_at_least(name, getattr(self, name), 1)
        check_at_least("max_length", self.max_length, 2)
        check_between("n_layers", self.n_layers, 1, 3)
        check_choice("cell", self.cell, ("lstm", "gru", "rnn"))
        check_choice("schedule", self.schedule, ("constant", "one_cycle"))
        check_choice("precision", self.precision, ("float32", "bfloat16"))
        if self.n_negatives is not None:
            check_at_least("n_negatives", self.n_negatives, 0)
        for name in ("input_dropout", "dropout", "id_dropout"):
            check_between(name, getattr(self, name), 0.0, 0.95)
        for name in ("learning_rate", "clip_norm"):
            check_positive(name, getattr(self, name))
        for name in ("weight_decay", "end_weight", "event_weight", "gap_weight", "value_weight"):
            check_at_least(name, getattr(self, name), 0.0)


@dataclass(frozen=True, kw_only=True)
class MarkovConfig:
    """First-order Markov chain over items, interpolated with popularity."""

    discount: float = 0.75
    """Absolute discount taken from every seen transition (Ney, Essen & Kneser 1994; 0.75 is their usual value)."""

    def __post_init__(self) -> None:
        """Refuse a discount outside (0, 1)."""
        check_between("discount", self.discount, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class NGramConfig:
    """Interpolated Kneser-Ney over items."""

    order: int = 3
    """Length of the longest pattern: order - 1 items of context and the next one (chosen here)."""
    discount: float | None = None
    """Taken from every count, in [0, 1]; by default each order's own, n1 / (n1 + 2 n2) (Ney, Essen & Kneser 1994)."""
    continuation: bool = True
    """Count distinct predecessors below the highest order (Kneser & Ney 1995); else occurrences."""
    strength: float | None = None
    """Pseudo-occurrences that a shorter context adds to a longer one (Teh 2006's theta; 0: Kneser-Ney). None: chosen on
    the validation part, and DEFAULT_STRENGTH without one."""

    def __post_init__(self) -> None:
        """Refuse an order without context and a discount outside [0, 1]."""
        check_at_least("order", self.order, 2)
        if self.discount is not None:
            check_between("discount", self.discount, 0.0, 1.0)
        if self.strength is not None:
            check_at_least("strength", self.strength, 0.0)


Similarity = Literal["cosine", "jaccard", "conditional"]


@dataclass(frozen=True, kw_only=True)
class ItemKNNConfig:
    """Items by their nearest items."""

    similarity: Similarity = "cosine"
    """Of the sets of sequences that hold each item; ``conditional`` is the share of the first's in the second's."""
    n_neighbours: int = 100
    """Neighbours kept of each item (chosen here)."""
    shrinkage: float = 5.0
    """Pairs seen together this often count half (chosen here)."""
    decay: float | None = None
    """Weight of a behaviour against the one after it, in (0, 1]; 1 forgets the order. None: chosen on the validation
    part, and DEFAULT_DECAY without one."""

    def __post_init__(self) -> None:
        """Refuse values that compare nothing."""
        _check_neighbours(self)


@dataclass(frozen=True, kw_only=True)
class UserKNNConfig:
    """People by their nearest people."""

    similarity: Similarity = "cosine"
    """Of the sets of items in two sequences."""
    n_neighbours: int = 100
    """Neighbours of a history (100 to 500 in Jannach & Ludewig 2017)."""
    shrinkage: float = 1.0
    """Histories that share this many items count half (chosen here)."""
    decay: float | None = None
    """Weight of a behaviour against the one after it, in (0, 1]; 1 forgets the order. None: chosen on the validation
    part, and DEFAULT_DECAY without one."""

    def __post_init__(self) -> None:
        """Refuse values that compare nothing."""
        _check_neighbours(self)


@dataclass(frozen=True, kw_only=True)
class ContentConfig:
    """Items by what they are."""

    decay: float = 0.8
    """Weight of a behaviour against the one after it, in (0, 1]; 1 forgets the order (chosen here)."""
    text: Literal["tfidf", "embeddings"] = "tfidf"
    """How text is read: the words that two items share, or sentence embeddings (extra "text", works offline)."""

    def __post_init__(self) -> None:
        """Refuse a decay outside (0, 1] and an unknown way to read."""
        check_positive("decay", self.decay)
        check_between("decay", self.decay, 0.0, 1.0)
        check_choice("text", self.text, ("tfidf", "embeddings"))


@dataclass(frozen=True, kw_only=True)
class FactorizationConfig:
    """Matrix factorisation by alternating least squares."""

    n_factors: int = 64
    """Size of the item vectors (chosen here)."""
    regularization: float = 0.05
    """L2 penalty on the vectors (chosen here)."""
    alpha: float = 1.0
    """Confidence that a behaviour adds to the 1 of every pair (Hu, Koren & Volinsky 2008 use 40 on raw counts)."""
    n_iterations: int = 15
    """Rounds of the two solves (10 to 15 in Hu, Koren & Volinsky 2008)."""
    decay: float = 0.9
    """Weight of a behaviour against the one after it when a history is folded in; 1 forgets the order (chosen here)."""

    def __post_init__(self) -> None:
        """Refuse values that cannot be solved."""
        check_at_least("n_factors", self.n_factors, 1)
        check_at_least("n_iterations", self.n_iterations, 1)
        for name in ("regularization", "alpha", "decay"):
            check_positive(name, getattr(self, name))
        check_between("decay", self.decay, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class HybridConfig:
    """A vote of several models."""

    max_targets: int = 2_000
    """Validation targets that the weights are learned on; more add time and memory, and little else (chosen here)."""
    ridge: float = 1e-3
    """L2 pull of the weights to an even vote, against nats per target (chosen here)."""

    def __post_init__(self) -> None:
        """Refuse values that learn nothing."""
        check_at_least("max_targets", self.max_targets, 1)
        check_at_least("ridge", self.ridge, 0.0)


@dataclass(frozen=True, kw_only=True)
class NewcomerConfig:
    """New users by their group, then by their first steps."""

    feature: str | None = None
    """User feature that groups people; by default the one that predicts the training rows best, each left out."""
    weight: float = 1.0
    """Power of the group's lift for someone without a behaviour; replaced by validation, if given."""
    patience: float = 3.0
    """Behaviours after which half of it is left; replaced by validation, if given."""

    def __post_init__(self) -> None:
        """Refuse a negative weight or patience."""
        check_at_least("weight", self.weight, 0.0)
        check_at_least("patience", self.patience, 0.0)


def _check_neighbours(config: ItemKNNConfig | UserKNNConfig) -> None:
    check_choice("similarity", config.similarity, get_args(Similarity))
    check_at_least("n_neighbours", config.n_neighbours, 1)
    check_at_least("shrinkage", config.shrinkage, 0.0)
    if config.decay is not None:
        check_positive("decay", config.decay)
        check_between("decay", config.decay, 0.0, 1.0)
