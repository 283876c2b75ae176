"""What the numbers of ``summary.json`` say, in plain sentences: what to ship, what to trust, what the GAN was worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlrec.evaluation.report_numbers import bounds, by_metric, interval_text, number_text, point

REFERENCE = "greedy"  # the policy that an agent has to beat: the best item by the user model
LENGTH_TOLERANCE = 0.10  # simulated sessions may be this much longer or shorter than real ones (issue 2)
_GAN_METRICS = {  # in words, and 1 where more is better
    "c2st_auc": ("passing for real sessions", -1),
    "item_jsd": ("item popularity", -1),
    "transition_jsd": ("which item follows which", -1),
    "tstr_ndcg@10": ("use as training data", 1),
}


def findings(summary: Mapping[str, Any]) -> list[str]:
    """Return the sentences of a report's first paragraphs; parts that the summary lacks say nothing."""
    policies = summary.get("policies") or {}
    simulator = summary.get("simulator") or {}
    seeds = summary.get("seeds") or {}
    parts = [
        summary.get("verdict") or "",  # of `rlrec fidelity`
        shipping_finding({name: row for name, row in policies.items() if not _is_member(name, seeds)} | dict(seeds)),
        *[seeds_finding(name, row, policies) for name, row in seeds.items()],
        *[learner_finding(policies, name) for name in _learners(policies) if not _is_member(name, seeds)],
        models_finding(summary.get("models") or {}),
        trust_finding(simulator.get("fidelity") or {}),
        gan_finding(summary.get("synthetic") or {}),
        synthetic_finding(summary.get("synthetic") or {}),
        privacy_finding(summary.get("privacy") or {}),
    ]
    return [text for text in parts if text]


def models_finding(models: Mapping[str, Any]) -> str:
    """Say whether the LSTM learned more than a first-order Markov chain."""
    lstm, markov = (point((models.get(name) or {}).get("test_nll")) for name in ("lstm", "markov"))
    if lstm is None or markov is None:
        return ""
    gain = markov - lstm
    verdict = "learned more than" if gain > 0 else "learned no more than"
    return (
        f"The LSTM {verdict} a first-order Markov chain: {number_text(lstm)} against {number_text(markov)} nats per "
        "next item (less is better)."
    )


def shipping_finding(policies: Mapping[str, Any]) -> str:
    """Say which policy to ship: the best in the held-out simulator that is better than greedy beyond doubt."""
    held = {name: value for name, row in policies.items() if (value := point(row.get("heldout_return"))) is not None}
    if not policies:
        return ""
    if not held:
        return "No policy was judged in a held-out simulator, so none can be recommended for shipping."
    if REFERENCE not in held:
        return f"Highest in the held-out simulator: {max(held, key=lambda name: held[name])}. No greedy policy was run."
    proven = {name: held[name] for name in held if (_low(policies[name], "heldout_paired_vs_greedy") or 0) > 0}
    if proven:
        best = max(proven, key=lambda name: proven[name])
        return (
            f"Ship {best}, to a test on people: it beats greedy in a simulator of the held-out period, which it never "
            "trained on. A simulator of the same make is a mild judge; ask one of another (--heldout takes any model)."
        )
    return (
        f"Ship {REFERENCE} (the user model's best guess): no other policy beats it beyond doubt in a simulator of the "
        "held-out period."
    )


def learner_finding(policies: Mapping[str, Any], name: str) -> str:
    """Say where a policy stands against greedy, at home and held out, and what follows."""
    return _against_greedy(name, f"{name} against greedy", policies[name], policies)


def seeds_finding(name: str, row: Mapping[str, Any], policies: Mapping[str, Any]) -> str:
    """Say the same of an algorithm over its training seeds."""
    subject = f"{name} over {row.get('n_seeds')} training seeds, against greedy"
    return _against_greedy(name, subject, row, policies)


def _against_greedy(name: str, subject: str, row: Mapping[str, Any], policies: Mapping[str, Any]) -> str:
    home, held = row.get("paired_vs_greedy"), row.get("heldout_paired_vs_greedy")
    if home is None or bounds(home) is None:
        return ""
    text = f"{subject}: {_uplift(home, _return(policies, 'return'))} in the simulator it trained in"
    if held is None or bounds(held) is None:
        return f"{text}; it was not judged in a held-out one, so this says little."
    text += f", {_uplift(held, _return(policies, 'heldout_return'))} in the held-out one. "
    return text + _verdict(name, _side(home), _side(held))


def _is_member(name: str, seeds: Mapping[str, Any]) -> bool:
    """Tell whether a policy is one of those that `seeds_finding` sums up."""
    return any(name.startswith(f"{group}, seed ") for group in seeds)


def trust_finding(fidelity: Mapping[str, Any]) -> str:
    """Say how far the simulated people resemble the real ones."""
    metrics = by_metric(fidelity)
    text = _length_sentence(metrics)
    for name, words in (("item_jsd", "Item popularity"), ("transition_jsd", "Which item follows which")):
        row = metrics.get(name, {})
        simulated, near, past = _model_cell(row), point(row.get("real_vs_real")), point(row.get("train_vs_real"))
        if simulated is None or near is None:
            continue
        text += (
            f" {words} is {number_text(simulated)} away from real (Jensen-Shannon divergence); real sessions of a "
            f"neighbouring period are {number_text(near)} away"
            + ("." if past is None else f", the ones it learned from {number_text(past)}.")
        )
    if text:
        text += " Trust a ranking of policies that the held-out simulator confirms; no absolute number carries over."
    return text.strip()


