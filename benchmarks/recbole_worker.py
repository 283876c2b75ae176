"""Times RecBole's training on ml-100k in RecBole's own environment and prints one line of JSON.

    python recbole_worker.py DATA MODEL N_BATCHES

DATA is the folder that holds ml-100k-recbole/ml-100k.inter. Every prefix of a history is one target, leave-last-out;
batches are RecBole's default, 2,048 prefixes; one thread; CPU seconds of the training steps alone. RecBole 1.2.1
installs beside torch 2.13 with numpy 1.26, pandas 2.2, scipy 1.13 and setuptools before 80 (its ray asks for
pkg_resources).
"""

import json
import resource
import sys
import tempfile
import time
import warnings
from itertools import islice
from pathlib import Path

warnings.filterwarnings("ignore")
import torch  # noqa: E402
from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset, data_preparation  # noqa: E402
from recbole.utils import get_model, get_trainer, init_seed  # noqa: E402


def main(data: str, model: str, n_batches: int) -> None:
    sys.argv = sys.argv[:1]  # RecBole reads the command line, too
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "ml-100k").symlink_to(Path(data).resolve() / "ml-100k-recbole")
        config = Config(
            model=model,
            dataset="ml-100k",
            config_dict={
                "data_path": folder,
                "checkpoint_dir": folder,
                "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
                "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full", "group_by": "user"},
                "train_neg_sample_args": None,
                "loss_type": "CE",
                "use_gpu": False,
                "show_progress": False,
                "state": "ERROR",
            },
        )
        init_seed(0, True)
        train, _, _ = data_preparation(config, create_dataset(config))
        network = get_model(model)(config, train._dataset)
        trainer = get_trainer(config["MODEL_TYPE"], model)(config, network)
        torch.set_num_threads(1)
        began = time.process_time()
        trainer._train_epoch(islice(train, n_batches), 0)
        seconds = time.process_time() - began
    n = min(n_batches * config["train_batch_size"], len(train._dataset))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    print(json.dumps({"targets": n, "cpu_seconds": seconds, "targets_per_cpu_s": n / seconds, "peak_mb": peak}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
