"""The readings of primitives in a run's directory."""

import pytest

from raftmark.bench.runs import outcomes
from raftmark.bench.runs.audit import audit
from raftmark.bench.runs.readings import CASES, FILE, Case, Reading, append, load, samples
from raftmark.bench.runs.store import Run, StoreError
from tests.bench.support import manifest


def reading(block: int = 0, contender: str = "threading", **changes: object) -> Reading:
    fields = {
        "block": block,
        "order": 0,
        "contender": contender,
        "primitive": "one_way",
        "case": "usual",
        "seconds": 1e-6,
        "started_at": "2026-01-01T00:00:00Z",
        **changes,
    }
    return Reading(**fields)  # type: ignore[arg-type]


def test_every_primitive_has_two_cases():
    assert len(CASES) == 12
    assert str(CASES[0]) == "spawn_join/usual"
    assert [case.name for case in CASES[-2:]] == ["idle", "busy"]


def test_a_run_without_primitives_has_no_readings(tmp_path):
    assert load(tmp_path) == []


def test_readings_come_back_as_they_were_added(tmp_path):
    added = [
        reading(),
        reading(1, p99_s=2e-6, primitive="timer_lateness", case="busy", raw="primitives/x.json"),
        reading(1, "go", seconds=None, failure="no toolchain"),
    ]
    for each in added:
        append(tmp_path, each)
    assert load(tmp_path) == added
    assert samples(added) == {
        ("threading", Case("one_way", "usual")): {0: added[0]},
        ("threading", Case("timer_lateness", "busy")): {1: added[1]},
    }


def test_a_torn_line_is_ignored_and_then_cut_off(tmp_path):
    append(tmp_path, reading())
    file = tmp_path / FILE
    whole = file.read_bytes()
    for cut in (1, 10, len(whole) - 1):
        file.write_bytes(whole + whole[:-cut])
        assert load(tmp_path) == [reading()]
        append(tmp_path, reading(1))
        assert load(tmp_path) == [reading(), reading(1)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{}\n", "line 2 is damaged"),
        (b"nonsense\n", "line 2 is damaged"),
        (None, "line 2 repeats 0/threading/one_way/usual"),
    ],
)
def test_a_damaged_line_is_refused(tmp_path, line, said):
    append(tmp_path, reading())
    file = tmp_path / FILE
    file.write_bytes(file.read_bytes() + (line or file.read_bytes()))
    with pytest.raises(StoreError, match=said):
        load(tmp_path)


def test_another_schema_is_refused(tmp_path):
    append(tmp_path, reading(schema=2))
    with pytest.raises(StoreError, match="line 1 has schema 2, not 1"):
        load(tmp_path)


@pytest.mark.parametrize("name", [FILE, outcomes.FILE])
def test_a_check_of_the_run_finds_the_damage(tmp_path, name):
    run = Run.create(tmp_path, manifest(["threading"], []))
    append(run.path, reading())
    assert audit(run.path).problems == []
    (run.path / name).write_bytes(b"nonsense\n")
    [problem] = audit(run.path).problems
    assert str(run.path / name) in problem
