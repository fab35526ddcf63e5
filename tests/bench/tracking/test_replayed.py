"""What cores spend on their kept recordings, of two revisions."""

import json

import pytest

from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.tracking import replayed
from raftmark.bench.tracking.replayed import ReplayError, count, count_replays


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
    assert left_out == []


def test_what_only_one_side_counts_is_left_out():
    both = {"commands": 1, "steps": 5}
    found, left_out = count_replays(
        {"a": printing(story=both, old=both), "b": took(1)}, {"a": printing(story=both)}
    )
    assert [each.what for each in found] == ["steps a command, story"]
    assert left_out == []


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
    found, [sentence] = count_replays(
        {"a": spec(code), "b": took(1)}, {"a": spec(code), "b": took(2)}
    )
    assert [each.contender for each in found] == ["b"]
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
