"""Whatever goes by a name can be cited: instances, classes, releases, tables, functions."""

from __future__ import annotations

import pytest

import dp_synth as dps
from dp_synth.attacks import ATTACKS
from dp_synth.errors import InputError
from dp_synth.synthesizers import SYNTHESIZERS


@pytest.mark.parametrize("kind", [*SYNTHESIZERS.values(), *ATTACKS.values()])
def test_a_class_and_an_instance_are_cited_as_their_name_is(kind: type) -> None:
    assert dps.cite(kind) == dps.cite(kind()) == dps.cite(kind.name)


def test_a_table_a_function_and_the_toolkit_are_cited_as_their_names_are() -> None:
    assert dps.cite(dps.datasets.load("adult")) == dps.cite("adult")
    assert dps.cite(dps.attacks.attribute_inference) == dps.cite("attribute_inference")
    assert dps.cite(dps.attacks.ReconSyn) == dps.cite("reconsyn")
    assert dps.cite(dps) == dps.cite("dp_synth")


@pytest.mark.parametrize("what", [3, None, dps.PrivacyBudget(1, 1e-9)])
def test_what_goes_by_no_name_is_refused_in_one_line(what: object) -> None:
    with pytest.raises(InputError, match=r"nothing to cite is called .*; there are: ") as caught:
        dps.cite(what)
    assert "\n" not in str(caught.value)
