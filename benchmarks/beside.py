"""Fits of one method beside those of another checkout: the same records, the same seeds.

    python -m benchmarks.beside CHECKOUT [--table adult_discrete] [--synthesizer aim]
        [--epsilon 10] [--delta 1e-9] [--seeds 0 1 2 3 4] [--set NAME=VALUE ...]

Each fit has a process of its own on one thread, and its records in codes; the two take turns. A
line a seed: CPU seconds of a fit with its calibration, TV of all pairs to the fitted records and
AUC of LightGBM on held-out ones, of both. Then ratios of seconds and paired differences of scores,
means with 95 % t-intervals over seeds. ``--set`` is for this checkout alone. Needs the folder that
DP_SYNTH_DATA names.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.versions import ROOT, taken_by

SCORES = ("seconds", "tv", "auc")


@dataclass(frozen=True)
class Request:
    """What a process is asked to fit: a method to the records that lie in a folder."""

    folder: str
    synthesizer: str
    settings: Mapping[str, object]
    epsilon: float
    delta: float
    seed: int

    def answer(self) -> float:
        """Write rows beside the records and return CPU seconds of the fit, by any version."""
        import dp_synth as dps

        folder = Path(self.folder)
        schema = dps.Schema.from_dict(json.loads((folder / "schema.json").read_text()))
        records = pd.read_pickle(folder / "records.pickle")
        recipe = dps.SYNTHESIZERS[self.synthesizer](**self.settings)
        started = time.process_time()
        accountant = dps.Accountant(dps.PrivacyBudget(self.epsilon, self.delta), simulate=True)
        release = recipe.fit(records, schema, accountant, seed=self.seed)
        seconds = time.process_time() - started
        release.sample(len(records), seed=self.seed).to_pickle(folder / "rows.pickle")
        return seconds


def measured(
    versions: Sequence[Path], table: str, seeds: Sequence[int], given: Mapping[str, object]
) -> pd.DataFrame:
    """Return the scores of each version's fits, a line a seed and version; 0 is the other."""
    from benchmarks.inputs import Source, boosted_auc, load, numbers_of
    from dp_synth.metrics import workload_error

    data = load(Source(table))
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "schema.json").write_text(json.dumps(data.schema.to_dict()))
        data.train.to_pickle(Path(folder, "records.pickle"))
        for seed in seeds:
            for place, version in enumerate(versions):
                own = {"settings": given["settings"] if version == ROOT else {}}
                request = json.dumps({**given, **own, "folder": folder, "seed": seed})
                taken = taken_by(version, "-m", "benchmarks.beside", "--here", request)
                rows = pd.read_pickle(Path(folder, "rows.pickle"))
                scores = {
                    "seconds": float(taken.lines[-1]),
                    "tv": workload_error(data.train, rows, data.schema).value,
                }
                if data.schema.label and len(data.holdout):
                    coded = (numbers_of(one, data.schema) for one in (rows, data.holdout))
                    scores["auc"] = boosted_auc(*coded, data.schema.label)
                lines.append({"seed": seed, "version": place, **scores})
                print(*(f"{name} {value:.4g}" for name, value in lines[-1].items()), flush=True)
    return pd.DataFrame(lines)


def compared(found: pd.DataFrame) -> list[str]:
    """Return a line for each score: both means, and the ratio or the paired difference."""
    from dp_synth.records import Spread

    said = []
    for score in SCORES:
        if score not in found:
            continue
        by_seed = found.pivot_table(index="seed", columns="version", values=score)
        other, ours = by_seed[0].to_numpy(), by_seed[1].to_numpy()
        means = f"{score:8} {other.mean():.4f} -> {ours.mean():.4f}"
        if score == "seconds":
            said.append(f"{means}   ratio {Spread.of(ours / other).shown(3)}")
        else:
            said.append(f"{means}   difference {Spread.of(ours - other).shown(4, sign=True)}")
    return said


def _setting(text: str) -> tuple[str, object]:
    """Return the name and the value of a setting as ``name=value``, the value in JSON."""
    name, equals, value = text.partition("=")
    try:
        return name, json.loads(value if equals else "")
    except ValueError:
        said = f"takes name=value, the value in JSON, got {text!r}"
        raise argparse.ArgumentTypeError(said) from None


def main() -> None:
    """Print a line a fit, then the comparison."""
    if sys.argv[1:2] == ["--here"]:
        print(Request(**json.loads(sys.argv[2])).answer(), flush=True)
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkout", type=Path, help="such as an older one")
    parser.add_argument("--table", default="adult_discrete")
    parser.add_argument("--synthesizer", default="aim")
    parser.add_argument("--epsilon", type=float, default=10.0)
    parser.add_argument("--delta", type=float, default=1e-9)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--set", type=_setting, action="append", default=[], metavar="NAME=VALUE")
    told = vars(parser.parse_args())
    given = {name: told[name] for name in ("synthesizer", "epsilon", "delta")}
    given["settings"] = dict(told["set"])
    versions = [told["checkout"].resolve(), ROOT]
    found = measured(versions, told["table"], told["seeds"], given)
    print(*compared(found), sep="\n")


if __name__ == "__main__":
    main()
