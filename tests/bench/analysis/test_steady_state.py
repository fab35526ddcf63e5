"""Warm-up: where a series changes its level, and what class that makes of a process."""

import numpy as np
import pytest

from raftmark.bench.analysis.steady_state import (
    SteadyState,
    change_points,
    class_processes,
    classify,
    say_classes,
    slice_rates,
)
from raftmark.bench.design.cells import Cell
from raftmark.bench.runs.store import Run
from tests.bench.support import (
    contenders,
    election_cell,
    fake,
    manifest,
    measure_quietly,
    replicate_cell,
)


def series(*pieces: tuple[float, int], noise: float = 0.01, seed: int = 1) -> list[float]:
    """Levels that last so many slices, with noise of a relative size."""
    rng = np.random.default_rng(seed)
    levels = np.concatenate([np.full(length, level) for level, length in pieces])
    return (levels * (1 + noise * rng.standard_normal(len(levels)))).tolist()


@pytest.mark.parametrize(
    ("rates", "found"),
    [
        (series((100, 20)), SteadyState.FLAT),
        (series((100, 20), noise=0.2), SteadyState.FLAT),
        (series((60, 4), (100, 16)), SteadyState.WARM_UP),
        (series((60, 3), (80, 4), (100, 13)), SteadyState.WARM_UP),
        (series((100, 8), (70, 12)), SteadyState.SLOWDOWN),
        (series((60, 4), (100, 6), (80, 10)), SteadyState.SLOWDOWN),
        (series((100, 17), (50, 3)), SteadyState.NONE),
        (series((50, 17), (100, 3)), SteadyState.NONE),
        (series((100, 10), (101, 10), noise=0.0001), SteadyState.FLAT),  # too small to matter
        # A stall that is over: the level at the end is the best there was.
        (series((100, 8), (30, 3), (100, 9)), SteadyState.WARM_UP),
        ([100.0] * 20, SteadyState.FLAT),
        ([0.0] * 20, SteadyState.FLAT),
        (series((60, 3), (100, 4)), SteadyState.TOO_SHORT),
    ],
)
def test_known_series_have_their_class(rates, found):
    assert classify(rates) is found


def test_changes_are_found_where_they_are():
    assert change_points(series((60, 5), (100, 10), (80, 15))) == [5, 15]
    assert change_points([5.0, 5.0, 5.0, 9.0, 9.0, 9.0]) == [3]
    assert change_points([1.0]) == []
    assert change_points([]) == []


def test_noise_alone_is_seldom_a_change():
    rng = np.random.default_rng(5)
    found = [bool(change_points(rng.normal(100, 5, 20).tolist())) for _ in range(1000)]
    assert np.mean(found) < 0.05


def test_a_change_of_five_times_the_noise_is_nearly_always_found():
    found = [
        change_points(series((100, 8), (125, 12), noise=0.05, seed=seed)) for seed in range(200)
    ]
    assert np.mean([any(abs(place - 8) <= 1 for place in places) for places in found]) > 0.9


def test_rates_are_of_each_slices_own_length():
    slices = [(100_000_000, 1000), (200_000_000, 2000), (310_000_000, 1100)]
    assert slice_rates(slices) == pytest.approx([10_000, 20_000, 10_000])


def test_a_short_rest_counts_with_the_slice_before_it():
    slices = [(100_000_000, 1000), (200_000_000, 1000), (220_000_000, 80)]
    assert slice_rates(slices) == pytest.approx([10_000, 1080 / 0.12])
    assert slice_rates([(20_000_000, 80)]) == pytest.approx([4000])
    assert slice_rates([]) == []


def test_a_runs_processes_are_counted(tmp_path):
    cells: list[Cell] = [replicate_cell(), election_cell()]
    run = Run.create(tmp_path, manifest(["a"], cells, blocks=2))
    measure_quietly(run, contenders(tmp_path, {"a": fake("stub")}))
    # The stub has one slice; elections have none.
    assert class_processes(run) == {("replicate-w2", "a"): {SteadyState.TOO_SHORT: 2}}
    assert say_classes(run) == ""
