"""Holders of records in processes of their own, who answer by files in a shared folder.

The coordinator, who fits, opens a session in the folder and writes requests; each holder answers
with the marginals of its own records, as whole numbers modulo 2**64. Files are there whole or not
at all, and the coordinator removes them when they are read.

Without `Masks` the coordinator sees each holder's exact counts. With them it sees their sum
alone, where it follows the protocol and no two parties share what they know.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from dp_synth.counting.marginals import dense_shape
from dp_synth.counting.masks import HolderFolder, Masks, Words, checked_names
from dp_synth.counting.records import PrivateRecords, finest_domain
from dp_synth.domain import Domain
from dp_synth.errors import InputError, SchemaError
from dp_synth.files import write_whole
from dp_synth.readers import JsonFault, parse_json, read_json
from dp_synth.schema import Schema
from dp_synth.types import Clique, Codes, Floats

SESSION = "session.json"
PAUSE = 0.02  # seconds between two looks into the folder
LARGEST_SUM = 2**53  # of counts that a double holds exactly
CHARGED = "what a ledger was charged stays charged"


def digest_of(schema: Schema) -> str:
    """Return a digest by which holders and coordinator know that they have one schema."""
    told = json.dumps(schema.without_keys.to_dict(), sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


class FolderAdder:
    """Adds the answers of holders in a folder.

    InputError where the folder is in use, and where a holder is not there, or has another schema:
    each is asked for nothing first, before anything is charged.
    """

    def __init__(self, source: HolderFolder, schema: Schema) -> None:
        self._folder, self._source = Path(source.folder), source
        self._domain, self._asked = finest_domain(schema), 0
        self._session = secrets.token_hex(16)
        if not self._folder.is_dir():
            raise InputError(f"{self._folder}: there is no such folder")
        said = {
            "session": self._session,
            "holders": list(source.holders),
            "schema": digest_of(schema),
        }
        try:
            with (self._folder / SESSION).open("x") as file:
                json.dump(said, file)
        except FileExistsError:
            raise InputError(
                f"{self._folder}: another fit asks here, or one was cut off; take an empty folder"
            ) from None
        except OSError:
            raise InputError(f"{self._folder}: the folder cannot be written to") from None
        with ExitStack() as undo:
            undo.callback(self.close)
            self.sums([], {})
            undo.pop_all()

    def sums(self, cliques: Sequence[Clique], groups: Mapping[str, Codes]) -> list[Floats]:
        """Return the marginal over each clique of all records; errors as `Adder.sums`."""
        self._asked += 1
        stem = f"{self._session}-{self._asked}"
        used = {name for clique in cliques for name in clique}
        asked = {
            "request": secrets.token_hex(16),
            "cliques": [list(clique) for clique in cliques],
            "groups": {name: groups[name].tolist() for name in groups if name in used},
        }
        shapes = [dense_shape(self._domain.coarsened(groups), clique) for clique in cliques]
        places = {name: self._folder / f"{stem}.{name}" for name in self._source.holders}
        request = self._folder / f"{stem}.request"
        try:
            write_whole(request, json.dumps(asked).encode(), private=False)
            words = self._added(places, sum(int(np.prod(shape)) for shape in shapes))
        finally:
            for path in (request, *places.values()):
                with suppress(OSError):
                    path.unlink()
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
        parts = np.split(words.astype(np.float64), ends) if shapes else []
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def _added(self, places: Mapping[str, Path], cells: int) -> Words:
        until = time.monotonic() + self._source.seconds
        total, masks = np.zeros(cells, dtype=np.uint64), set[str]()
        for name, path in places.items():
            while not path.exists():
                if time.monotonic() > until:
                    raise InputError(
                        f"holder {name!r} did not answer within {self._source.seconds:g} seconds; "
                        f"{CHARGED}"
                    )
                time.sleep(PAUSE)
            head, words = _read_answer(path, name, cells)
            masks.add(str(head.get("masks")))
            total += words
        if len(masks) > 1:
            raise InputError(f"holders mask their answers by different keys or lists; {CHARGED}")
        if cells and int(total.max()) > LARGEST_SUM:
            raise InputError(f"the holders' answers add up to no counts; {CHARGED}")
        return total

    def close(self) -> None:
        """End the session: the holders stop."""
        with suppress(OSError):
            (self._folder / SESSION).unlink()


def answer_of(words: Words, head: Mapping[str, object]) -> bytes:
    """Return the content of an answer: a line of JSON, and the words."""
    content = words.astype("<u8").tobytes()
    told = {"cells": len(words), "sha256": hashlib.sha256(content).hexdigest(), **head}
    return json.dumps(told).encode() + b"\n" + content


def _read_answer(path: Path, name: str, cells: int) -> tuple[dict[str, Any], Words]:
    """Return the head of a holder's answer and its words; InputError where it is none."""
    try:
        first, _, content = path.read_bytes().partition(b"\n")
        head = parse_json(first)
        if problem := head.get("problem"):
            what = "has another schema" if problem == "schema" else "refused the request"
            raise SchemaError(f"holder {name!r} {what}; {CHARGED}")
        whole = hashlib.sha256(content).hexdigest() == head["sha256"]
        if not whole or len(content) != 8 * cells:
            raise KeyError
    except (OSError, KeyError, AttributeError, TypeError, JsonFault):
        raise InputError(
            f"holder {name!r}: its answer is cut short or damaged; {CHARGED}"
        ) from None
    return head, np.frombuffer(content, dtype="<u8").astype(np.uint64)


