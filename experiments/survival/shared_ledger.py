"""How a ledger that many processes share fares, each with a temporary folder of its own.

    python -m experiments.survival.shared_ledger [--beside FOLDER] [--tear] [--signers 12]

20 processes try 5 times each to spend from one ledger, in which 90 of the 100 attempts fit. A line
says how many were paid, how many ended in an error, what was used of the budget, whether the
ledger verifies, and the processor seconds of all. ``--tear`` first leaves the beginning of a line
at its end, as a crash does. Then so many processes sign one card at once. With ``--beside`` the
same is done by the code in another checkout, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
EPSILON, DELTA, FIT = 1.0, 1e-6, 90


def spend(path: Path, go: Path, tries: int) -> dict[str, int]:
    """Spend from a ledger as soon as ``go`` is there; return how the attempts ended."""
    from dp_synth.accounting import Accountant, Gaussians, Plan, PrivacyBudget
    from dp_synth.errors import BudgetExceeded

    budget = PrivacyBudget(EPSILON, DELTA)
    root = Accountant(budget, adaptive=True)
    multiplier = ((FIT + 0.05) / root.left() / (1 if root.currency == "gdp" else 2)) ** 0.5
    plan = Plan({"ones": Gaussians(1, noise_multiplier=multiplier)})
    ended = {"paid": 0, "refused": 0, "error": 0}
    wait_for(go)
    for number in range(tries):
        try:
            accountant = Accountant(budget, ledger=path, adaptive=True)
            payer = accountant.admit(f"{os.getpid()}-{number}", plan)
            part = payer.plan.gaussians("ones")
            payer.charge(part, part.event(), 1, why="benchmark")
            ended["paid"] += 1
        except BudgetExceeded:
            ended["refused"] += 1
        except (ValueError, OSError) as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            ended["error"] += 1
    return ended


def sign(card: Path, go: Path, number: int) -> dict[str, int]:
    """Sign a card's file as soon as ``go`` is there."""
    try:
        from dp_synth.report.gate import Signature, add_signatures
    except ImportError:  # of a version in which they had another place
        from dp_synth.report.card_signatures import (  # type: ignore[import-not-found, no-redef]
            Signature,
            add_signatures,
        )

    one = Signature.now(f"role {number}", "A", "s", card_sha256="c", publishable_sha256="p")
    wait_for(go)
    add_signatures(card, [one])
    return {"signed": 1}


def wait_for(go: Path) -> None:
    """Say that the process is ready, and wait until all are."""
    parent = os.getppid()
    go.with_name(f"ready-{os.getpid()}").touch()
    while not go.exists():
        if os.getppid() != parent:  # nobody is left to say go
            raise SystemExit(1)
        time.sleep(0.001)


def together(
    code: Path, folder: Path, commands: Sequence[Sequence[object]]
) -> list[dict[str, int]]:
    """Run a process of this file a command, all at once, each with its own temporary folder."""
    running = []
    for number, command in enumerate(commands):
        private = folder / f"tmp-{number}"
        private.mkdir()
        environment = os.environ | {"PYTHONPATH": str(code), "TMPDIR": str(private)}
        words = [sys.executable, __file__, *map(str, command)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        running.append(subprocess.Popen(words, env=environment, text=True, **pipes))  # type: ignore[call-overload]
    while len(list(folder.glob("ready-*"))) < len(running) and all(
        process.poll() is None for process in running
    ):
        time.sleep(0.01)
    (folder / "go").touch()
    answers = [process.communicate() for process in running]
    told = sorted({line for _, text in answers for line in text.splitlines()})
    for line in told[:2]:
        print(f"    {line.replace(str(folder), '')[:150]}")
    return [json.loads(text) if text else {"error": 1} for text, _ in answers]


def shared(code: Path, processes: int, tries: int, torn: bool) -> str:
    """Return the line of one round of spending."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "ledger.jsonl"
        new = f"--epsilon {EPSILON} --delta {DELTA}".split()
        main = "import sys; from dp_synth.cli import main; sys.exit(main(sys.argv[1:]))"
        environment = os.environ | {"PYTHONPATH": str(code)}
        command = [sys.executable, "-P", "-c", main, "ledger"]
        subprocess.run([*command, "new", path, *new], env=environment, check=True, stdout=-3)
        if torn:
            with path.open("ab") as file:
                file.write(b'{"kind": "reservation", "rec')
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ended = together(code, folder, [["spend", path, folder / "go", tries]] * processes)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [*command, "verify", path], env=environment, capture_output=True, text=True, check=False
        )
        left = sum(len(list(private.iterdir())) for private in folder.glob("tmp-*"))
    totals = {key: sum(one.get(key, 0) for one in ended) for key in ("paid", "refused", "error")}
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    verified = "verifies" if done.returncode == 0 else f"fails: {done.stderr.strip()[-60:]}"
    return (
        f"{totals['paid']} paid, {totals['refused']} refused, {totals['error']} errors, "
        f"{100 * totals['paid'] / (FIT + 0.05):.1f} % used; {verified}; {left} files left in "
        f"temporary folders; {seconds:.1f} s of processors"
    )


def signed(code: Path, signers: int) -> str:
    """Return the line of one round of signing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = folder / "card.signatures.json"
        together(code, folder, [["sign", place, folder / "go", n] for n in range(signers)])
        kept = len(json.loads(place.read_text())["signatures"])
    return f"{signers} sign at once: {kept} kept"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beside", type=Path, help="another checkout to measure too")
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--tries", type=int, default=5, help="of each process")
    parser.add_argument("--signers", type=int, default=12)
    parser.add_argument("--tear", action="store_true", help="begin with an unfinished line")
    asked = parser.parse_args()
    for code in [*([asked.beside.resolve()] if asked.beside else []), HERE]:
        print(f"{'this code' if code == HERE else 'beside'}:")
        print("   ", shared(code, asked.processes, asked.tries, asked.tear))
        print("   ", signed(code, asked.signers))


if __name__ == "__main__":
    works = {"spend": spend, "sign": sign}
    if sys.argv[1:2] and sys.argv[1] in works:
        name, path, go, number = sys.argv[1:]
        print(json.dumps(works[name](Path(path), Path(go), int(number))))
    else:
        main()
