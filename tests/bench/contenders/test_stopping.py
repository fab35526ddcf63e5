"""Stopping and continuing processes, and that none stays stopped whose harness is killed."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from raftmark.bench.contenders import stopping as stopping_module
from raftmark.bench.contenders.guardian import Guardian
from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.contenders.stopping import CannotStop, Stopping, require_stopping
from raftmark.bench.contenders.variants import Contenders
from tests.bench.support import LONG, PATIENCE

# Two processes in one session: one leads a group, and one has made a group of its own.
FAMILY = """
import os, signal, sys
if os.fork() == 0:
    os.setpgid(0, 0)
    print(os.getpid(), flush=True)
    signal.pause()
sys.stdin.read()
"""


def state(pid: int) -> str | None:
    try:
        found = psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return None
    return None if found == psutil.STATUS_ZOMBIE else found


def await_state(pid: int, stopped: bool) -> None:
    deadline = time.monotonic() + PATIENCE
    while (state(pid) == psutil.STATUS_STOPPED) != stopped:
        assert time.monotonic() < deadline, f"{pid} is {state(pid)}"
        time.sleep(0.002)


def await_gone(pids) -> None:
    deadline = time.monotonic() + PATIENCE
    while left := [pid for pid in pids if state(pid) is not None]:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.002)


@pytest.fixture
def guardian():
    with Guardian() as guardian:
        yield guardian


@pytest.fixture
def family():
    process = subprocess.Popen(
        [sys.executable, "-c", FAMILY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    child = int(process.stdout.readline())
    yield [process.pid, child]
    for pid in (process.pid, child):
        if state(pid) is not None:
            os.kill(pid, signal.SIGKILL)
    process.communicate()


def test_processes_can_be_stopped_here(guardian):
    require_stopping(guardian)


def test_all_processes_stop_and_go_on_together(guardian, family):
    with Stopping(family, guardian) as stopping:
        stopping.require()
        stopping.stop()
        for pid in family:
            await_state(pid, True)
        stopping.go_on()
        for pid in family:
            await_state(pid, False)
        stopping.stop()
    for pid in family:
        await_state(pid, False)


def test_one_that_has_ended_is_no_matter(guardian, family):
    with Stopping(family, guardian) as stopping:
        os.kill(family[1], signal.SIGKILL)
        await_gone(family[1:])
        stopping.require()


def test_what_does_not_stop_is_said(guardian, family, monkeypatch):
    """As a debugger keeps it from stopping."""
    monkeypatch.setattr(stopping_module, "_status", lambda pid: psutil.STATUS_TRACING_STOP)
    monkeypatch.setattr(stopping_module, "_PATIENCE_S", 0.01)
    with (
        Stopping(family, guardian) as stopping,
        pytest.raises(CannotStop, match="is not stopped by SIGSTOP: it is tracing-stop"),
    ):
        stopping.require()


def test_who_may_not_be_stopped_is_said(guardian, family, monkeypatch):
    def refuse(pid, number):
        raise PermissionError(1, "Operation not permitted")

    with Stopping(family, guardian) as stopping:
        monkeypatch.setattr(stopping_module.os, "kill", refuse)
        with pytest.raises(CannotStop, match="no process may be stopped here"):
            stopping.require()
        monkeypatch.undo()


def test_nobody_is_stopped_whom_nobody_would_end(family):
    with Guardian() as guardian:
        os.kill(guardian.pid, signal.SIGKILL)
        await_gone([guardian.pid])
        with pytest.raises(CannotStop, match="has died"), Stopping(family, guardian):
            pass
    assert psutil.STATUS_STOPPED not in map(state, family)


# Stops the one, and releases the other, which is stopped as well but is nobody's concern any more.
HARNESS = """
import signal, sys
from raftmark.bench.contenders.guardian import Guardian
from raftmark.bench.contenders.stopping import Stopping
pids = [int(pid) for pid in sys.argv[1].split(",")]
with Guardian() as guardian, Stopping(pids, guardian) as held:
    with Stopping([int(sys.argv[2])], guardian):
        pass
    held.stop()
    print(guardian.pid, flush=True)
    signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_stays_stopped_whose_harness_is_killed(family, number):
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as released:
        pids = ",".join(map(str, family))
        harness = subprocess.Popen(
            [sys.executable, "-c", HARNESS, pids, str(released.pid)], stdout=subprocess.PIPE
        )
        guardian = int(harness.stdout.readline())
        for pid in family:
            await_state(pid, True)
        harness.send_signal(number)
        harness.communicate()
        await_gone([*family, guardian])
        assert released.poll() is None
        released.kill()


def test_a_guardian_outlives_whatever_ends_a_session_politely(guardian, family):
    with Stopping(family, guardian) as stopping:
        stopping.stop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(guardian.pid, number)
        stopping.go_on()
        require_stopping(guardian)
    assert state(guardian.pid) is not None


@pytest.mark.timeout(LONG)
def test_all_programs_of_a_deployed_cluster_are_stopped_together(guardian):
    """They lead groups of their own, so that a terminal's Ctrl-C is not for them."""
    spec = Contenders(load_contenders())["asyncio@tcp"]
    with spec.launch() as contender:
        contender.call("start", nodes=3, reply_timeout=PATIENCE)
        pids = contender.processes()
        nodes = [pid for pid in pids if "--node" in psutil.Process(pid).cmdline()]
        assert len(nodes) == 3
        assert len({os.getpgid(pid) for pid in pids}) == 4
        with Stopping.of(contender, guardian) as stopping:
            stopping.require()
            stopping.stop()
            for pid in pids:
                await_state(pid, stopped=True)
            stopping.go_on()
            for pid in pids:
                await_state(pid, stopped=False)
        contender.call("stop", reply_timeout=PATIENCE)
