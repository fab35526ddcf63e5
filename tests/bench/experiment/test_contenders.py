"""The project's own contenders in the harness: every kind of trial, once."""

import json
from collections.abc import Hashable
from pathlib import Path

import msgspec
import pytest

from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.design.cells import TCP
from raftmark.bench.design.specification import Cell, full
from raftmark.bench.experiment.entries import describe
from raftmark.bench.experiment.measure import End
from raftmark.bench.runs.store import Run
from tests.bench.support import LONG, PATIENCE, manifest, measure_quietly

# No figure is looked at here, so what is measured can be as short as it likes, and a leader that a
# busy machine holds up must not lose its office.
SHORT = {
    "replicate": {"warmup_s": 0.05, "duration_s": 0.1},
    "offered": {"warmup_s": 0.05, "duration_s": 0.1},
    "election": {"elections": 2, "cap_s": PATIENCE},
    "failover": {"before_s": 0.1, "after_s": 3.0},
    "catch_up": {"entries": 100},
    "stability": {"duration_s": 0.1},
    "service": {"warmup_s": 0.05, "duration_s": 0.1},
}
PATIENT = {"election_timeout_ms": [1000, 2000]}
# Here a leader is waited for, time and again.
ELECTING = {"election_timeout_ms": [300, 600]}


def shortened(cell: Cell) -> Cell:
    name = cell.workload["name"]
    timeouts = ELECTING if name == "election" else PATIENT
    return msgspec.structs.replace(
        cell,
        workload={**cell.workload, **SHORT[name]},
        cluster={**cell.cluster, **timeouts},
        timeout_s=LONG,
    )


def kinds() -> list[Cell]:
    """Return one cell of the full profile for each workload, cluster size, storage and variant."""
    cells: dict[Hashable, Cell] = {}
    for cell in full().cells:
        workload, cluster = cell.workload, cell.cluster
        variant = (workload.get("lagging"), workload.get("by"), workload.get("outstanding") == 0)
        kind = (workload["name"], cluster["nodes"], cluster["storage"], *variant)
        cells.setdefault(kind, shortened(cell))
    return list(cells.values())


@pytest.mark.parametrize("name", load_contenders())
def test_all_begin_with_the_same_timeouts_from_the_same_seed(tmp_path, name, request):
    spec = load_contenders()[name]
    entry = describe(spec, print)
    if entry.unavailable is not None and request.config.option.skip_unavailable:
        pytest.skip(entry.unavailable)
    vectors = json.loads((Path(__file__).parents[2] / "vectors" / "draws.json").read_bytes())
    with spec.launch(stderr=tmp_path / "stderr") as contender:
        for vector in vectors["first_timeouts"]:
            # So long that nobody has stood yet: what was drawn first was drawn last.
            low_ms, high_ms = (200 * ns / 1e6 for ns in vector["range_ns"])
            asked = {"election_timeout_ms": [low_ms, high_ms], "seed": vector["seed"], "nodes": 5}
            contender.call("start", reply_timeout=30, **asked)
            nodes = contender.call("status", reply_timeout=30)["nodes"]
            contender.call("stop", reply_timeout=30)
            drawn = [node["election_timeout_ns"] / 200 for node in nodes]
            assert drawn == pytest.approx(vector["timeouts_ns"], abs=1)
        contender.close(30)


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
@pytest.mark.parametrize("name", load_contenders())
def test_every_kind_of_trial_succeeds(tmp_path, name, request):
    specs = load_contenders()
    entry = describe(specs[name], print)
    if entry.unavailable is not None:
        if request.config.option.skip_unavailable:
            pytest.skip(entry.unavailable)
        pytest.fail(entry.unavailable)
    run = Run.create(tmp_path / "results", manifest([], kinds(), blocks=1, contenders=[entry]))
    # One that has no node program serves no clients, and is deployed in no other way either.
    deployed = [cell.id for cell in kinds() if cell.transport == TCP]
    lacking = [cell.id for cell in kinds() if entry.lacks(cell)]
    assert lacking == ([] if specs[name].node else deployed)
    assert measure_quietly(run, specs) is End.COMPLETE
    assert [(trial.trial, trial.failure) for trial in run.trials if trial.failure] == []
    assert len(run.trials) == len(kinds()) - len(lacking) >= 11
