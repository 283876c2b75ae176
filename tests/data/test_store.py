import json

import numpy as np
import pandas as pd
import pytest

from rlrec.core.errors import ArtifactError, ArtifactNotFoundError, DataError
from rlrec.data.load import load_log
from rlrec.data.log import InteractionLog
from rlrec.data.store import LogWriter, is_stored_log, open_log, save_log
from tests.data.logs import random_frame, random_log


def interrupt_writing(folder):
    with LogWriter(folder) as writer:
        np.save(writer.data / "user.npy", np.zeros(3, np.int32))
        raise KeyboardInterrupt


IDS = [-(2**63), 2**63 - 1, 0, 12]


@pytest.mark.parametrize("sessions", [False, True])
def test_a_saved_log_opens_equal_and_memory_mapped(tmp_path, sessions):
    log = random_log(sessions=sessions)
    save_log(log, tmp_path / "log")
    back = open_log(tmp_path / "log")
    assert back == log
    assert isinstance(back.item.base, np.memmap) or isinstance(back.item.base.base, np.memmap)
    assert back.sequences().item.tolist() == log.sequences().item.tolist()
    assert load_log(tmp_path / "log") == log


def test_features_notes_and_account_come_back(tmp_path):
    items = pd.DataFrame(
        {
            "item_id": range(100, 109),
            "label": [*"aabbccdd", None],
            "price": [1.0, np.nan] + [2.0] * 7,
            "tags": [["x"], [], ["x", "y"]] * 3,
            "vector": [[0.5, float(i)] for i in range(9)],
            "title": [f"long title {i}" for i in range(9)],
        }
    )
    log = load_log(random_frame(), items=items, users=pd.DataFrame({"user_id": ["u0", "u99"], "age": [3, 4]}))
    save_log(log, tmp_path / "log")
    back = open_log(tmp_path / "log")
    assert back == log
    assert back.catalog.features.sha256 == log.catalog.features.sha256
    assert back.cleaning == log.cleaning


@pytest.mark.parametrize(
    "ids",
    [IDS, ["00012", "12", "", " 👩‍🚀", "e\u0301", "é"], [2**63, 2**70, 5], [5, "5", "i5"]],
    ids=["int64", "text", "big", "mixed"],
)
def test_ids_survive_exactly(tmp_path, ids):
    frame = pd.DataFrame({"user_id": pd.Series(ids, dtype=object), "item_id": range(len(ids))})
    log = InteractionLog.from_pandas(frame)
    save_log(log, tmp_path / "log")
    back = open_log(tmp_path / "log")
    assert back.users.ids.tolist() == log.users.ids.tolist()
    assert set(map(type, back.users.ids.tolist())) == set(map(type, ids))
    assert back == log


def test_saving_again_replaces_and_leaves_no_stale_columns(tmp_path):
    save_log(random_log(seed=1), tmp_path / "log")
    save_log(random_log(seed=2), tmp_path / "log")
    assert open_log(tmp_path / "log") == random_log(seed=2)
    assert len(list((tmp_path / "log").glob("data-*"))) == 1


def test_a_failure_half_way_leaves_the_old_log(tmp_path):
    folder = tmp_path / "log"
    save_log(random_log(seed=1), folder)
    with pytest.raises(KeyboardInterrupt):
        interrupt_writing(folder)
    assert open_log(folder) == random_log(seed=1)
    assert len(list(folder.glob("data-*"))) == 1


def test_a_failure_before_the_first_commit_leaves_no_log(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        interrupt_writing(tmp_path / "log")
    assert not is_stored_log(tmp_path / "log")
    with pytest.raises(ArtifactNotFoundError, match=r"holds no manifest\.json; give a folder that save_log wrote"):
        open_log(tmp_path / "log")
    save_log(random_log(), tmp_path / "log")  # and trying again works
    assert open_log(tmp_path / "log") == random_log()


def test_other_files_are_not_written_over(tmp_path):
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(DataError, match="holds other files; give a new folder or one that holds a log"):
        save_log(random_log(), tmp_path)


def test_damage_is_found(tmp_path):
    folder = tmp_path / "log"
    save_log(random_log(), folder)
    data = next(folder.glob("data-*"))
    whole = (data / "item.npy").read_bytes()
    (data / "item.npy").write_bytes(whole[:-8])
    with pytest.raises(ArtifactError, match=r"item\.npy' is damaged"):
        open_log(folder)
    (data / "item.npy").unlink()
    with pytest.raises(ArtifactNotFoundError, match=r"item\.npy' does not exist although the manifest names it"):
        open_log(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "models/lstm"}, "holds no log, but a 'models/lstm'"),
        ({"format": 99}, "has log format 99, this rlrec reads 1"),
        ({"data": "../elsewhere"}, r"names columns outside its own folder: '\.\./elsewhere'"),
        ({"columns": ["user", "../x"]}, r"names unknown columns: \.\./x"),
    ],
)
def test_a_manifest_of_something_else_is_refused(tmp_path, change, message):
    save_log(random_log(), tmp_path / "log")
    manifest = tmp_path / "log" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    with pytest.raises(ArtifactError, match=message):
        open_log(tmp_path / "log")
