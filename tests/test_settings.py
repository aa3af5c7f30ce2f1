"""Settings of the wrong kind are refused where they are given, in one line that names them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from dp_synth.accounting import PrivacyBudget, events
from dp_synth.attacks import ATTACKS
from dp_synth.attacks.article_29 import Guessing
from dp_synth.attacks.reconstruction import ReconSyn
from dp_synth.checkpoint import Checkpoint
from dp_synth.errors import InputError
from dp_synth.settings import check_settings, read_setting
from dp_synth.synthesizers import MST, MWEM, PATEGAN, SYNTHESIZERS

EVENTS: list[type] = [
    kind for kind in vars(events).values() if isinstance(kind, type) and is_dataclass(kind)
]
NEEDED: dict[type, dict[str, Any]] = {
    PrivacyBudget: {"epsilon": 1.0, "delta": 1e-6},
    ReconSyn: {"sizes": (2, 3)},
    Checkpoint: {"path": "kept.npz"},
}
KINDS: list[type] = [*SYNTHESIZERS.values(), *ATTACKS.values(), Guessing, *NEEDED]
FIELDS = [(kind, field.name) for kind in KINDS for field in fields(kind)]


@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=lambda x: getattr(x, "__name__", x))
def test_a_value_of_no_kind_that_a_setting_has_is_named_with_what_would_be_right(
    kind: type, name: str
) -> None:
    takes_functions = name in ("critic", "generator")  # and so classes
    for wrong in (b"bytes", {"a": 1}, 5 if takes_functions else object):
        with pytest.raises(InputError) as raised:
            kind(**NEEDED.get(kind, {}) | {name: wrong})
        said = str(raised.value)
        assert said.startswith(f"{name} must be ")
        assert said.endswith(f", got {wrong!r}")
        assert "\n" not in said
        assert "--" not in said


@dataclass(frozen=True)
class Settings:
    """One field of each kind."""

    flag: bool = False
    count: int = 1
    share: float = 0.5
    title: str = ""
    law: Literal["gaussian", "laplace"] = "gaussian"
    sizes: tuple[int, ...] = ()
    most: int | None = None
    free: Any = None

    def __post_init__(self) -> None:
        check_settings(self)


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("flag", "yes", "flag must be True or False, got 'yes'"),
        ("flag", 1, "flag must be True or False, got 1"),
        ("count", "2", "count must be a whole number, got '2'"),
        ("count", 2.5, "count must be a whole number, got 2.5"),
        ("count", True, "count must be a whole number, got True"),
        ("count", None, "count must be a whole number, got None"),
        ("share", "abc", "share must be a number, got 'abc'"),
        ("share", False, "share must be a number, got False"),
        ("title", 5, "title must be a text, got 5"),
        ("law", "gumbel", "law must be one of gaussian, laplace, got 'gumbel'"),
        ("sizes", (1, "2"), "sizes must be a list of whole numbers, got (1, '2')"),
        ("sizes", 3, "sizes must be a list of whole numbers, got 3"),
        ("most", 1.5, "most must be a whole number or None, got 1.5"),
    ],
)
def test_the_line_says_which_values_a_setting_takes(name: str, wrong: object, said: str) -> None:
    with pytest.raises(InputError) as raised:
        Settings(**{name: wrong})  # type: ignore[arg-type]
    assert str(raised.value) == said


def test_what_means_the_same_is_taken_and_kept_as_python_has_it() -> None:
    made: Any = Settings(
        flag=np.bool_(True),  # type: ignore[arg-type]
        count=np.int64(3),  # type: ignore[arg-type]
        share=np.float32(0.25),  # type: ignore[arg-type]
        sizes=[1, np.int32(2)],  # type: ignore[arg-type]
        most=np.int8(4),  # type: ignore[arg-type]
        free=object,
    )
    given = asdict(made)
    assert given.pop("free") is object
    assert given == {
        "flag": True,
        "count": 3,
        "share": 0.25,
        "title": "",
        "law": "gaussian",
        "sizes": (1, 2),
        "most": 4,
    }
    assert [type(value) for value in given.values()] == [bool, int, float, str, str, tuple, int]
    assert Settings(share=2).share == 2


@pytest.mark.parametrize(
    ("kind", "name", "text", "value"),
    [
        (MST, "coarseness", "0.5", 0.5),
        (MST, "coarseness", "abc", "abc"),
        (MST, "as_published", "true", True),
        (MST, "as_published", "False", False),
        (MWEM, "rounds", "null", None),
        (MWEM, "rounds", "None", None),
        (PATEGAN, "label", "5", "5"),
        (PATEGAN, "label", "true", "true"),
        (PATEGAN, "label", '"5"', "5"),
        (PATEGAN, "noise", "laplace", "laplace"),
        (Settings, "sizes", "[1, 2]", [1, 2]),
        (Settings, "absent", "1", 1),
    ],
)
def test_a_setting_is_read_from_text_as_its_kind_has_it(
    kind: type, name: str, text: str, value: object
) -> None:
    assert read_setting(kind, name, text) == value


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1.0])
def test_numbers_that_a_fit_could_not_work_with_are_refused_beforehand(wrong: float) -> None:
    for kind in SYNTHESIZERS.values():
        numbers = [field for field in fields(kind) if field.type == "float"]
        for name in (field.name for field in numbers if field.name != "target_epsilon"):
            with pytest.raises(ValueError, match=name):
                kind(**{name: wrong})


@pytest.mark.parametrize(
    "kind", [kind for kind in EVENTS if any(field.type == "float" for field in fields(kind))]
)
def test_a_number_of_an_event_that_is_a_text_is_named(kind: type) -> None:
    wrong = {field.name: "2" for field in fields(kind)}
    with pytest.raises(ValueError, match=r"^(.*) must .*, got '2'$") as raised:
        kind(**wrong)
    assert str(raised.value).split()[0] in wrong


@dataclass(frozen=True)
class Ranged:
    """A class that states the ranges of its settings by name."""

    rounds: int = 2
    share: float = 0.5
    LEAST: ClassVar = {"rounds": 2}
    ABOVE: ClassVar = {"share": 0}
    LARGEST: ClassVar = {"rounds": 9}

    def __post_init__(self) -> None:
        check_settings(self)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rounds": 1}, "rounds must be 2 or more, got 1"),
        ({"rounds": 10}, "rounds must be at most 9, got 10"),
        ({"share": 0.0}, "share must be above 0, got 0.0"),
        ({"share": float("nan")}, "share must be above 0, got nan"),
    ],
)
def test_a_range_that_a_class_states_is_kept(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Ranged(**wrong)
    assert Ranged(9, 1e-300) == Ranged(rounds=9, share=1e-300)
