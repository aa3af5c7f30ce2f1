"""What audits, planted faults and attacks show, as numbers of the text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import product

from paper.number import Bound, Number
from paper.records import RESULTS, Record, chosen, lines, number_of

AUDITS, RUNS = f"{RESULTS}/audits.jsonl", f"{RESULTS}/audit_runs.jsonl"
PLANTED, LEAKS = f"{RESULTS}/planted.jsonl", f"{RESULTS}/pate_leaks.jsonl"
ROC, RISKS = f"{RESULTS}/roc.jsonl", f"{RESULTS}/risks.jsonl"
POWER = 0.8  # share of audits that must alarm
FACTORS = {"sqrt2": math.sqrt(2), "2": 2.0, "4": 4.0}
TESTS = ("area", "common_noise", "gaussian_threshold", "clopper_pearson")
FPR = 0.01
LEAK_NAMES = ("none", "shared partitions", "uncharged votes", "student on real rows")
# of a line: what it is called in the text, and which bound it is
OF_LEAKS: Mapping[str, tuple[str, Bound]] = {
    "attack_auc": ("auc", ""),
    "epsilon": ("epsilon", "lower"),
    "ceiling": ("ceiling", "lower"),
}
ATTACKS = ("closest_record", "density_ratio", "marginal_ratio", "transcript_ratio")
ROC_NAMES = {
    "transcript": "likelihood ratio of the transcript",
    "halved": "the same, noise halved by a bug",
    "closest": "closest record",
}


def audits() -> Iterator[tuple[str, Number]]:
    """Yield names and numbers of all that looks at releases from outside."""
    for part in (_ledgers, _power, _planted, _leaks, _roc, _risks):
        yield from part()


def series(line: Record) -> str:
    """Return the name in the text of what was audited, settings included."""
    return "_".join([line["synthesizer"], *sorted(line.get("settings") or ())])


def _ledgers() -> Iterator[tuple[str, Number]]:
    found = lines(AUDITS)
    yield "audits", Number(len(found), 0, AUDITS, "lines")
    refuted = sum(not line["passed"] for line in found)
    yield "audits_refuted", Number(refuted, 0, AUDITS, "lines that did not pass")
    yield "audited_methods", Number(len({series(x) for x in found}), 0, AUDITS, "series")
    for name, pick in (("fewest", min), ("most", max)):
        runs = pick(number_of(line, "runs") for line in found)
        yield f"audit_{name}_runs", Number(runs, 0, AUDITS, f"{name} runs a world")
    level = 100 * number_of(found[0], "level")
    yield "audit_level", Number(level, 0, AUDITS, "level of an audit, per cent")
    delta = number_of(found[0], "delta")
    yield "audit_delta", Number(delta, None, AUDITS, "delta of the claims")
    for line in found:
        claim = f"{number_of(line, 'epsilon'):g}".replace(".", "_")
        head, said = f"audit_{series(line)}_{claim}", f"{series(line)} at epsilon {claim}"
        if (factor := line.get("noise_factor")) is not None:
            yield f"{head}_factor", Number(factor, 2, AUDITS, f"noise_factor of {said}")
        exact, ceiling = line["bounds"]["clopper_pearson"], number_of(line, "ceiling")
        said_of = {"proven": ("clopper_pearson", exact), "ceiling": ("ceiling", ceiling)}
        for name, (what, value) in said_of.items():
            number = Number(value, 2, AUDITS, f"{what} of {said}", bound="lower")
            yield f"{head}_{name}", number


def _power() -> Iterator[tuple[str, Number]]:
    yield "power_share", Number(100 * POWER, 0, RUNS, "share of audits asked for, per cent")
    for test, (short, factor) in product(TESTS, FACTORS.items()):
        rows = [x for x in chosen(RUNS, test=test) if math.isclose(number_of(x, "factor"), factor)]
        caught = [number_of(x, "runs") for x in rows if number_of(x, "alarms") >= POWER]
        most = max(number_of(x, "runs") for x in rows)
        said = f"fewest runs of {test}, noise too small by {short}, with {POWER:g} alarms"
        name = f"power_{test}_{short}"
        yield name, Number(min(caught, default=most), 0, RUNS, said, more_than=not caught)
    for test in TESTS:
        right = [x for x in chosen(RUNS, test=test) if number_of(x, "factor") == 1]
        worst = max(right, key=lambda x: number_of(x, "alarms"))
        ends = (100 * number_of(worst, end) for end in ("alarms", "low", "high"))
        value, low, high = ends
        said = f"largest share of alarms of {test} at factor 1, per cent"
        yield f"power_{test}_false", Number(value, 1, RUNS, said, low, high)


def _planted() -> Iterator[tuple[str, Number]]:
    faults = [line for line in lines(PLANTED) if line["twin_of"]]
    correct = [line for line in lines(PLANTED) if not line["twin_of"] and _is_at_most(line)]
    yield "planted_faults", Number(len(faults), 0, PLANTED, "lines of faults")
    least = min(number_of(line, "share") for line in faults)
    said = "least share of them, per cent"  # in all its digits: "at least" may not be rounded up
    yield "planted_least_found", Number(100 * least, 2, PLANTED, said)
    most = max(number_of(line, "audits") for line in faults)
    yield "planted_audits", Number(most, 0, PLANTED, "audits of one fault")
    yield "planted_correct", Number(len(correct), 0, PLANTED, "lines of correct mechanisms")
    worst = max(correct, key=lambda line: number_of(line, "share"))
    ends = (100 * number_of(worst, end) for end in ("share", "low", "high"))
    value, low, high = ends
    said = f"largest share of alarms, per cent: {worst['name']}"
    yield "planted_most_false", Number(value, 1, PLANTED, said, low, high)


def _is_at_most(line: Record) -> bool:
    return str(line["wanted"]).startswith("at most")


def _leaks() -> Iterator[tuple[str, Number]]:
    for leak in LEAK_NAMES:
        (line,) = chosen(LEAKS, leak=leak, kind="audit")
        short = leak.replace(" ", "_")
        for value, (shown, bound) in OF_LEAKS.items():
            said = f"{value} of the audit with leak {leak!r}"
            number = Number(number_of(line, value), 2, LEAKS, said, bound=bound)
            yield f"leak_{short}_{shown}", number
    (line,) = chosen(LEAKS, leak="none", kind="audit")
    yield "leak_claimed", Number(line["epsilon"], 0, LEAKS, "epsilon that is claimed")


def _roc() -> Iterator[tuple[str, Number]]:
    rates = sorted({number_of(x, "fpr") for x in chosen(ROC, attack=ROC_NAMES["closest"])})
    fpr = min(rates, key=lambda rate: abs(rate - FPR))
    yield "roc_fpr", Number(100 * fpr, 1, ROC, "false-positive rate next to 1 %, per cent")
    for short, attack in ROC_NAMES.items():
        near = min(chosen(ROC, attack=attack), key=lambda x: abs(number_of(x, "fpr") - fpr))
        value, low, high = (100 * number_of(near, end) for end in ("tpr", "low", "high"))
        said = f"true-positive rate of {attack!r} there, per cent"
        yield f"roc_{short}_tpr", Number(value, 1, ROC, said, low, high)


def _risks() -> Iterator[tuple[str, Number]]:
    for attack in ATTACKS:
        (line,) = chosen(RISKS, attack=attack)
        value, low, high = (number_of(line, end) for end in ("value", "low", "high"))
        yield f"risk_{attack}", Number(value, 3, RISKS, f"value of {attack}", low, high)
    largest = number_of(lines(RISKS)[0], "largest_auc")
    said = "largest AUC that the ledger permits"
    yield "risk_largest", Number(largest, 3, RISKS, said, bound="upper")
