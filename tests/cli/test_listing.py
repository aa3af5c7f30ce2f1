"""`dp-synth list`: names that other commands take, with a line on each."""

import pytest

from dp_synth import datasets
from dp_synth.attacks import ATTACKS
from dp_synth.cli import main
from dp_synth.metrics import METRICS
from dp_synth.synthesizers import SYNTHESIZERS


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("synthesizers", list(SYNTHESIZERS)),
        ("attacks", list(ATTACKS)),
        ("metrics", list(METRICS)),
        ("datasets", list(datasets.names())),
    ],
)
def test_each_name_stands_on_a_line_with_a_word_on_what_it_is(kind, names, capsys):
    assert main(["list", kind]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert [line.split()[0] for line in lines] == names
    assert all(len(line.split()) > 1 for line in lines)


def test_an_unknown_kind_is_refused(capsys):
    assert main(["list", "nonsense"]) == 2
    assert "synthesizers" in capsys.readouterr().err
