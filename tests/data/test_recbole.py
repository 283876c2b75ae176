from rlrec.data.load import load_log


def test_recbole_ml_100k_has_the_counts_of_its_card(shared_data):
    log = load_log(shared_data / "research" / "ml-100k-recbole")
    assert (log.n_events, log.n_users, log.n_items) == (100_000, 943, 1_682)
    assert log.cleaning.n_dropped == 0
    assert log.value.min() == 1
    assert log.value.max() == 5
    assert log.event_names == ("rating",)
    assert "Toy Story" in log.catalog.describe(log.catalog.index_of([1])[0])


def test_typed_headers_by_hand(tmp_path):
    (tmp_path / "t.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\nu1\t7\t5\nu1\t8\t3\n")
    log = load_log(tmp_path)
    assert log.catalog.ids[log.item].tolist() == [8, 7]
    assert log.value is None