def gan_finding(synthetic: Mapping[str, Any]) -> str:
    """Say on which measures the GAN beat its control: as many further steps of maximum likelihood, no adversary."""
    metrics = by_metric(synthetic)
    pairs = {name: _gan_and_control(metrics.get(name, {})) for name in _GAN_METRICS}
    pairs = {name: pair for name, pair in pairs.items() if all(point(cell) is not None for cell in pair)}
    measured = {name: pair for name, pair in pairs.items() if all(bounds(cell) is not None for cell in pair)}
    sides = {
        _GAN_METRICS[name][0]: _GAN_METRICS[name][1] * _compare(*pair) for name, pair in (measured or pairs).items()
    }
    if not sides:
        return ""
    won = [words for words, side in sides.items() if side > 0]
    lost = [words for words, side in sides.items() if side < 0]
    control = "its control (the same LSTM, as many steps, by maximum likelihood alone)"
    if not won and not lost:
        return f"The GAN did not beat {control}: in {' and '.join(sides)} the two cannot be told apart."
    verdict = "beat" if len(won) > len(lost) else "did not beat"
    return (
        f"The GAN {verdict} {control}: better on "
        f"{', '.join(won) or 'nothing'}; worse on {', '.join(lost) or 'nothing'}"
        + (" beyond what chance gives." if measured else "; single values, so small differences mean nothing.")
    )


def _gan_and_control(row: Mapping[str, Any]) -> tuple[Any, Any]:
    return row.get("gan", row.get("value")), row.get("control", row.get("mle"))


def _learners(policies: Mapping[str, Any]) -> list[str]:
    """Return the policies that are not clearly worse than greedy at home."""
    return [
        name
        for name, row in policies.items()
        if name != REFERENCE and bounds(row.get("paired_vs_greedy")) and _side(row["paired_vs_greedy"]) >= 0
    ]


def _verdict(name: str, home: int, held: int) -> str:
    if home > 0 and held > 0:
        return "It wins in both."
    if home > 0 and held < 0:
        return f"{name} only wins at home: what it learned there does not carry over. Do not ship it on this evidence."
    if home > 0:
        return f"{name} only wins at home: held out, the difference cannot be told from zero."
    return "At home the difference cannot be told from zero."


def _uplift(difference: Mapping[str, Any], reference: float | None) -> str:
    """Write a paired difference as a share of greedy's return, and as it is."""
    value, low, high = (point(difference[key]) or 0.0 for key in ("value", "low", "high"))
    absolute = f"{_signed(value, number_text(abs(value)))} a session {interval_text(difference)}"
    if not reference or reference <= 0:
        return absolute
    percent = [_signed(x, f"{abs(100 * x / reference):.0f}") for x in (value, low, high)]
    return f"{percent[0]} % [{percent[1]}, {percent[2]}] ({absolute})"


def _signed(value: float, text: str) -> str:
    return ("+" if value >= 0 else "\N{MINUS SIGN}") + text


def _return(policies: Mapping[str, Any], name: str) -> float | None:
    return point((policies.get(REFERENCE) or {}).get(name))


def _side(estimate: Any) -> int:
    """Return 1 if an interval lies above zero, -1 if below, 0 if it covers zero."""
    ends = bounds(estimate)
    if ends is None:
        return 0
    return int(ends[0] > 0) - int(ends[1] < 0)


def _compare(first: Any, second: Any) -> int:
    """Return 1 if the first is larger, -1 if smaller, 0 if equal or if their intervals overlap."""
    a, b = (bounds(cell) or (point(cell) or 0.0,) * 2 for cell in (first, second))
    return int(a[0] > b[1]) - int(a[1] < b[0])


def _low(row: Mapping[str, Any], name: str) -> float | None:
    ends = bounds(row.get(name))
    return None if ends is None else ends[0]


def _model_cell(row: Mapping[str, Any]) -> float | None:
    return point(row.get("simulated", row.get("value")))


def _length_sentence(metrics: Mapping[str, dict[str, Any]]) -> str:
    row = metrics.get("session_length_mean") or metrics.get("session_length") or {}
    real, simulated = point(row.get("real")), _model_cell(row)
    if not real or simulated is None:
        return ""
    off = abs(simulated / real - 1)
    verdict = "close to" if off <= LENGTH_TOLERANCE else "NOT close to"
    return (
        f"Left to themselves, simulated people make sessions of {number_text(simulated)} behaviours, {verdict} the "
        f"{number_text(real)} of held-out real ones ({100 * off:.0f} % off)."
    )


def synthetic_finding(synthetic: Mapping[str, Any]) -> str:
    """Say how a synthetic log of any origin stands beside real sessions: detector and use as training data."""
    metrics = by_metric(synthetic)
    row, use = metrics.get("c2st_auc", {}), metrics.get("tstr_ndcg@10", {})
    if "synthetic" not in row:
        return ""
    others = {"control": "the control", "train_vs_real": "the training sessions", "real_vs_real": "other real sessions"}
    beside = [f"{words} {number_text(point(row[name]))}" for name, words in others.items() if name in row]
    text = (
        "Boosted trees tell the synthetic sessions from real ones with an AUC of "
        f"{number_text(point(row['synthetic']))} {interval_text(row['synthetic'])} (0.5: they cannot); "
        f"{', '.join(beside)}."
    )
    mine, real = point(use.get("synthetic")), point(use.get("real_vs_real"))
    if mine is not None and real:
        text += f" A model trained on them reaches {mine / real:.0%} of what one trained on as many real ones does."
    return text


def privacy_finding(audit: Mapping[str, Any]) -> str:
    """Say what the membership attacks gained over their controls."""
    leak = point(audit.get("leak"))
    if leak is None:
        return ""
    told = "learn nothing" if leak <= 0.5 else f"reach an AUC of {number_text(leak)}"
    return f"Attacks on who was in the training set {told} over what they learn from real strangers (0.5: nothing)."
