"""The committed notebooks can be read as they are, and were run as they stand."""

import base64
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_LINES = 22  # of a cell
MOST_BYTES = 150_000  # of a figure
STORIES = 8
CAPTION = "**Figure.** "
# Faulty mechanisms, and a synthesizer of one's own: there the story is what is defined.
DEFINING = ("04_auditing", "07_a_new_synthesizer")
# A number that somebody measured has a decimal point or a percent sign; versions have two points.
MEASURED = re.compile(r"(?<![\w.-])\d+\.\d+(?![\w.])|\d+ ?%")


def cells_of(path, kind):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == kind]


def outputs_of(path):
    return [output for cell in cells_of(path, "code") for output in cell["outputs"]]


def text_of(path):
    return "".join("".join(cell["source"]) for cell in cells_of(path, "markdown"))


def code_of(path):
    return "\n".join("".join(cell["source"]) for cell in cells_of(path, "code"))


def pictures_in(outputs):
    return [output for output in outputs if "image/png" in output.get("data", {})]


def test_every_story_is_told():
    assert len(NOTEBOOKS) == STORIES
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{n:02d}" for n in range(1, STORIES + 1)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestNotebook:
    def test_was_run_from_top_to_bottom_in_one_go(self, path):
        counts = [cell["execution_count"] for cell in cells_of(path, "code")]
        assert counts == list(range(1, len(counts) + 1))

    def test_shows_neither_errors_nor_warnings(self, path):
        for output in outputs_of(path):
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr", "".join(output["text"])

    def test_has_cells_that_can_be_taken_in_at_a_glance(self, path):
        for cell in cells_of(path, "code"):
            lines = "".join(cell["source"]).strip().splitlines()
            assert len([line for line in lines if line.strip()]) <= MOST_LINES, lines[0]

    def test_defines_something_only_where_that_is_the_story(self, path):
        defined = re.findall(r"^ *(?:def|class) +\w+", code_of(path), flags=re.MULTILINE)
        assert bool(defined) == (path.stem in DEFINING), defined

    def test_leaves_how_figures_look_to_the_package(self, path):
        assert "rcParams" not in code_of(path)
        has_look = re.search(r"with (figures\.)?look\(\):", code_of(path)) is not None
        assert has_look == bool(pictures_in(outputs_of(path)))

    def test_has_small_figures_each_with_a_caption_as_its_text(self, path):
        captions = [
            "".join(output["data"]["text/markdown"])
            for output in outputs_of(path)
            if "text/markdown" in output.get("data", {})
        ]
        captions = [text for text in captions if text.startswith(CAPTION)]
        pictures = pictures_in(outputs_of(path))
        assert len(pictures) == len(captions)
        for picture in pictures:
            assert len(base64.b64decode(picture["data"]["image/png"])) < MOST_BYTES
            assert len(picture["metadata"]["image/png"]["alt"].split()) > 10

    def test_types_no_measured_number_into_its_prose(self, path):
        without_code = re.sub(r"```.*?```|`[^`]*`", "", text_of(path), flags=re.DOTALL)
        assert not MEASURED.findall(without_code.replace("95 % interval", ""))

    def test_links_only_to_what_is_there(self, path):
        for target in re.findall(r"\]\(([^)]+)\)", text_of(path)):
            assert target.startswith("https://") or (path.parent / target).exists(), target

    def test_needs_no_network_and_no_place_of_its_own(self, path):
        written = path.read_text(encoding="utf-8")
        assert not re.search(r"urlopen|requests\.|pip install -|wget|/home/|/tmp/|/work/", written)
