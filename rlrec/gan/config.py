"""Settings of the sequence GAN. Free of torch, so the command line can print them without loading it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlrec.core.checks import check_at_least, check_between, check_choice, check_positive


@dataclass(frozen=True, kw_only=True)
class GANConfig:
    """Adversarial fine-tuning of an LSTM generator, and of its control: as many steps of maximum likelihood alone."""

    n_rounds: int = 80
    """Rounds of one discriminator pass and one generator pass over fresh sequences."""
    n_warmup: int = 20
    """Rounds in which only the discriminator learns, before the generator moves (chosen here)."""
    sequences_per_round: int = 256
    """Sequences sampled from the generator, and drawn from the log, in each round."""
    n_batches: int = 4
    """Updates in a round, for the discriminator, the generator and the control alike."""
    check_every: int = 20
    """Rounds between two looks of the validation detector, after which the best weights so far are kept."""
    detector_sequences: int = 1_500
    """Most sequences of each kind that the validation detector looks at."""
    generator_learning_rate: float = 1e-4
    """Adam step of the generator and of the control; a larger one leaves what maximum likelihood learned."""
    adversarial_weight: float = 0.3
    """Weight of the policy gradient (advantages are scaled to unit deviation)."""
    mle_weight: float = 1.0
    """Weight of the anchor: the likelihood of as many real sequences in each step."""
    sampling: Literal["fitted", "plain"] = "fitted"
    """Fit temperature, repeats and lengths on validation sequences and sample with them throughout, or leave them."""
    reward: Literal["dense", "rollout", "gumbel"] = "dense"
    """What the discriminator gives the generator: a reward for each prefix (ScratchGAN), the mean verdict on whole
    sequences rolled out from it (SeqGAN), or its gradient through relaxed items (Gumbel-softmax)."""
    n_rollouts: int = 2
    """Sequences rolled out from each prefix, with ``reward="rollout"``; each costs as much as sampling them."""
    relaxation_temperature: float = 0.5
    """Temperature of the relaxed items, with ``reward="gumbel"``."""
    discriminator: Literal["gru", "conv"] = "gru"
    """A recurrent discriminator, or one of convolutions of 2 to 5 behaviours with the maximum over time (SeqGAN's)."""
    gamma: float = 0.7
    """Discount of the later steps' rewards in a step's return (ScratchGAN found short credit best)."""
    baseline_decay: float = 0.9
    """How much of the moving mean reward is kept at each batch."""
    discriminator_embedding_size: int = 32
    """Size of the discriminator's own item, event and gap embeddings."""
    discriminator_hidden_size: int = 64
    """Units of the discriminator's GRU, or its filters in all."""
    discriminator_dropout: float = 0.2
    """Dropout of its inputs and outputs in training."""
    discriminator_learning_rate: float = 1e-3
    """Adam step of the discriminator."""
    clip_norm: float = 5.0
    """Largest norm of a gradient."""
    max_length: int = 100
    """Behaviours after which a sampled sequence is cut; longer real ones are cut into pieces."""
    collapse_share: float = 0.6
    """Alarm: the item entropy or the distinct items of a round fell below this share of the first round's."""
    on_collapse: Literal["keep_best", "raise"] = "keep_best"
    """Stop and keep the best checkpoint so far, or raise ``CollapseError``."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        whole = ("n_rounds", "sequences_per_round", "n_batches", "check_every")
        for name in (*whole, "discriminator_embedding_size", "discriminator_hidden_size"):
            check_at_least(name, getattr(self, name), 1)
        check_between("n_warmup", self.n_warmup, 0, self.n_rounds - 1)
        check_at_least("detector_sequences", self.detector_sequences, 20)
        check_at_least("sequences_per_round", self.sequences_per_round, self.n_batches)
        check_choice("reward", self.reward, ("dense", "rollout", "gumbel"))
        check_choice("discriminator", self.discriminator, ("gru", "conv"))
        check_at_least("n_rollouts", self.n_rollouts, 1)
        check_positive("relaxation_temperature", self.relaxation_temperature)
        check_at_least("max_length", self.max_length, 2)
        for name in ("generator_learning_rate", "discriminator_learning_rate", "clip_norm"):
            check_positive(name, getattr(self, name))
        for name in ("adversarial_weight", "mle_weight"):
            check_at_least(name, getattr(self, name), 0.0)
        check_between("gamma", self.gamma, 0.0, 1.0)
        check_between("baseline_decay", self.baseline_decay, 0.0, 1.0)
        check_between("discriminator_dropout", self.discriminator_dropout, 0.0, 0.95)
        check_between("collapse_share", self.collapse_share, 0.0, 1.0)
