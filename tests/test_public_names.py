"""The package's names are loaded when they are used, and every one of them is there."""

import subprocess
import sys
from inspect import ismodule

import pytest

import dp_synth

PACKAGES = [name for name in dp_synth.__all__ if ismodule(getattr(dp_synth, name))]


@pytest.mark.parametrize("name", dp_synth.__all__)
def test_every_public_name_is_there_and_listed(name):
    assert getattr(dp_synth, name) is not None
    assert name in dir(dp_synth)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_of_a_package_is_there_once(package):
    module = getattr(dp_synth, package)
    assert len(module.__all__) == len(set(module.__all__))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_another_name_is_an_attribute_error_as_of_any_module():
    with pytest.raises(AttributeError, match="dp_synth attribute Mst"):
        dp_synth.Mst  # noqa: B018


def test_the_bare_package_loads_neither_numpy_nor_a_part_of_its_own():
    code = (
        "import sys, dp_synth; print([m for m in sys.modules"
        " if m == 'numpy' or m.startswith('dp_synth.') and m != 'dp_synth._version'])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
