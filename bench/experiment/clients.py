"""The clients of the workload *service*: a program of the harness's, and the crash it may ask for.

The same one for all contenders, in Go, built when its sources have changed. It is none of the
contender's processes, so that it is in no figure of what a contender costs.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
from concurrent.futures import Future
from typing import Any, Self

import msgspec

from raftmark.bench.contenders.contender import Contender, ContenderFailed
from raftmark.bench.contenders.registry import Build, Unavailable
from raftmark.bench.contenders.surroundings import clean
from raftmark.bench.design.specification import Cell
from raftmark.bench.experiment.cost import CostMeter
from raftmark.bench.experiment.limits import exceeded, exceeded_by_threads
from raftmark.bench.runs.forms import Cost

BUILD = Build(
    command=["{bin}/go", "build", "-o", "{output}", "./cmd/clients"],
    cwd="go_reference",
    env={"GOTOOLCHAIN": "local"},
    inputs=["c*/**/*.go", "lives/*.go", "raft/*.go", "workload/*.go", "go.mod", "go.sum"],
    output="{cache}/raftmark-clients",
)

# Nodes' programs answer in a moment; those of a cluster that hangs are given a minute by it.
_SERVE_TIMEOUT_S = 90.0
_OWN = ("name", "crash_s")
"""What of the workload is not for the program."""


class _Serving(msgspec.Struct):
    services: dict[str, str]


class _Ceased(msgspec.Struct):
    at_ns: int


class Clients:
    """All clients of a trial, connected from its making to the end of the context.

    Raises `ContenderFailed` where the contender does not serve, or they cannot all connect.
    """

    def __init__(self, contender: Contender, cell: Cell, leader: int) -> None:
        """Connect to `leader`, which is the one that leads."""
        if (beyond := exceeded(cell)) is not None:
            raise ContenderFailed(f"its clients are more than this machine takes: {beyond}")
        self._contender = contender
        self._leader = leader
        self._crash_s = cell.workload.get("crash_s")
        self._warmup_s = cell.workload["warmup_s"]
        self._ended = threading.Event()
        self._outcome: Future[dict[str, Any]] = Future()
        self._thread = threading.Thread(target=self._await, name="clients")
        reply = contender.send_as(_Serving, "serve")
        services = contender.wait_for(reply, "serve", _SERVE_TIMEOUT_S).services
        meter = CostMeter(contender.processes)
        asked = {name: value for name, value in cell.workload.items() if name not in _OWN}
        self._process = _start()
        try:
            self._tell(msgspec.json.encode({**asked, "services": services, "leader": str(leader)}))
            self._hear_all_connected(cell)
            self._connecting = _said_of(meter.cost())
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def ask(self) -> Future[dict[str, Any]]:
        """Let them send; the result is what they measured. `ContenderFailed` if one failed."""
        self._tell(b"go")
        self._thread.start()
        return self._outcome

    def _await(self) -> None:
        try:
            crash = self._crash()
            result = {**self._hear(), "node": self._leader, **self._connecting, **crash}
            if crash:
                # The check wants all nodes, and what the one that was crashed remembers.
                self._contender.call("restart", node=self._leader)
        except BaseException as error:  # noqa: BLE001 (raised where the result is taken)
            self._outcome.set_exception(error)
        else:
            self._outcome.set_result(result)

    def _crash(self) -> dict[str, int]:
        """Crash the leader when that is due, if it is to be; what the result says of it."""
        if self._crash_s is None or self._ended.wait(self._warmup_s + self._crash_s):
            return {}
        reply = self._contender.send_as(_Ceased, "crash", node=self._leader)
        ceased = self._contender.wait_for(reply, "crash", _SERVE_TIMEOUT_S)
        return {"crashed": self._leader, "crash_ns": ceased.at_ns}

    def _tell(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # Its end says why.
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()

    def _hear_all_connected(self, cell: Cell) -> None:
        """Raises `ContenderFailed`, with what there may be too few of, if they are not."""
        try:
            self._hear()
        except ContenderFailed as error:
            if (beyond := exceeded_by_threads(cell)) is None:
                raise
            raise ContenderFailed(f"{error}; where each has a thread, {beyond}") from error

    def _hear(self) -> dict[str, Any]:
        """Return what it says next. Raises `ContenderFailed`, with its reason, if it ends."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        if line := self._process.stdout.readline():
            return msgspec.json.decode(line, type=dict[str, Any])
        reason = self._process.stderr.read().decode(errors="backslashreplace").strip()
        raise ContenderFailed(f"did not serve its clients: {reason or 'they were ended'}")

    def _end(self) -> None:
        self._ended.set()
        self._process.kill()
        if self._thread.ident is not None:
            self._thread.join()
        with self._process:
            pass  # It is waited for, and its pipes are closed.


def _said_of(cost: Cost) -> dict[str, int | None]:
    """Return what the result says of what it cost the contender to have all connected."""
    switches = (cost.voluntary_switches, cost.involuntary_switches)
    return {
        "idle_memory_bytes": cost.idle_memory_bytes,
        "connected_memory_bytes": cost.end_memory_bytes,
        "connecting_cpu_ns": round(cost.cpu_s * 1e9),
        "connecting_switches": None if None in switches else sum(each or 0 for each in switches),
    }


def _start() -> subprocess.Popen[bytes]:
    try:
        command = [str(BUILD.bring_up_to_date())]
    except Unavailable as error:
        raise ContenderFailed(f"there is no program for its clients: {error}") from error
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=clean())
