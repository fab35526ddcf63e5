"""What cores spend on their kept recordings, of two revisions."""

import json
import shutil

import msgspec
import pytest

from raftmark.bench.contenders.registry import ContenderSpec, load_contenders
from raftmark.bench.tracking import replayed
from raftmark.bench.tracking.replayed import (
    INSTRUCTIONS,
    ReplayError,
    count,
    count_instructions,
    count_replays,
)

VALGRIND = shutil.which("valgrind")
needs_valgrind = pytest.mark.skipif(VALGRIND is None, reason="valgrind is not installed")
NO_VALGRIND = "instructions of the cores, since valgrind is not installed"


@pytest.fixture(autouse=True)
def without_valgrind(monkeypatch):
    """It counts where it is asked to."""
    monkeypatch.setattr("raftmark.bench.tracking.replayed.shutil.which", lambda name: None)


def spec(code, name="a"):
    return ContenderSpec(
        name=name,
        label=name,
        command=["unused"],
        color="#000000",
        marker="o",
        replay=["{python}", "-c", code],
    )


def printing(**stories):
    return spec(f"print({json.dumps(json.dumps(stories))})")


def took(steps, commands=10):
    return printing(story={"commands": commands, "steps": steps})


def test_a_count_is_of_one_command():
    assert count(took(1234)) == {"steps a command, story": 123.4}


@pytest.mark.parametrize(("steps", "worse"), [(1000, False), (1020, False), (1021, True)])
def test_more_than_the_margin_is_worse_from_the_first_replay_on(steps, worse):
    [found], left_out = count_replays({"a": took(1000)}, {"a": took(steps)})
    assert (found.base, found.head, found.gated, found.grew) == (100.0, steps / 10, True, worse)
    assert left_out == [NO_VALGRIND]


def test_what_only_one_side_counts_is_left_out():
    both = {"commands": 1, "steps": 5}
    found, left_out = count_replays(
        {"a": printing(story=both, old=both), "b": took(1)}, {"a": printing(story=both)}
    )
    assert [each.what for each in found] == ["steps a command, story"]
    assert left_out == [NO_VALGRIND]


def test_contenders_without_a_replay_are_not_counted():
    silent = ContenderSpec(name="a", label="a", command=["x"], color="#000000", marker="o")
    assert count_replays({"a": silent}, {"a": took(1)}) == ([], [])


def test_contenders_that_share_a_core_are_replayed_once(tmp_path):
    log = tmp_path / "log"
    code = f"open({str(log)!r}, 'a').write('x'); print('{{\"s\": {{\"commands\": 1, \"n\": 2}}}}')"
    sides = {name: spec(code, name) for name in ("a", "b")}
    found, _ = count_replays(sides, sides)
    assert [each.contender for each in found] == ["a", "b"]
    assert log.read_text() == "x"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; sys.exit('diverged')", "ended with 1: diverged"),
        ("raise SystemExit(3)", "ended with 3: it said nothing"),
        ("print('nonsense')", "no object of counts"),
        ("print('[' * 60000)", "no object of counts"),
        ("while True: print('x' * 1000)", "printed more than 65536 bytes"),
        ('print(\'{"s": {"commands": 1.5}}\')', "no object of counts"),
        ('print(\'{"s": {"steps": 1}}\')', "answered no command of 's'"),
    ],
)
def test_a_replay_that_fails_is_said_and_costs_nothing_else(code, said):
    found, [missing, sentence] = count_replays(
        {"a": spec(code), "b": took(1)}, {"a": spec(code), "b": took(2)}
    )
    assert [each.contender for each in found] == ["b"]
    assert missing == NO_VALGRIND
    assert said in sentence
    assert "a's core" in sentence


def test_a_replay_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(replayed, "_PATIENCE_S", 0.2)
    with pytest.raises(ReplayError, match="took more than"):
        count(spec("import signal; signal.pause()"))


def test_a_replay_that_cannot_be_started_is_said():
    missing = ContenderSpec(
        name="a", label="a", command=["x"], color="#000000", marker="o", replay=["/no/such"]
    )
    with pytest.raises(ReplayError, match="cannot be started"):
        count(missing)


def looping(turns):
    """A program that works so much each time, and starts soon under valgrind."""
    script = f"""
        i=0
        while [ $i -lt $(($2 * {turns})) ]; do i=$((i + 1)); done
        echo '{{"s": {{"commands": 1}}}}'
    """
    return msgspec.structs.replace(spec(""), replay=["/bin/sh", "-c", script, "sh"])


@needs_valgrind
@pytest.mark.parametrize(("turns", "worse"), [(4000, False), (4400, True)])
def test_instructions_are_counted_where_valgrind_is(monkeypatch, turns, worse):
    """A tenth more work is a tenth more instructions, whatever the program's start takes."""
    monkeypatch.setattr(replayed, "_ENOUGH", 1)
    monkeypatch.setattr(replayed, "count", lambda spec: {})
    monkeypatch.setattr("raftmark.bench.tracking.replayed.shutil.which", lambda name: VALGRIND)
    [found], left_out = count_replays({"a": looping(4000)}, {"a": looping(turns)})
    assert left_out == []
    assert (found.what, found.gated, found.grew) == (INSTRUCTIONS, True, worse)
    assert found.head / found.base == pytest.approx(turns / 4000, rel=0.02)


@needs_valgrind
def test_a_replay_that_cannot_repeat_itself_is_said():
    unable = msgspec.structs.replace(spec(""), replay=["/bin/sh", "-c", "echo no $1; exit 1", "sh"])
    with pytest.raises(ReplayError, match="ended with 1: no --times"):
        count_instructions(VALGRIND, unable)


def test_go_counts_its_allocations_to_the_last_one():
    go = load_contenders()["go"]
    go.prepare()
    first, again = count(go), count(go)
    assert first == again
    assert first.keys() == {f"allocations a command, {s} at a time" for s in ("one", "64")}
    assert all(number > 0 for number in first.values())


@needs_valgrind
def test_gos_replays_are_counted_too(monkeypatch):
    monkeypatch.setattr(replayed, "_ENOUGH", 1)
    go = load_contenders()["go"]
    go.prepare()
    assert count_instructions(VALGRIND, go)[INSTRUCTIONS] > 0
