"""Start, stop and end: whatever ends a contender, nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from raftmark.bench.contenders.contender import Contender
from raftmark.bench.contenders.registry import ContenderSpec

from . import intermediary
from .cluster import LIVELY, STEADY, ClusterUnderTest, Status, set_
from .conftest import Launch, StartCluster
from .messages import Hello, read
from .processes import Footprint, cpu_seconds, footprint, left_behind, survivors, tree
from .waiting import DEADLINE_S, looks

pytestmark = pytest.mark.level("survives")

# What the project promises: two seconds after a kill, nothing is left, if it had a processor.
GONE_AFTER_KILL_S = 2.0

Scene = Callable[[Contender, Path], object]


def no_cluster(_contender: Contender, _directory: Path) -> None:
    """The contender was just launched."""


def idle_cluster(contender: Contender, directory: Path) -> ClusterUnderTest:
    cluster = ClusterUnderTest(contender, **LIVELY, storage="disk", data_dir=str(directory))
    cluster.committed("k", "v")
    return cluster


def electing_cluster(contender: Contender, _directory: Path) -> ClusterUnderTest:
    return ClusterUnderTest(contender, 5, **LIVELY)


def damaged_cluster(contender: Contender, directory: Path) -> ClusterUnderTest:
    """Nodes crashed and paused, messages under way, a command that waits."""
    cluster = ClusterUnderTest(contender, 5, **LIVELY, storage="disk", data_dir=str(directory))
    leader = cluster.isolated_leader(followers=1)
    contender.send("submit", command=set_("k", "v"), node=leader, timeout_ms=600_000)
    cluster.links(drop=0.1, duplicate=0.5, delay_ms=[0, 1000])
    companion, second, *_ = cluster.others(leader)
    cluster.pause(companion)
    cluster.crash(second)
    return cluster


def changing_cluster(contender: Contender, directory: Path) -> ClusterUnderTest:
    """Members have come and gone; a read, a change and a transfer wait."""
    cluster = ClusterUnderTest(contender, **LIVELY, storage="disk", data_dir=str(directory))
    cluster.committed("k", "v")
    cluster.add_server(4)
    cluster.remove_server(1)
    leader = cluster.isolated_leader()
    cluster.snapshot(leader)
    cluster.doubt(5)
    contender.send("read", key="k", node=leader, timeout_ms=600_000)
    contender.send("add_server", node=5, timeout_ms=600_000)
    contender.send("transfer", node=cluster.others(leader)[0], timeout_ms=600_000)
    return cluster


def busy_cluster(contender: Contender, directory: Path) -> ClusterUnderTest:
    """A workload that would run for ten minutes."""
    cluster = ClusterUnderTest(contender, **STEADY, storage="disk", data_dir=str(directory))
    cluster.begin_run({"name": "replicate", "duration_s": 600})
    return cluster


def leader_was_crashed(status: Status) -> bool:
    return not all(node.alive for node in status.values())


def electing_workload(contender: Contender, _directory: Path) -> ClusterUnderTest:
    cluster = ClusterUnderTest(contender, 5, **LIVELY)
    cluster.begin_run({"name": "election", "elections": 100_000}, leader_was_crashed)
    return cluster


def failing_over(contender: Contender, _directory: Path) -> ClusterUnderTest:
    """Clients look for the next leader, or have found it."""
    cluster = ClusterUnderTest(contender, **LIVELY)
    cluster.begin_run({"name": "failover", "before_s": 0.1, "after_s": 600}, leader_was_crashed)
    return cluster


SCENES: dict[Scene, set[str]] = {
    no_cluster: set(),
    idle_cluster: {"disk"},
    electing_cluster: set(),
    damaged_cluster: {"disk"},
    changing_cluster: {"disk", "snapshot", "read", "transfer", "membership"},
    busy_cluster: {"disk", "replicate"},
    electing_workload: {"election"},
    failing_over: {"failover"},
}
"""In what state a contender may end, and what it has to offer to get there."""
scenes = pytest.mark.parametrize(
    "scene",
    [
        pytest.param(scene, marks=pytest.mark.needs(*sorted(features)), id=scene.__name__)
        for scene, features in SCENES.items()
    ],
)


# Start and stop


@pytest.mark.level("replicates")
def test_a_second_start_is_refused_and_the_first_cluster_goes_on(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    cluster.committed("k", "1")
    cluster.refused("bad_request", "start")
    cluster.refused("bad_request", "start", nodes=1)
    assert cluster.value_of("k") == "1"


def test_after_stop_another_cluster_can_be_started(start: StartCluster) -> None:
    first = start(3, **LIVELY)
    first.committed("k", "1")
    first.partition([1], [2], [3])
    first.links(drop=1)
    first.stop()
    first.refused("unavailable", "status")
    second = start(5, **LIVELY)
    assert second.value_of("k") is None, "memory storage ends with its cluster"
    second.all_agree()


@pytest.mark.level("elects")
def test_a_cluster_can_be_stopped_before_it_has_a_leader(start: StartCluster) -> None:
    for _ in range(5):
        start(5, **LIVELY).stop()


# Fourteen clusters, each node perhaps a program of its own: a busy machine takes minutes for them.
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_stop_leaves_nothing_behind(launch: Launch, tmp_path: Path) -> None:
    contender = launch()
    hello = read(Hello, contender.call("hello"))
    offered = [s for s, needed in SCENES.items() if needed <= {*hello.features}]
    fresh = footprint(contender.pid)
    settled: Footprint | None = None
    for cycle in range(2):
        for scene in offered[1:]:
            scene(contender, tmp_path / f"{scene.__name__}-{cycle}")
            contender.call("stop")
            if hello.language != "Python":
                # Go's runtime opens its poller when first needed, and keeps threads for later use;
                # others may, too. What they keep must not grow.
                settled = settled or footprint(contender.pid)
                expected = settled._replace(threads=0, children=fresh.children)
            else:
                expected = fresh
            after = eventual_footprint(contender, expected)
            assert no_more(after, expected), f"after {scene.__name__}: {after}, not {expected}"
            # A thread of before the first scene may have been in the tables a moment longer, too.
            fresh = fresh._replace(threads=min(fresh.threads, after.threads))
    assert contender.close() == 0


def eventual_footprint(contender: Contender, expected: Footprint) -> Footprint:
    """Wait until the contender holds no more than is expected; return what it holds.

    The kernel's tables show a thread for a moment longer than whoever joined it.
    """
    for _ in looks():
        found = footprint(contender.pid)
        if expected.threads == 0:
            found = found._replace(threads=0)
        if no_more(found, expected):
            break
    return found


def no_more(found: Footprint, expected: Footprint) -> bool:
    """Whether a contender holds the same, or fewer threads."""
    return (
        found.threads <= expected.threads and found._replace(threads=expected.threads) == expected
    )


# The end


@pytest.mark.slow
@scenes
def test_the_end_of_input_ends_everything_with_status_0(
    launch: Launch, scene: Scene, tmp_path: Path
) -> None:
    contender = launch()
    scene(contender, tmp_path / "data")
    everything = tree(contender.pid)
    contender.close_input()
    assert contender.process.wait(DEADLINE_S) == 0
    assert left_behind(everything, GONE_AFTER_KILL_S) == []
    assert "Traceback" not in contender.stderr_tail()


@pytest.mark.slow
@scenes
def test_quit_ends_everything_with_status_0(launch: Launch, scene: Scene, tmp_path: Path) -> None:
    contender = launch()
    scene(contender, tmp_path / "data")
    everything = tree(contender.pid)
    assert contender.call("quit") == {}
    assert contender.process.wait(DEADLINE_S) == 0
    assert left_behind(everything, GONE_AFTER_KILL_S) == []
    assert "Traceback" not in contender.stderr_tail()


@pytest.mark.level("elects")
def test_input_that_is_empty_from_the_beginning_ends_it_with_status_0(
    spec: ContenderSpec,
) -> None:
    done = subprocess.run(
        spec.argv(), cwd=spec.started_in, stdin=subprocess.DEVNULL, capture_output=True,
        timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.needs("disk")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_standard_stream_that_is_closed_is_as_one_that_is_empty(
    spec: ContenderSpec, closed: str, tmp_path: Path
) -> None:
    request = f'{{"id": 1, "op": "start", "storage": "disk", "data_dir": "{tmp_path}"}}\n'
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *spec.argv()], cwd=spec.started_in,
        input=request, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    # No file was taken for a stream: what was answered is on standard output, or nowhere.
    answered = [line for line in done.stdout.splitlines() if line.startswith('{"id":')]
    assert answered == (['{"id":1,"ok":{"nodes":[1,2,3]}}'] if closed == "2>&-" else [])


@pytest.mark.needs("disk", "replicate")
@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [False, True], ids=["process", "group"])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything_without_a_traceback(
    launch: Launch, signum: signal.Signals, whole_group: bool, tmp_path: Path
) -> None:
    contender = launch()
    busy_cluster(contender, tmp_path / "data")
    everything = tree(contender.pid)
    if whole_group:  # As Ctrl-C at a terminal does.
        os.killpg(contender.pid, signum)
    else:
        os.kill(contender.pid, signum)
    contender.process.wait(DEADLINE_S)
    assert left_behind(everything, GONE_AFTER_KILL_S) == []
    said = contender.stderr_tail()
    assert "Traceback" not in said
    assert "goroutine" not in said
    assert signum.name in said


@pytest.mark.slow
@scenes
def test_a_killed_contender_leaves_no_process(launch: Launch, scene: Scene, tmp_path: Path) -> None:
    contender = launch()
    scene(contender, tmp_path / "data")
    everything = tree(contender.pid)
    os.kill(contender.pid, signal.SIGKILL)
    assert left_behind(everything, GONE_AFTER_KILL_S) == []


@pytest.mark.slow
@pytest.mark.deployed
def test_a_contender_whose_parent_is_killed_leaves_no_process(spec: ContenderSpec) -> None:
    parent = subprocess.Popen(
        [sys.executable, intermediary.__file__, *spec.argv()],
        cwd=spec.started_in, stdout=subprocess.PIPE, stdin=subprocess.PIPE,
    )  # fmt: skip
    assert parent.stdout is not None
    everything: list[psutil.Process] = []
    try:
        everything = tree(int(parent.stdout.readline()))
        assert survivors(everything) == everything
        parent.kill()
        parent.wait()
        assert left_behind(everything, GONE_AFTER_KILL_S) == []
    finally:
        parent.kill()
        parent.communicate()
        for process in survivors(everything):
            process.kill()


# Thrift


@pytest.mark.slow
def test_an_idle_cluster_uses_under_a_twentieth_of_a_core(start: StartCluster) -> None:
    cluster = start(5, election_timeout_ms=[150, 300], heartbeat_ms=50)
    cluster.elected_leader()
    cluster.all_agree()
    share = 1.0
    # A longer look follows if the first one met a needless election or other work of the moment.
    for duration_s in (3.0, 8.0):
        share = processor_share(cluster.contender, duration_s)
        if share < 0.05:
            break
    assert share < 0.05
    cluster.elected_leader()


def processor_share(contender: Contender, duration_s: float) -> float:
    """Return the share of one core that the contender uses over so many seconds."""
    processes = tree(contender.pid)
    before_s, began_s = cpu_seconds(processes), time.monotonic()
    time.sleep(duration_s)  # Not to wait for anything: this is the time that is measured.
    return (cpu_seconds(processes) - before_s) / (time.monotonic() - began_s)
