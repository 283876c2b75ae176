"""What synthetic data is good for: a model trained on it and tested on real people, beside one trained on real data.

TSTR is "train on synthetic, test on real"; TRTR is the same with as many real sequences. Their ratio is the share of
the data's use that survived.

References
----------
.. [1] Esteban, Hyland & Rätsch, "Real-valued (medical) time series generation with recurrent conditional GANs", 2017.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rlrec.core.errors import CatalogMismatchError
from rlrec.core.estimate import Estimate
from rlrec.data.log import InteractionLog
from rlrec.evaluation.ranking import evaluate_ranking
from rlrec.models.config import LSTMConfig
from rlrec.models.lstm import LSTMModel

PROBE = LSTMConfig(embedding_size=64, hidden_size=96, n_epochs=5)
"""The model trained on each set: small, with a fixed number of epochs, since a real validation part would help it."""


def training_utility(
    logs: Mapping[str, InteractionLog], test: InteractionLog, *, seed: int = 0, config: LSTMConfig = PROBE
) -> dict[str, Estimate]:
    """Return the NDCG@10 on ``test`` of a model trained on each of ``logs``.

    Parameters
    ----------
    logs : mapping of name to InteractionLog
        All are cut to as many sessions as the smallest has, so that they compare.
    test : InteractionLog
        Real sequences that none of them holds.
    seed : int
        Picks the sessions and starts every model alike.

    Returns
    -------
    dict
        Name to mean NDCG@10 with a 95 % interval over users of ``test``. The interval does not hold what another
        training seed would change.

    Raises
    ------
    CatalogMismatchError
        If a log has another catalogue than ``test``.
    """
    for name, log in logs.items():
        if log.catalog != test.catalog:
            raise CatalogMismatchError(f"log {name!r} and the test log have different catalogues; sample over one")
    n = min(len(log.sequences()) for log in logs.values())
    models = {
        name: LSTMModel.fit(pick_sessions(log, n, seed=seed), config=config, seed=seed, show_progress=False)
        for name, log in logs.items()
    }
    return {
        name: evaluate_ranking(model, test, k=min(10, test.n_items)).estimate("ndcg") for name, model in models.items()
    }


def pick_sessions(log: InteractionLog, n: int, *, seed: int) -> InteractionLog:
    """Return ``n`` whole sessions (users, where there are no sessions) of a log, drawn without replacement."""
    sequences = log.sequences()
    kept = np.zeros(len(sequences), np.bool_)
    kept[np.random.default_rng(seed).permutation(len(sequences))[:n]] = True
    return log.select(np.repeat(kept, sequences.lengths), name=log.name)
