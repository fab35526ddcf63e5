"""The project's own contenders in the harness: every kind of trial, once."""

import pytest

from bench.measure import End
from bench.registry import load_contenders
from bench.specification import Cell, full
from bench.store import Run

from .support import manifest, measure_quietly

# No figure is looked at here, so the measured time can be as short as it likes, and a leader that
# a busy machine holds up must not lose its office.
SHORT = {"warmup_s": 0.05, "duration_s": 0.1}
PATIENT = {"election_timeout_ms": [1000, 2000]}


def shortened(cell: Cell) -> Cell:
    if cell.workload["name"] == "election":
        return Cell(cell.id, {**cell.workload, "elections": 2}, cell.cluster, cell.timeout_s)
    return Cell(cell.id, {**cell.workload, **SHORT}, {**cell.cluster, **PATIENT}, cell.timeout_s)


def kinds() -> list[Cell]:
    """Return one cell of the full profile for each workload, cluster size and storage."""
    cells: dict[tuple[str, int, str], Cell] = {}
    for cell in full().cells:
        kind = (cell.workload["name"], cell.cluster["nodes"], cell.cluster["storage"])
        cells.setdefault(kind, shortened(cell))
    return list(cells.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", load_contenders())
def test_every_kind_of_trial_succeeds(tmp_path, name, request):
    specs = load_contenders()
    reason = specs[name].available()
    if reason is not None:
        if request.config.option.skip_unavailable:
            pytest.skip(reason)
        pytest.fail(reason)
    run = Run.create(tmp_path / "results", manifest([name], kinds(), blocks=1))
    assert measure_quietly(run, specs) is End.COMPLETE
    assert [(trial.trial, trial.failure) for trial in run.trials if trial.failure] == []
    assert len(run.trials) == len(kinds()) >= 5
