"""The tables of the text, and templates: ``{{name}}`` is a number, ``{{table:name}}`` a table.

A table has rows of named numbers, or what others do from ``field.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product

import yaml

from dp_synth.figures.style import named
from paper.accounting_numbers import TARGETS, target
from paper.audit_numbers import AUDITS, FACTORS, LEAK_NAMES, TESTS, series
from paper.documents import markdown
from paper.number import Number
from paper.peer_numbers import command, failure, measured_peers
from paper.records import PAPER, lines, number_of
from paper.utility_numbers import EPSILONS, METHODS, OF_NETWORKS, suffix

FIELD = PAPER / "field.yaml"
MARKS = {True: "●", "partly": "◐", False: "-"}
SHORT = {  # heads of the columns of the feature table
    "synthesizers": "synthesizers",
    "totals": "exact totals",
    "budget": "one budget",
    "noise": "exact noise",
    "attacks": "attacks",
    "audits": "audits",
    "curves": "curves",
}
TITLES = {  # where a table has other words than a figure
    "mst_published": "MST, as published",
    "mst_as_published": "MST, as published",
    "independent": "independent columns",
    "noiseless": "independent, no noise",
    "fresh": "fresh real rows",
    "real": "real rows",
}
Names = Mapping[str, Number]
TABLE = re.compile(r"\{\{table:(\w+)\}\}")
NUMBER = re.compile(r"\{\{(\w+)(?::(\w*))?\}\}")


def shown(name: str, numbers: Names, form: str = "pm") -> str:
    """Return the placeholder of a number, or a dash where there is none of this name."""
    return f"{{{{{name}:{form}}}}}" if name in numbers else "-"


def centred(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a pipe table, the first column to the left and the others in the middle."""
    return markdown(head, rows, "|:--|" + ":-:|" * (len(head) - 1))


def of_names(
    head: Sequence[str],
    rows: Iterable[tuple[Sequence[str], Sequence[str]]],
    numbers: Names,
    form: str = "pm",
) -> str:
    """Return a table whose rows are words, and then named numbers."""
    cells = [[*words, *(shown(name, numbers, form) for name in names)] for words, names in rows]
    return centred(head, cells)


def title(name: str) -> str:
    """Return what tables call a method or a test."""
    return TITLES.get(name) or named(name).replace("_", " ")


def field(_: Names) -> str:
    """Return which library does what, a row a library."""
    read = yaml.safe_load(FIELD.read_text(encoding="utf-8"))
    head = ["library", *(SHORT[key] for key in read["features"])]
    rows = [[x["name"], *(MARKS[x["marks"][key]] for key in SHORT)] for x in read["libraries"]]
    rows.append(["**dp_synth**", *(MARKS[read["ours"]["marks"][key]] for key in SHORT)])
    return centred(head, rows)


def features(_: Names) -> str:
    """Return what the heads of the feature table mean, as a sentence."""
    read = yaml.safe_load(FIELD.read_text(encoding="utf-8"))
    meanings = [f"*{SHORT[key]}*: {said}" for key, said in read["features"].items()]
    return (
        f"{MARKS[True]} yes, {MARKS['partly']} in part, {MARKS[False]} no. "
        + "; ".join(meanings)
        + "."
    )


def sources(_: Names) -> str:
    """Return how each row of the feature table was checked."""
    read = yaml.safe_load(FIELD.read_text(encoding="utf-8"))
    said = {
        "read": "read",
        "listed": "by its list of files, not read",
        "run": "run, with its results among the records",
    }
    entries = [
        f"- **{x['name']}**, version {x['version']} ({said[x['checked']]}): {_code(x['source'])}. "
        f"{_sentence(x['note'])}"
        for x in read["libraries"]
    ]
    ours = read["ours"]
    own = f"- **dp_synth**, this version: {_code(ours['source'])}. {_sentence(ours['note'])}"
    return "\n".join([*entries, own])


def _sentence(note: str) -> str:
    return note[0].upper() + note[1:] + "."


def _code(source: str) -> str:
    """Return a source with its paths as code."""
    words = source.split(" ")
    marked = [
        f"`{word.strip(',;')}`{word[len(word.rstrip(',;')) :]}" if "/" in word else word
        for word in words
    ]
    return " ".join(marked)


def adult(numbers: Names) -> str:
    """Return coded Adult at epsilon 1: fidelity, use, time, memory."""
    head = ["", "TV of pairs", "TV, held-out", "AUC", "fit, CPU s", "peak MB"]
    values = ("tv", "tv_holdout", "auc", "seconds", "megabytes")
    methods = [*METHODS, "noiseless", "fresh", "real"]
    rows = [([title(m)], [f"{m}_{value}_adult" for value in values]) for m in methods]
    return of_names(head, rows, numbers)


def adult_all(numbers: Names) -> str:
    """Return TV and AUC of every method at every epsilon."""
    head, rows = [""], []
    for value in ("TV", "AUC"):
        head += [f"{value}, {EPSILONS[0]:g}", *(f"{epsilon:g}" for epsilon in EPSILONS[1:])]
    for method in METHODS:
        ends = product(("tv", "auc"), EPSILONS)
        names = [f"{method}_{value}_adult{suffix(epsilon)}" for value, epsilon in ends]
        rows.append(([title(method)], names))
    return of_names(head, rows, numbers, "")


