"""A executor takes no more cells than it has processes for, and leaves none of them behind."""

import psutil
import pytest
from misdeeds import cell_of, measuring_cells, work

from dp_synth.benchmark.executor import local_executor


@pytest.fixture
def others():
    """Processes that tests before left to this one's, such as joblib's."""
    return set(psutil.Process().children(recursive=True))


def test_cells_are_taken_when_a_process_is_free_and_each_comes_back_once(others):
    cells, taken, given = measuring_cells(20), [], []

    def asked():
        for cell in cells:
            taken.append(cell)
            assert len(taken) - len(given) <= 2
            yield cell

    for cell, outcome in local_executor(work, 2)(asked()):
        given.append(cell)
        assert outcome.measured[0].value == 1 / (cell.seed + 3)
    assert taken == cells
    assert sorted(cell.seed for cell in given) == [cell.seed for cell in cells]
    assert set(psutil.Process().children(recursive=True)) <= others


def test_no_process_is_started_that_is_not_needed(others):
    cells = (cell_of("tell process", seed=seed) for seed in range(3))
    ended = local_executor(work, 50)(cells)
    first = next(ended)
    assert len(set(psutil.Process().children()) - others) <= 3
    rest = list(ended)
    assert {outcome.error for _, outcome in [first, *rest]} == {""}


def test_a_crew_that_is_closed_gives_cells_under_way_up(others, tmp_path):
    cells = [cell_of("fine"), cell_of("hang with child", mark=str(tmp_path / "mark"))]
    ended = local_executor(work, 2)(iter(cells))
    assert next(ended)[0] == cells[0]
    ended.close()
    assert set(psutil.Process().children(recursive=True)) <= others