class Holder:
    """One holder of records, who answers the requests of one session in a folder."""

    def __init__(
        self, folder: str | PathLike[str], records: PrivateRecords, name: str, masks: Masks | None
    ) -> None:
        (self._name,) = checked_names([name])
        if masks is not None and name not in masks.holders:
            raise InputError(f"holder {name!r} is not one of those whose answers are masked")
        self._folder, self._records, self._masks = Path(folder), records, masks

    def answer(self, seconds: float) -> None:
        """Answer all that is asked until the session ends; InputError where nothing is in time."""
        until = time.monotonic() + seconds
        while (session := self._session()) is None:
            if time.monotonic() > until:
                raise InputError(f"{self._folder}: nobody asked within {seconds:g} seconds")
            time.sleep(PAUSE)
        asked = 1
        while True:
            path = self._folder / f"{session['session']}-{asked}.request"
            if path.exists():
                self._answer(path, session)
                asked, until = asked + 1, time.monotonic() + seconds
            elif self._session() != session:
                return
            elif time.monotonic() > until:
                raise InputError(f"{self._folder}: nothing was asked within {seconds:g} seconds")
            else:
                time.sleep(PAUSE)

    def _session(self) -> dict[str, Any] | None:
        try:
            session = read_json(self._folder / SESSION)
            return session if self._name in session["holders"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _answer(self, path: Path, session: Mapping[str, Any]) -> None:
        place = path.with_suffix(f".{self._name}")
        try:
            content = self._told(path.read_bytes(), session)
        except InputError as error:
            kind = "schema" if isinstance(error, SchemaError) else "request"
            write_whole(place, answer_of(np.empty(0, np.uint64), {"problem": kind}))
            raise
        write_whole(place, content)

    def _told(self, request: bytes, session: Mapping[str, Any]) -> bytes:
        if session.get("schema") != digest_of(self._records.schema):
            raise SchemaError("the fit has another schema than this holder; nothing was told")
        masks = None
        if self._masks is not None:
            if tuple(session["holders"]) != tuple(self._masks.holders):
                raise InputError("the fit asks other holders than answers are masked for")
            masks = self._masks.told(session["session"])
        cliques, groups = _read_request(request, self._records.counts.domain)
        counts = self._records.counts.coarsened(groups) if groups else self._records.counts
        tables = [table.reshape(-1) for table in counts.marginals(cliques)]
        words = np.concatenate([*tables, np.empty(0)]).astype(np.uint64)
        if self._masks is not None:
            words = self._masks.applied(words, self._name, request)
        return answer_of(words, {"masks": masks})


def _read_request(request: bytes, domain: Domain) -> tuple[list[Clique], dict[str, Codes]]:
    """Return what a request asks; InputError for what no fit asks."""
    try:
        asked = parse_json(request)
        cliques = [tuple(map(str, clique)) for clique in asked["cliques"]]
        groups = {n: np.array(g, dtype=np.int32) for n, g in asked["groups"].items()}
        for name, group in groups.items():
            if group.shape != (domain.size(name),) or group.min() < 0:
                raise ValueError
        coarse = domain.coarsened(groups)
        for clique in cliques:
            dense_shape(coarse, clique)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError("a request in the folder is damaged, or of another schema") from None
    return cliques, groups
