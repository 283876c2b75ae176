"""What a log may hold, in a table of what it may not; each sentence says what was wanted, what came, and what to do."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.q_model import fit_q
from rlrec.evaluation.target import QValues, Target

GOOD = {"action": [0, 1, 0], "reward": [1.0, 0.0, 1.0], "behavior_prob": [0.5, 0.5, 0.25]}
LOG = LoggedBatch(**GOOD, context=np.zeros((3, 2)))
PROBS = np.array([[0.2, 0.8], [0.5, 0.5], [1.0, 0.0]])


@pytest.mark.parametrize(
    ("changed", "error", "sentence"),
    [
        ({"action": []}, InvalidArgumentError, "action must hold at least one row, got an empty array"),
        (
            {"action": [0.0, 1.0, 0.0]},
            InvalidArgumentError,
            "action must be an integer array, got float64; encode ids to 0-based indices first",
        ),
        ({"action": [0, -1, 0]}, InvalidArgumentError, "action must be at least 0, got -1 at row 1; drop padding rows"),
        (
            {"action": [[0], [1], [0]]},
            InvalidArgumentError,
            "action must have one axis, got shape (3, 1); pass one value for each row",
        ),
        (
            {"reward": [1.0, 0.0]},
            InvalidArgumentError,
            "reward must have shape (3,), got (2,); pass one value for each row",
        ),
        (
            {"reward": [1.0, np.nan, 0.0]},
            InvalidArgumentError,
            "reward must be finite, got nan at row 1; drop or impute such rows",
        ),
        ({"reward": [1.0, 0.0, -np.inf]}, InvalidArgumentError, "reward must be finite, got -inf at row 2"),
        (
            {"behavior_prob": [0.5, 0.0, 0.5]},
            InvalidArgumentError,
            "behavior_prob must lie in (0, 1], got 0.0 at row 1; a logged action was shown, so its probability",
        ),
        (
            {"behavior_prob": [0.5, 0.5, 1.5]},
            InvalidArgumentError,
            "behavior_prob must lie in (0, 1], got 1.5 at row 2",
        ),
        (
            {"episode": [0, 1, 0]},
            DataError,
            "episode must keep its rows adjacent, got an episode that returns after another; sort the log by "
            "(episode, t, position)",
        ),
        (
            {"episode": [0, 0, 0], "t": [0, 2, 1]},
            DataError,
            "t must not decrease inside an episode, got 1 after 2 at row 2",
        ),
        (
            {"episode": [0, 0, 1], "cluster": [0, 1, 1]},
            DataError,
            "cluster must not change inside an episode, got an episode with two clusters; cluster by user",
        ),
        (
            {"cluster": [0, 1]},
            InvalidArgumentError,
            "cluster must have shape (N=3,), got (2,); pass one id for each row",
        ),
        (
            {"context": np.zeros(3)},
            InvalidArgumentError,
            "context must have shape (N=3, d), got (3,); pass one row of features for each decision",
        ),
        (
            {"behavior_probs": [[0.5, 0.4]] * 3},
            InvalidArgumentError,
            "behavior_probs must have rows that sum to 1, got 0.9 in row 0; divide each row by its sum",
        ),
        (
            {"behavior_probs": [[1.0]] * 3},
            InvalidArgumentError,
            "behavior_probs must have shape (N=3, I>=2), got (3, 1); give a row for each logged decision and a column "
            "for each action",
        ),
    ],
)
def test_wrong_columns_get_a_sentence(changed, error, sentence):
    with pytest.raises(error) as caught:
        LoggedBatch(**(GOOD | changed))
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (
            lambda: Target.of(LOG, [0.5, 0.5]),
            InvalidArgumentError,
            "target must have one probability for each of 3 rows, got shape (2,); pass (N,), (N, I) or a policy",
        ),
        (
            lambda: Target.of(LOG, [0.5, np.nan, 0.5]),
            InvalidArgumentError,
            "target must hold probabilities in [0, 1], got nan at row 1; normalise scores with a softmax first",
        ),
        (
            lambda: Target.of(LOG, PROBS * 3 - 1),
            InvalidArgumentError,
            "target must hold probabilities of at least 0, got -1.0; normalise scores with a softmax first",
        ),
        (
            lambda: Target.of(LOG, lambda x: PROBS[: len(x)] * 0.5),
            InvalidArgumentError,
            "target must have rows that sum to 1, got 0.5 in row 0; divide each row by its sum",
        ),
        (
            lambda: Target.of(LoggedBatch(**GOOD), lambda x: PROBS),
            DataError,
            "context must be given for a policy as target, got None; pass an array of shape (N=3, d)",
        ),
        (
            lambda: Target.of(LoggedBatch(action=[0], reward=[1.0]), Target.of(LOG, PROBS)),
            InvalidArgumentError,
            "target must belong to this log of 1 rows, got one built for 3; call Target.of again",
        ),
        (
            lambda: QValues.of(Target.of(LOG, PROBS), np.ones((3, 3))),
            InvalidArgumentError,
            "q must have the target's shape (3, 2), got (3, 3); give a value for each row and action",
        ),
        (
            lambda: QValues.of(Target.of(LOG, PROBS), np.full((3, 2), np.nan)),
            InvalidArgumentError,
            "q must be finite, got NaN or infinity; refit the model or impute",
        ),
        (
            lambda: fit_q(LOG, Target.of(LOG, PROBS)),
            InvalidArgumentError,
            "n_folds must not exceed the number of units, got 5 folds for 3 units; use fewer folds",
        ),
        (
            lambda: fit_q(LOG, Target.of(LOG, PROBS), n_folds=1),
            InvalidArgumentError,
            "n_folds must be at least 2, got 1",
        ),
        (lambda: fit_q(LOG, Target.of(LOG, PROBS), ridge=0.0), InvalidArgumentError, "ridge must be above 0, got 0.0"),
        (
            lambda: LoggedBatch.from_offsets([0, 2, 2, 3], action=[0, 1, 0], reward=[1, 0, 1]),
            InvalidArgumentError,
            "offsets must rise from 0 to the number of rows (3), got [0, 2, 2, 3]; empty episodes cannot be logged",
        ),
        (
            lambda: LoggedBatch.from_pandas(pd.DataFrame({"action": [0], "rewards": [1.0]})),
            DataError,
            "the table must have the columns 'action' and 'reward', got none named 'reward'; rename yours",
        ),
    ],
)
def test_wrong_uses_get_a_sentence(call, error, sentence):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(sentence)


def test_tables_of_pandas_and_polars_are_the_same_log():
    columns = GOOD | {"episode": ["a", "a", "b"], "cluster": ["u", "u", "v"], "other": [1, 2, 3]}
    first, second = LoggedBatch.from_pandas(pd.DataFrame(columns)), LoggedBatch.from_polars(pl.DataFrame(columns))
    for name in ("action", "reward", "behavior_prob", "episode", "cluster"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert (first.n_episodes, first.n_units, first.lengths.tolist()) == (2, 2, [2, 1])


@pytest.mark.parametrize(
    ("reward", "binary"),
    [([0.0, 1.0, 1.0], True), ([0.0, 0.0, 0.0], True), ([1, 1, 1], True), ([0.0, 0.5, 1.0], False), ([0, 2, 1], False)],
)
def test_binary_rewards_are_known_as_such(reward, binary):
    assert LoggedBatch(**(GOOD | {"reward": reward})).is_binary == binary
