"""The study of growth: exponents of made-up costs, what is read off a run, and one real cluster."""

import importlib.util
import math

import pytest

from raftmark.bench.baselines.turns import READINGS, BaselineFailed, interleave
from raftmark.bench.contenders.places import ROOT
from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.design.schedule import Planned
from raftmark.bench.runs.forms import ContenderEntry
from raftmark.bench.runs.store import Run
from raftmark.bench.studies.costs import DIMENSIONS, costs_of, reached
from raftmark.bench.studies.growth import (
    NODES,
    OUTSTANDING,
    VALUES,
    Scale,
    curve,
    curves,
    specification,
    table,
)
from raftmark.bench.studies.sessions import sessions
from tests.bench.support import HELLO, contenders, fake, manifest, measured_trial

BLOCKS = range(6)
NOISE = (1.02, 0.99, 1.0, 0.98, 1.01, 1.0)


def law(*costs: tuple[float, float]) -> dict[float, dict[int, float]]:
    """Costs by what is varied, with some noise."""
    return {
        x: {block: cost * NOISE[(block + place) % len(NOISE)] for block in BLOCKS}
        for place, (x, cost) in enumerate(costs)
    }


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 1.5])
def test_an_exponent_is_that_of_the_law(exponent):
    found = curve("sessions", "go", law(*((x, 3e-6 * x**exponent) for x in (10, 100, 1000))))
    assert found.exponent is not None
    assert found.exponent.value == pytest.approx(exponent, abs=0.02)
    assert found.steepest is not None
    assert found.steepest.value == pytest.approx(exponent, abs=0.02)
    known = {1.0: "linear, as far as can be told", 1.5: "steeper than linear"}
    assert found.verdict == known.get(exponent, "at most linear")


def test_a_bend_at_the_end_is_no_mean_slope():
    found = curve("entries", "go", law((1, 1.0), (10, 1.0), (100, 1.0), (1000, 25.0)))
    assert found.exponent is not None
    assert found.exponent.value < 0.5
    assert (found.first, found.last) == (100, 1000)
    assert found.steepest is not None
    assert found.steepest.value == pytest.approx(math.log10(25), abs=0.02)
    assert found.verdict == "steeper than linear"


def test_what_is_in_no_block_whole_has_no_exponent():
    found = curve("entries", "go", {1: {0: 1.0}, 10: {1: 10.0}})
    assert found.exponent is None
    assert found.verdict == "not measured"
    assert found.points[10].value == 10.0
    alone = curve("entries", "go", {1: {0: 1.0}, 10: {0: 100.0}})
    assert alone.exponent is not None
    assert alone.exponent.value == pytest.approx(2)
    assert alone.verdict == "too few blocks to tell"


def test_a_length_of_the_log_was_reached_within_a_slice():
    slices = [(10**9, 100), (2 * 10**9, 100), (3 * 10**9, 0), (4 * 10**9, 400)]
    assert list(reached(slices, (50, 150, 200, 300, 10_000))) == [
        (50, 0.5),
        (150, 1.5),
        (200, 2.0),
        (300, 3.25),
    ]


@pytest.fixture
def run(tmp_path):
    """A made-up run in which every command costs the same."""
    hello = {"features": [*HELLO["features"], "snapshot"]}
    entries = [ContenderEntry("go", "Go", hello, None)]
    cells = specification(2, Scale(log_s=1.0)).cells
    made = Run.create(tmp_path, manifest([], cells, blocks=2, contenders=entries))
    for step in interleave(made, {}):
        assert isinstance(step, Planned)
        made.append(measured_trial(step, 1_000_000, cpu_s=2.0))
    (made.path / READINGS).write_bytes(
        b'{"subject": "go-sessions-100", "block": 0, "value": 1e-5, "baseline": "sessions-go"}\n'
    )
    return made


def test_each_dimension_is_read_off_the_cells_that_vary_it_alone(run):
    costs = costs_of(run)
    assert list(costs) == [each.key for each in DIMENSIONS]
    found = {key: sorted(by_name["go"]) for key, by_name in costs.items()}
    assert found == {
        "outstanding": list(OUTSTANDING),
        "followers": [nodes - 1 for nodes in NODES],
        "bytes": list(VALUES),
        "entries": [10_000, 100_000, 1_000_000],
        "sessions": [100],
    }
    assert costs["outstanding"]["go"][4096][1] == pytest.approx(4096 * 2e-6)
    assert costs["followers"]["go"][2] == costs["followers"]["go"][8]
    assert costs["entries"]["go"][100_000][0] == pytest.approx(0.1)
    lines = list(table(list(curves(costs, ["go"]))))
    assert len(lines) == 2 + len(DIMENSIONS)
    assert "| 1.00 (1.00 to 1.00) |" in lines[2]
    assert lines[-1].endswith("| not measured |")


def test_the_page_has_the_table_and_the_picture(run, tmp_path):
    found = importlib.util.spec_from_file_location("growth", ROOT / "docs" / "growth.py")
    assert found is not None
    assert found.loader is not None
    made = importlib.util.module_from_spec(found)
    found.loader.exec_module(made)
    page, picture = tmp_path / "growth.md", tmp_path / "growth.png"
    page.write_text(f"before\n{made._BEGIN}old\n{made._END}after\n", encoding="utf-8")
    made.put(run, page, picture)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert text.count("| go |") == len(DIMENSIONS)
    assert picture.read_bytes().startswith(b"\x89PNG")
    made.put(run, page, picture)
    assert page.read_text(encoding="utf-8") == text


def test_sessions_are_counted_on_a_real_cluster():
    found = sessions(load_contenders()["asyncio"], (10, 100), load_s=0.05)()
    assert list(found) == ["asyncio-sessions-10", "asyncio-sessions-100"]
    assert all(0 < cost < 1 for cost in found.values())


def test_a_contender_that_fails_leaves_no_figure(tmp_path):
    spec = contenders(tmp_path, {"crashes": fake("crashes", "run")})["crashes"]
    with pytest.raises(BaselineFailed):
        sessions(spec, (10,))()