def networks(numbers: Names) -> str:
    """Return the networks on coded Adult."""
    rows = []
    for method, epsilon in product(OF_NETWORKS, (1.0, 3.0)):
        names = [f"{method}_{v}_coded{suffix(epsilon)}" for v in ("tv", "auc", "seconds")]
        if names[0] in numbers:
            rows.append(([title(method), f"{epsilon:g}"], names))
    return of_names(["", "$\\varepsilon$", "TV of pairs", "AUC", "fit, CPU s"], rows, numbers)


def noise(numbers: Names) -> str:
    """Return the factor of MST's noise by each accounting."""
    head = ["target", "textbook zCDP", "optimal zCDP", "block curve", "floor", "saved"]
    rows = []
    for epsilon, delta in TARGETS:
        end = target(epsilon, delta)
        exponent = f"{delta:.0e}".replace("1e-0", "10^{-") + "}"
        names = [f"mst_noise_{method}_{end}" for method in ("zcdp_basic", "zcdp", "here", "floor")]
        cells = [shown(name, numbers, "") for name in (*names, f"mst_saved_zcdp_{end}")]
        rows.append([f"$({epsilon:g}, {exponent})$", *cells[:-1], f"{cells[-1]} %"])
    return centred(head, rows)


def power(numbers: Names) -> str:
    """Return how many runs each test needs to find noise that is too small."""
    head = ["test", "$\\sqrt{2}$ too small", "$2$ times", "$4$ times", "false alarms, %"]
    rows = []
    for test in TESTS:
        needed = [shown(f"power_{test}_{factor}", numbers, "") for factor in FACTORS]
        rows.append(([title(test), *needed], [f"power_{test}_false"]))
    return of_names(head, rows, numbers, "ci")


def ledgers(numbers: Names) -> str:
    """Return what audits of whole fits find beside what their ledgers claim."""
    head = [
        "",
        "claimed $\\varepsilon$",
        "proven of any mechanism",
        "most provable",
        "noise factor",
    ]
    rows = []
    for line in lines(AUDITS):
        epsilon = number_of(line, "epsilon")
        name = f"audit_{series(line)}_{epsilon:g}".replace(".", "_")
        names = [f"{name}_{value}" for value in ("proven", "ceiling", "factor")]
        rows.append(([title(series(line)), f"{epsilon:g}"], names))
    return of_names(head, rows, numbers, "")


def leaks(numbers: Names) -> str:
    """Return what an audit proves of PATE-GAN with known leaks planted."""
    head = ["leak", "AUC of the attack", "proven $\\varepsilon$", "most provable"]
    rows = []
    for leak in LEAK_NAMES:
        short = leak.replace(" ", "_")
        rows.append(([leak], [f"leak_{short}_{v}" for v in ("auc", "epsilon", "ceiling")]))
    return of_names(head, rows, numbers)


def peers(numbers: Names) -> str:
    """Return other libraries at equal epsilon, or that nothing of them is recorded."""
    names = measured_peers()
    if not names:
        return (
            "**Other libraries** at equal epsilon are measured by "
            "`dp-synth benchmark run benchmarks/peers.yaml`; this version holds no records of "
            "it, and no number is given here."
        )
    head = ["", "TV of pairs", "AUC", "CPU s", "peak MB"]
    rows = []
    for name in names:
        short = f"peer_{name}".replace("/", "_")
        cells = [f"{short}_{value}" for value in ("tv", "auc", "seconds", "megabytes")]
        values = [shown(cell, numbers) for cell in cells]
        rows.append([_peer(name), *(["no result", "-", "-", "-"] if failure(name) else values)])
    caption = (
        ": Other libraries beside ours at equal epsilon, each a process of its own at its default "
        f"settings, from `{command()}`. Intervals are over seeds."
    )
    reasons = {name: failure(name).replace("`", "'") for name in names}  # code within code
    failed = [f"{_peer(name)} (`{reason}`)" for name, reason in reasons.items() if reason]
    said = f"\n\nNo result came of {'; '.join(failed)}." if failed else ""
    return f"{centred(head, rows)}\n\n{caption}{said}"


def _peer(name: str) -> str:
    """Return a library with its version, and the method.

    >>> _peer("dp_synth/mst")
    'dp_synth, MST'
    """
    library, _, method = name.partition("/")
    read = yaml.safe_load(FIELD.read_text(encoding="utf-8"))["libraries"]
    found = [x for x in read if x["name"].removesuffix("-synth") == library]
    version = f" {found[0]['version']}" if found else ""
    return f"{found[0]['name'] if found else library}{version}, {title(method)}"


TABLES: dict[str, Callable[[Names], str]] = {
    "field": field,
    "features": features,
    "sources": sources,
    "adult": adult,
    "adult_all": adult_all,
    "networks": networks,
    "noise": noise,
    "power": power,
    "ledgers": ledgers,
    "leaks": leaks,
    "peers": peers,
}


def expanded(template: str, numbers: Mapping[str, Number]) -> str:
    """Return a template whose tables are drawn, with every number still named."""
    return TABLE.sub(lambda found: TABLES[found[1]](numbers), template)


def filled(template: str, numbers: Mapping[str, Number]) -> str:
    """Return the text with every number in its place; KeyError for a name that is not known.

    >>> filled("by {{gain}} %", {"gain": Number(17.0, 0, "", "")})
    'by 17 %'
    """
    return NUMBER.sub(
        lambda found: numbers[found[1]].text(found[2] or ""), expanded(template, numbers)
    )


def places(template: str, numbers: Mapping[str, Number]) -> Iterator[tuple[str, str]]:
    """Yield the name and the form of every number of a template, in order."""
    for found in NUMBER.finditer(expanded(template, numbers)):
        yield found[1], found[2] or ""
