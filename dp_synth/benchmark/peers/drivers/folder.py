"""The folder that a driver reads and answers. It needs pandas alone, in any version since 2."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Request:
    """What is asked: the columns with their numbers of codes, a budget, and rows to make."""

    folder: Path
    method: str
    epsilon: float
    delta: float
    adjacency: str
    rows: int
    seed: int
    settings: dict[str, Any]
    columns: list[dict[str, Any]]

    @property
    def sizes(self) -> dict[str, int]:
        """The number of codes of each column, in order."""
        return {column["name"]: column["size"] for column in self.columns}

    @property
    def short_seed(self) -> int:
        """The seed in the 32 bits that numpy's older generators take."""
        return self.seed % 2**32

    def codes(self) -> pd.DataFrame:
        """Return the private table as integer codes."""
        return pd.read_csv(self.folder / "codes.csv", dtype="int64")

    def only_add_remove(self, library: str) -> None:
        """End the process where another guarantee is asked than the library states."""
        if self.adjacency != "add_remove":
            sys.exit(f"{library} calibrates its noise to add_remove alone, not {self.adjacency}")


Work = Callable[[Request], tuple[pd.DataFrame, list[str]]]


def serve(work: Work, packages: Iterable[str]) -> None:
    """Answer the request in the folder that the command line names with rows of codes."""
    parent = os.getppid()
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    request = read(Path(sys.argv[1]))
    rows, notes = work(request)
    rows.to_csv(request.folder / "rows.codes.csv", index=False)
    declared = {"epsilon": request.epsilon, "delta": request.delta, "adjacency": request.adjacency}
    answer = {
        "format": 1,
        "versions": {name: version(name) for name in packages},
        "declared": declared,
        "notes": notes,
    }
    (request.folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def read(folder: Path) -> Request:
    """Return the request in ``folder``."""
    content = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    if content.pop("format") != 1:
        sys.exit("the request is of another format than this driver reads")
    return Request(folder, **content)


def _follow(parent: int) -> None:
    """End with whoever started this process: nobody else waits for its rows."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
