from rlrec.data.load import load_log


def test_the_fixture_has_the_counts_of_its_card(shared_data):
    log = load_log(shared_data / "builtin" / "otto_fixture")
    assert (log.n_events, log.n_users, log.n_items) == (862, 20, 510)
    assert log.event_names == ("carts", "clicks", "orders")
    assert log.timestamp.min() == 1659304800.025


def test_a_session_by_hand(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"session": 4, "events": [{"aid": 9, "ts": 1659304800500, "type": "clicks"}]}\n')
    log = load_log(path)
    assert (log.users.ids.tolist(), log.catalog.ids.tolist(), log.timestamp.tolist()) == ([4], [9], [1659304800.5])
