"""What the suite itself holds against a contender, by one that says what it is told to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from raftmark.bench.contenders.places import ROOT
from tests.conformance.cluster import ClusterUnderTest
from tests.conformance.conftest import Contenders, pytest_runtest_makereport
from tests.conformance.processes import left_behind


class Scripted:
    """A contender whose node 1 ceases at 20, if it is crashed, and tells of roles as scripted."""

    def __init__(self, *roles: tuple[str, int, int]) -> None:
        """`roles`: of node 1, a role, its term, and when."""
        self._told = [
            {"event": "role", "node": 1, "role": role, "term": term, "leader": None, "at_ns": at_ns}
            for role, term, at_ns in roles
        ]
        self.events = self

    def all(self) -> list[dict[str, Any]]:
        """All events so far: none before the cluster's start."""
        return self._told

    def call(self, op: str, **_: Any) -> dict[str, Any]:
        """Answer what is asked."""
        return {
            "hello": {"features": []},
            "start": {"nodes": [1]},
            "crash": {"at_ns": 20},
        }[op]


def cluster(*roles: tuple[str, int, int]) -> ClusterUnderTest:
    contender = Scripted()
    started = ClusterUnderTest(contender, 1)  # type: ignore[arg-type]
    contender._told += Scripted(*roles)._told
    return started


def test_who_crashes_may_forget_a_term_that_was_told_of() -> None:
    crashed = cluster(("candidate", 4, 10), ("follower", 3, 30))
    crashed.crash(1)
    crashed.check_events()


@pytest.mark.parametrize("at_ns", [15, 40])
def test_a_term_falls_with_a_crash_alone(at_ns: int) -> None:
    fell = cluster(("follower", 3, 5), ("candidate", 4, at_ns - 3), ("follower", 3, at_ns))
    fell.crash(1)
    with pytest.raises(AssertionError, match="a term fell"):
        fell.check_events()


def test_without_a_crash_no_term_falls() -> None:
    with pytest.raises(AssertionError, match="a term fell"):
        cluster(("candidate", 4, 10), ("follower", 3, 30)).check_events()


class Ending:
    """A process in the states that it is seen in, one after the other, and then in the last."""

    def __init__(self, *states: str) -> None:
        self._states = list(states)

    def is_running(self) -> bool:
        """The kernel knows it, as one that ended too, until its parent has asked for it."""
        return True

    def status(self) -> str:
        """What it does now."""
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]


@pytest.mark.parametrize("state", [psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP])
def test_who_waits_for_a_processor_or_a_disk_may_yet_end(state: str) -> None:
    process: Any = Ending(*[state] * 10, psutil.STATUS_ZOMBIE)
    assert left_behind([process], 0.0) == []


@pytest.mark.parametrize("state", [psutil.STATUS_SLEEPING, psutil.STATUS_STOPPED])
def test_who_waits_for_anything_else_is_left_behind(state: str) -> None:
    process: Any = Ending(*[psutil.STATUS_RUNNING] * 10, state)
    assert left_behind([process], 0.0) == [process]


class Shared:
    """A contender's process, which several tests share."""

    def __init__(self) -> None:
        self.killed = False

    def kill(self) -> None:
        self.killed = True


@pytest.fixture
def contenders() -> Contenders:
    """Two contenders, that are launched as often as they are asked for anew."""
    contenders = Contenders(ROOT / "bench" / "contenders.toml")
    spec: Any = SimpleNamespace(launch=Shared)
    contenders._specs = {"writer": spec, "reader": spec}  # type: ignore[assignment]
    return contenders


def ends(contenders: Contenders, **outcomes: str) -> None:
    """Let a test end, of which each part went in some way: `failed`, `passed` or `xfailed`."""
    item: Any = SimpleNamespace(stash=pytest.Stash(), funcargs={"contenders": contenders})
    for when, outcome in outcomes.items():
        report: Any = SimpleNamespace(
            when=when, failed=outcome == "failed", skipped=outcome == "xfailed"
        )
        if outcome == "xfailed":
            report.wasxfail = "it is known"
        hook = pytest_runtest_makereport(item)
        next(hook)
        with pytest.raises(StopIteration):
            hook.send(report)


@pytest.mark.parametrize(
    "outcomes",
    [
        {"setup": "failed", "teardown": "passed"},
        {"call": "failed", "teardown": "passed"},
        {"call": "xfailed", "teardown": "passed"},
        {"call": "passed", "teardown": "failed"},
    ],
)
def test_no_test_inherits_what_a_failed_one_left_in_any_contender(contenders, outcomes) -> None:
    bystander = contenders.shared("writer")
    ends(contenders, call="passed", teardown="passed")
    used = contenders.shared("reader")
    ends(contenders, **outcomes)
    assert used.killed
    assert not bystander.killed, "the test before has passed"
    assert contenders.shared("reader") is not used
    assert contenders.shared("writer") is bystander


def test_tests_share_what_none_has_failed_with(contenders) -> None:
    used = contenders.shared("reader")
    ends(contenders, setup="passed", call="passed", teardown="passed")
    assert contenders.shared("reader") is used
    assert not used.killed
