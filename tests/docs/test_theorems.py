"""The proofs that Coq checks leave nothing open, and pages say of them what they say."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import theorems

CHECKED = os.environ.get("PROOFS_CHECKED", "")  # where Coq has checked them: `make proofs`
PAGE = theorems.FOLDER / "index.md"
COMMENT = re.compile(r"\(\*.*?\*\)", re.DOTALL)
OPEN = re.compile(
    r"\b(Admitted|admit|give_up|Axioms?|Parameters?|Conjecture|Declare|Unset|bypass_check|Abort)\b"
)
ASSUMED = re.compile(r"^(?:Variables?|Hypothes[ie]s|Context)\b", re.MULTILINE)
SECTION = re.compile(r"^Section (\w+)\..*?^End \1\.", re.DOTALL | re.MULTILINE)
READ = re.compile(r"^(?:From (\w+) )?Require", re.MULTILINE)
AXIOMS = {
    "ClassicalDedekindReals.sig_not_dec",
    "ClassicalDedekindReals.sig_forall_dec",
    "FunctionalExtensionality.functional_extensionality_dep",
    "Classical_Prop.classic",
}


def taken_for_granted(text: str) -> list[str]:
    """Return what a file leaves unproved; what a section assumes is said by its theorems."""
    text = COMMENT.sub("", text)
    found = OPEN.findall(text) + ASSUMED.findall(SECTION.sub("", text))
    return found + [
        f"Require {name}" for name in READ.findall(text) if name not in ("Coq", "Proofs")
    ]


def test_nothing_is_taken_for_granted() -> None:
    assert {file.name for file in theorems.files()} == {f.name for f in theorems.FOLDER.glob("*.v")}
    for file in theorems.files():
        assert taken_for_granted(file.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "Theorem easy : 1 = 2.\nProof. Admitted.",
        "Axiom easy : 1 = 2.",
        "Lemma easy : 1 = 2.\nProof. admit. Admitted.",
        "Section S.\nEnd S.\nHypothesis easy : 1 = 2.",
        "Parameter x : nat.",
        "Unset Guard Checking.",
        "From Else Require Import easy.",
        "Require Import easy.",
    ],
)
def test_what_is_left_open_is_noticed(text: str) -> None:
    assert taken_for_granted(text)


def test_the_page_names_every_theorem_and_none_that_does_not_exist() -> None:
    assert set(theorems.named(PAGE)) == set(theorems.theorems())


def test_the_axioms_of_every_theorem_are_asked_for() -> None:
    asked = re.findall(r"@(\w+)", (theorems.FOLDER / "axioms.v").read_text("utf-8"))
    assert sorted(asked) == sorted(name for _, name in theorems.theorems())


def test_statements_are_shown_whole_and_proofs_are_not() -> None:
    shown = theorems.statements()
    for _, name in theorems.theorems():
        assert f"Theorem {name}" in shown
    assert not re.search(r"^(Proof|Qed|Lemma|  rewrite)", shown, re.MULTILINE)
    for file in theorems.files():
        text = file.read_text("utf-8")
        for name in re.findall(
            r"^(?:Definition|Fixpoint|Inductive|Record) (\w+)", text, re.MULTILINE
        ):
            assert not theorems.THEOREM.search(text) or re.search(rf"\b{name}\b", shown)


@pytest.mark.skipif(not CHECKED, reason="`make proofs` has Coq check the proofs, then asks this")
def test_coq_accepts_the_proofs_and_names_no_axiom_but_those_of_real_numbers() -> None:
    folder = Path(CHECKED)
    for file in theorems.files():
        copy = folder / file.name
        assert copy.read_bytes() == file.read_bytes()
        assert copy.with_suffix(".vo").stat().st_mtime >= copy.stat().st_mtime
    command = ["coqc", "-q", "-Q", ".", "Proofs", "axioms.v"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = re.findall(r"^(\S+)\s*(?:$|:)", done.stdout, re.MULTILINE)
    assert set(said) - {"Axioms:"} == AXIOMS
