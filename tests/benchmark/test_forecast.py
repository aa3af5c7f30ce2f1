"""A forecast rests on cells of the same kind that ended, and says where there are none."""

from fake_cells import fake_cell

from dp_synth.benchmark.cell import Outcome
from dp_synth.benchmark.runner import Forecast, forecast


def test_time_is_the_mean_and_memory_the_most_of_what_ended(tmp_path):
    ended = [Outcome(wall_seconds=1.0, peak_mb=100), Outcome(wall_seconds=3.0, peak_mb=80)]
    others = [Outcome(error="TimedOut: no", wall_seconds=900.0), None]
    cells = [fake_cell(seed, tmp_path) for seed in range(4)]
    other = fake_cell(0, tmp_path, synthesizer="aim")
    found = forecast([*zip(cells, [*ended, *others], strict=True), (other, None)])
    assert found == [
        Forecast("adult", "utility", "mst", 2, 2.0, 100),
        Forecast("adult", "utility", "aim", 1, None, None),
    ]
    assert [one.total for one in found] == [4.0, None]
