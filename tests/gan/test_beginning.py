"""Starts and the order of events: what is told is kept, the rest is the generator's own, and nobody sees the batch."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

from rlrec.core.errors import InvalidArgumentError
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.gan.event_order import EventMemory, allowed_events, learn_event_order
from rlrec.gan.knobs import fit_sampling
from rlrec.gan.policy_gradient import decision_log_probs
from rlrec.gan.sampling import generate_sequences
from rlrec.gan.sampling_config import SamplingConfig
from rlrec.models.config import LSTMConfig
from rlrec.models.counting import PopularityModel
from rlrec.models.lstm import LSTMModel
from tests.small import N_ITEMS, cycle_log, cycle_model

STARTS = Sequences.from_items(np.array([2, 3, 5]), np.array([0, 2, 3]))


def lists(sequences: Sequences) -> list[list[int]]:
    return [part.tolist() for part in np.split(sequences.item, sequences.offsets[1:-1])]


@pytest.mark.parametrize("knobs", [SamplingConfig(), SamplingConfig(length_probs=(0.5, 0.0, 0.0, 0.0, 0.5))])
def test_a_sequence_goes_on_from_its_start(knobs):
    drawn = lists(generate_sequences(cycle_model(), 200, seed=0, starts=STARTS, sampling=knobs))
    assert all(items[:2] == [2, 3] for items in drawn[::2])
    assert all(items[:1] == [5] for items in drawn[1::2])
    went_on = [items[2] for items in drawn[::2] if len(items) > 2]
    assert np.mean([item == 4 for item in went_on]) > 0.95, "the cycle goes on after 2, 3"
    if knobs.length_probs:
        assert {len(items) for items in drawn[::2]} == {5}, "a start of two leaves the length of five only"
        assert {len(items) for items in drawn[1::2]} == {1, 5}


def test_a_started_sequence_does_not_depend_on_how_many_are_drawn():
    knobs = SamplingConfig(repeat_factor=0.3)
    few, many = (generate_sequences(cycle_model(), n, seed=4, starts=STARTS, sampling=knobs) for n in (5, 40))
    assert lists(few) == lists(many)[:5]


def test_repeats_are_counted_from_the_start_on():
    knobs = SamplingConfig(repeat_factor=0.0, immediate_factor=0.0, length_probs=(0.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    drawn = lists(generate_sequences(PopularityModel.fit(cycle_log()), 100, seed=0, starts=STARTS, sampling=knobs))
    assert all(sorted(items) == list(range(N_ITEMS)) for items in drawn)


@pytest.mark.parametrize(
    ("starts", "sentence"),
    [
        (STARTS.select(np.zeros(0, np.int64)), "starts must hold at least one sequence, got none"),
        (Sequences.from_items(np.array([9]), np.array([0, 1])), r"the starts hold item 9, the model has items 0\.\.5"),
        (Sequences.from_items(np.zeros(4, int), np.array([0, 4])), "a start of 4 behaviours is longer than max_length"),
    ],
)
def test_a_start_that_cannot_be_gone_on_from_is_refused(starts, sentence):
    with pytest.raises(InvalidArgumentError, match=sentence):
        generate_sequences(cycle_model(), 3, seed=0, max_length=3, starts=starts)


# ---- the order of events ------------------------------------------------------------------------------------------


def shop_log(n: int = 150, seed: int = 0, *, broken: bool = False) -> InteractionLog:
    """People view items of a ring, and buy an item only after they viewed it; values are 10 a view, 50 a purchase."""
    rng = np.random.default_rng(seed)
    rows = []
    for session in range(n):
        item, time = int(rng.integers(N_ITEMS)), session * 1e5
        for _ in range(rng.integers(2, 5)):
            rows.append((session, f"i{item}", time, "view", 10.0))
            if rng.random() < 0.5:
                rows.append((session, f"i{item}", time + 1, "purchase", 50.0))
            item, time = (item + 1) % N_ITEMS, time + 10
    if broken:
        rows.append((n, "i0", n * 1e5, "purchase", 50.0))
    user, item_id, timestamp, event, value = zip(*rows, strict=True)
    columns = {"user_id": user, "item_id": item_id, "timestamp": timestamp, "event": event, "value": value}
    return InteractionLog.from_pandas(pd.DataFrame(columns | {"session_id": user}), name="shop")


@cache
def shop_model(**settings) -> LSTMModel:
    config = LSTMConfig(embedding_size=8, hidden_size=16, n_epochs=3, batch_tokens=64, **settings)
    return LSTMModel.fit(shop_log(), config=config, show_progress=False)


def test_an_order_is_learned_and_one_counterexample_unlearns_it():
    log = shop_log()
    view, purchase = (log.event_names.index(name) for name in ("view", "purchase"))
    assert learn_event_order(log.sequences()) == ((view, purchase),)
    assert learn_event_order(shop_log(broken=True).sequences()) == ()
    assert learn_event_order(log.sequences(), min_count=10_000) == ()
    assert learn_event_order(cycle_log().sequences()) == ()


def broken(sequences: Sequences, before: int, after: int) -> int:
    n = 0
    for begin, end in zip(sequences.offsets[:-1], sequences.offsets[1:], strict=True):
        seen = set()
        for item, event in zip(sequences.item[begin:end], sequences.event[begin:end], strict=True):
            n += event == after and item not in seen
            seen |= {item} if event == before else set()
    return n


def test_samples_keep_the_order_that_the_log_keeps():
    log, model = shop_log(), shop_model()
    ((before, after),) = order = learn_event_order(log.sequences())
    free = generate_sequences(model, 300, seed=0)
    kept = generate_sequences(model, 300, seed=0, sampling=SamplingConfig(event_order=order))
    assert broken(free, before, after) > 0, "without the order a young model breaks it"
    assert broken(kept, before, after) == 0
    assert (kept.event == after).any()
    assert fit_sampling(model, log.sequences(), shop_log(60, 1).sequences()).event_order == order


def test_what_may_happen_is_the_same_in_the_making_and_afterwards():
    order = ((0, 1), (1, 2))
    item = torch.tensor([[3, 3, 4, 3, 4]])
    event = torch.tensor([[0, 1, 0, 2, 1]])
    afterwards = allowed_events(item, event, order, 3)
    by_hand = [[1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 0]]
    assert afterwards[0].int().tolist() == by_hand
    memory = EventMemory(order, 6, 3, 1, torch.device("cpu"))
    for t in range(5):
        assert memory.allowed(item[:, t])[0].int().tolist() == by_hand[t]
        memory.took(item[:, t], event[:, t])


def test_the_policy_gradient_knows_that_a_forbidden_event_had_no_chance():
    model = shop_model()
    knobs = SamplingConfig(event_order=learn_event_order(shop_log().sequences()))
    sample = generate_sequences(model, 40, seed=0, sampling=knobs)
    padded = sample.pad(np.arange(40))
    free, kept = (decision_log_probs(model, padded, k).choice.detach() for k in (SamplingConfig(), knobs))
    assert (kept > free - 1e-5).all(), "what is left of the events shares all of the probability"
    new = padded.mask & (np.tril(padded.item[:, :, None] == padded.item[:, None, :], -1).sum(2) == 0)
    assert (kept[torch.from_numpy(new[padded.mask])] > free[torch.from_numpy(new[padded.mask])] + 1e-3).all()


def test_an_order_of_an_unknown_event_is_refused():
    with pytest.raises(InvalidArgumentError, match=r"event_order names event 7, the model has events 0\.\.1"):
        generate_sequences(shop_model(), 2, seed=0, sampling=SamplingConfig(event_order=((0, 7),)))


# ---- values -------------------------------------------------------------------------------------------------------


def test_values_come_from_the_value_head_and_reach_the_log():
    from rlrec.gan.synthetic_log import sequences_to_log

    log, model = shop_log(), shop_model(value_weight=1.0)
    sample = generate_sequences(model, 400, seed=0)
    assert sample.value.mean() == pytest.approx(log.value.mean(), rel=0.15)
    assert sequences_to_log(sample, log).value is not None
    assert generate_sequences(shop_model(), 5, seed=0).value is None
    few = generate_sequences(model, 3, seed=0)
    assert np.allclose(few.value, sample.select(np.arange(3)).value, rtol=1e-5)
