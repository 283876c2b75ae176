"""The verbs of ``rlrec``: one line each, in the order of the loop. A plain table, so that ``--help`` imports no verb.

A verb may be of two words, of which the first is a verb, too. A verb's module holds a frozen, keyword-only dataclass
``Command`` (a `rlrec.cli.command.BaseCommand`) and ``run(command) -> int``, the exit code.
"""

from __future__ import annotations

import difflib
import importlib
from typing import Any, NamedTuple

from rlrec.core.errors import InvalidArgumentError


class Verb(NamedTuple):
    """Where a verb lives and what it does."""

    module: str
    summary: str


VERBS: dict[str, Verb] = {
    "demo": Verb("rlrec.cli.demo", "run the loop on the embedded shop log: fit, train, judge, sample, report"),
    "data": Verb("rlrec.cli.data", "look at a log: what is in it, what was left out; save it to open at once"),
    "data check": Verb(
        "rlrec.cli.data_check", "what a careful colleague would say of a log: false order, leaks, robots"
    ),
    "data convert": Verb("rlrec.cli.data_convert", "any log, of any size, to the form that opens at once"),
    "data download": Verb("rlrec.cli.data_download", "fetch a public log by name, with its terms"),
    "fit": Verb("rlrec.cli.fit", "fit the models of what comes next on a log, and compare them"),
    "tune": Verb("rlrec.cli.tune", "search the LSTM's settings on a log's validation part, for fit"),
    "recommend": Verb("rlrec.cli.recommend", "recommend to a user, after a history, or to everyone, and say why"),
    "train": Verb("rlrec.cli.train", "train an agent on users simulated by a saved model"),
    "watch": Verb("rlrec.cli.watch", "watch simulated users step by step: what was shown, and why they left"),
    "fidelity": Verb("rlrec.cli.fidelity", "compare simulated people with held-out real ones, and say what to trust"),
    "evaluate": Verb("rlrec.cli.evaluate", "judge policies on simulated users, with intervals"),
    "gan": Verb("rlrec.cli.gan", "train a generator of sessions against a discriminator, beside its control"),
    "gan report": Verb(
        "rlrec.cli.gan_report", "a page on the quality of a synthetic log, every number beside real ones"
    ),
    "generate": Verb("rlrec.cli.generate", "write a synthetic log from a trained generator"),
    "ope": Verb("rlrec.cli.ope", "judge a policy on another's log, or test the estimators where truth is known"),
    "compare": Verb("rlrec.cli.compare", "compare a synthetic log with the real one: detectors, use, privacy"),
    "augment": Verb("rlrec.cli.augment", "try synthetic sessions beside the real ones, and say what they are worth"),
    "report": Verb("rlrec.cli.report", "build a run's report.html again from its folder"),
    "doctor": Verb("rlrec.cli.doctor", "print versions, device and threads, and what is missing and how to get it"),
}


def load_verb(name: str) -> Any:
    """Import and return the verb's module; an unknown name is an error that suggests the nearest one."""
    if name not in VERBS:
        close = difflib.get_close_matches(name, VERBS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"the verbs are {', '.join(VERBS)}"
        raise InvalidArgumentError(f"there is no verb {name!r}; {hint}")
    return importlib.import_module(VERBS[name].module)
