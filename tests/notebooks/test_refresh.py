"""What is kept of a run notebook: outputs, and the sentence of each figure as its text."""

import importlib.util
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="the extra notebooks is not installed")
pytest.importorskip("nbclient", reason="the extra notebooks is not installed")

v4 = nbformat.v4
SCRIPT = Path(__file__).parents[2] / "notebooks" / "refresh.py"


@pytest.fixture(scope="module")
def refresh():
    spec = importlib.util.spec_from_file_location("refresh", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cell_with(data):
    return v4.new_code_cell("", outputs=[v4.new_output("display_data", data)])


def test_a_figure_gets_the_caption_that_follows_it(refresh):
    cells = [
        cell_with({"image/png": "AA=="}),
        cell_with({"text/markdown": "**Figure.** Ages, `real` and *made*."}),
        cell_with({"image/png": "BB=="}),
        cell_with({"text/markdown": "**Figure.** Incomes."}),
    ]
    refresh.describe_figures(cells)
    assert cells[0].outputs[0].metadata["image/png"]["alt"] == "Ages, real and made."
    assert cells[2].outputs[0].metadata["image/png"]["alt"] == "Incomes."
    assert cells[2].metadata["mystnb"]["image"]["alt"] == "Incomes."


def test_other_words_are_no_caption(refresh):
    output = v4.new_output("execute_result", {"text/markdown": "Of 500 rows a half is rich."})
    assert refresh.caption_of(output) == ""


def test_a_caption_shows_the_words_of_a_link(refresh):
    output = v4.new_output("display_data", {"text/markdown": "**Figure.** See [03](03.ipynb)."})
    assert refresh.caption_of(output) == "See 03."


def test_notebooks_are_chosen_by_the_beginnings_of_their_names(refresh):
    assert [path.name[:2] for path in refresh.notebooks(["03", "05"])] == ["03", "05"]
