"""Names of others are found by entry point and by dotted name, and a wrong one is one line."""

import sys
from importlib.metadata import EntryPoint

import pytest

from dp_synth import MST, extensions
from dp_synth.errors import InputError


@pytest.fixture
def declared(monkeypatch):
    points = [
        EntryPoint("theirs", "math:sqrt", "dp_synth.metrics"),
        EntryPoint("broken", "math:no_such", "dp_synth.metrics"),
    ]
    monkeypatch.setattr(extensions, "entry_points", lambda group: points)


@pytest.mark.usefixtures("declared")
def test_a_known_name_comes_before_a_declared_one_and_that_before_a_dotted_one():
    assert extensions.find("metrics", "theirs", {"theirs": abs}) is abs
    assert extensions.find("metrics", "theirs", {})(9.0) == 3.0
    assert extensions.find("metrics", "os.path:join", {})("a", "b") == "a/b"
    assert extensions.names("metrics", ["ours", "theirs"]) == ("ours", "theirs", "broken")


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tv22", r"no metric named 'tv22'; did you mean 'tv2'\? there are: tv1, tv2, broken, th"),
        ("no_such_module:thing", "metric 'no_such_module:thing': No module named"),
        ("math:no_such", "metric 'math:no_such': .*has no attribute 'no_such'"),
        (":", "metric ':': "),
        (".here:thing", "metric '.here:thing': "),
        ("not_python:thing", r"metric 'not_python:thing': .*not_python\.py, line 1"),
        ("broken", "entry point 'broken' \\(math:no_such\\): "),
    ],
)
def test_a_name_that_is_not_found_is_one_line(name, said, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "not_python.py").write_text("def thing(:\n")
    with pytest.raises(InputError, match=said) as caught:
        extensions.find("metrics", name, {"tv1": abs, "tv2": abs})
    assert "\n" not in str(caught.value)


def test_code_of_others_is_a_digest_of_their_file_and_ours_is_none(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "module_of_others.py"
    digests = []
    for text in ("def thing(): return 1\n", "def thing(): return 2  # changed\n"):
        file.write_text(text)
        sys.modules.pop("module_of_others", None)
        digests.append(extensions.code_of(extensions.find("metrics", "module_of_others:thing", {})))
    assert len(set(digests)) == 2
    assert extensions.code_of(MST) == ""
    assert extensions.code_of(abs) == "builtins"
