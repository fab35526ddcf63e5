"""The seminar paper's programs, and how their outcomes are kept."""

import json
import sys
from pathlib import Path

import pytest

from raftmark.bench.primitives import races
from raftmark.bench.primitives.bare import GoModel, ProgramFailed, PythonModel
from raftmark.bench.primitives.models.races import COUNTERS, IN_ORDER, PROGRAMS, count, ordered
from raftmark.bench.primitives.races import count_races
from raftmark.bench.runs import outcomes
from raftmark.bench.runs.outcomes import load
from raftmark.bench.runs.store import StoreError
from raftmark.terminal.tables import races_table

THREADS = PythonModel("threading", "threads", Path(sys.executable), "asyncio")
UVLOOP = PythonModel("asyncio@uvloop", "tasks", Path(sys.executable), "uvloop")
GO = GoModel("go", Path("races"))

EXPECTED = "a = 4, b = 2"
RACED = "a = 4, b = 8"


@pytest.mark.parametrize("model", PROGRAMS)
def test_without_synchronisation_either_may_be_first(model):
    assert set(count(model, "unsynchronised", 20)) <= {EXPECTED, RACED}


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_tasks_change_only_where_one_awaits(loop):
    assert count("tasks", "unsynchronised", 100, loop) == {EXPECTED: 100}


@pytest.mark.parametrize("model", PROGRAMS)
def test_a_message_makes_the_outcome_certain(model):
    assert count(model, "channel", 20) == {EXPECTED: 20}


@pytest.mark.parametrize("model", PROGRAMS)
def test_who_is_joined_counts_alone(model):
    assert count(model, "joined", 3) == {"in order": 3}


def test_counting_at_the_same_time_is_seen():
    assert len(IN_ORDER) == COUNTERS * (COUNTERS - 1) / 2
    assert ordered(IN_ORDER) == "in order"
    assert ordered(sorted(IN_ORDER)) == "mixed"
    assert ordered(IN_ORDER[1:]) == "mixed"


def test_the_program_prints_its_outcomes():
    options = ["-m", "raftmark.bench.primitives.models.races", "tasks", "channel", "--runs", "7"]
    printed = races.output_of([sys.executable, *options, "--event-loop", "uvloop"], timeout_s=60)
    assert json.loads(printed) == {EXPECTED: 7}


@pytest.fixture
def programs(monkeypatch):
    """Stand in for the programs, and note how they are called."""
    commands: list[list[str]] = []

    def output_of(command: list[str], **_: object) -> str:
        commands.append(command)
        if command[0] == "races" and "joined" in command:
            raise ProgramFailed("a deadlock")
        if command[0] == "races" and "channel" in command:
            return json.dumps({EXPECTED: 1})
        if "tasks" in command and "joined" in command:
            return "in order"
        return json.dumps({EXPECTED: 8, RACED: 2})

    monkeypatch.setattr(races, "output_of", output_of)
    return commands


def test_outcomes_are_kept_and_not_counted_again(tmp_path, programs):
    assert load(tmp_path) == []
    count_races(tmp_path, [THREADS, UVLOOP, GO], 10, lambda _: None)
    found = {(each.contender, each.program): each for each in load(tmp_path)}
    assert len(found) == len(programs) == 9
    assert found["threading", "joined"].outcomes == {EXPECTED: 8, RACED: 2}
    assert found["go", "joined"].failure == "a deadlock"
    assert found["go", "channel"].failure == "counted 1 outcomes of 10 runs"
    assert "printed nonsense" in str(found["asyncio@uvloop", "joined"].failure)
    assert all(command[-2:] == ["--runs", "10"] for command in programs)
    assert races_table(load(tmp_path)).row_count == 9

    # What failed is tried again, and nothing else.
    programs.clear()
    count_races(tmp_path, [THREADS, UVLOOP, GO], 10, lambda _: None)
    assert len(programs) == 3
    programs.clear()
    count_races(tmp_path, [THREADS], 20, lambda _: None)
    assert len(programs) == 3
    assert {each.runs for each in load(tmp_path) if each.contender == "threading"} == {20}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is damaged"),
        ('{"counted": [{}]}', "is damaged"),
        ('{"schema": 2}', "has schema 2, not 1"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, said):
    (tmp_path / outcomes.FILE).write_text(content)
    with pytest.raises(StoreError, match=said):
        load(tmp_path)
