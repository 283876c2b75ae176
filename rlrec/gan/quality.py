"""The quality table of synthetic data: every number beside its controls and the real-vs-real value."""

from __future__ import annotations

from typing import Any

from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.evaluation.fidelity import Comparison
from rlrec.evaluation.utility import training_utility
from rlrec.gan.sequence_gan import SequenceGAN
from rlrec.gan.synthetic_log import Period, sequences_to_log
from rlrec.gan.training import ArmName

COLUMNS: dict[str, ArmName] = {"gan": "adversarial", "control": "control", "mle": "init"}
"""Columns of the table and the arms behind them: adversarially trained, equal-step control, the maximum-likelihood
start."""


def quality_table(
    gan: SequenceGAN,
    train: InteractionLog,
    *,
    compared: Comparison,
    test: InteractionLog,
    seed: int = 0,
) -> tuple[dict[str, dict[str, Any]], dict[str, Sequences]]:
    """Return measure -> column -> value for each arm of a GAN, and the samples behind it.

    Parameters
    ----------
    compared : Comparison
        The held-out real sessions and how sets are compared with them.
    test : InteractionLog
        Real log on which models trained on each sample are tested.
    """
    n_training = min(compared.max_n, len(train.sequences()))
    n = max(len(compared.real), n_training)
    samples = {column: gan.draw(n, seed=seed, arm=arm) for column, arm in COLUMNS.items()}
    table = compared.table(samples)
    period = Period.after(train)
    logs = {column: sequences_to_log(sample, train, period=period) for column, sample in samples.items()}
    ndcg = training_utility({"real": train, **logs}, test, seed=seed)
    trtr = ndcg["real"].to_dict()
    table["tstr_ndcg@10"] = {column: ndcg[column].to_dict() for column in samples} | {"real_vs_real": trtr}
    table["trtr_ndcg@10"] = {"real": trtr}
    return table, samples
