"""PySyncObj under the same closed loop as the contenders' *replicate*.

Three processes on loopback ports; the client is in the leader's process and keeps its
commands outstanding by callbacks, each of which sends the next command. Run as a program it
prints one JSON object: `commands` acknowledged in `seconds`, and their median latency `p50_s`.

With a journal each node also keeps its log in a file that it maps into memory. It never syncs that
(version 0.3.17: `flush` of its journal has no caller), so that what it has acknowledged survives
its process and not its machine.

Two settings, because PySyncObj makes its users choose: *batched* sends what has gathered every
2 ms, which is best for throughput, *unbatched* sends every command at once, which is best for
latency.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from pysyncobj import FAIL_REASON, SyncObj, SyncObjConf, replicated

NODES = 3
SETTINGS: dict[str, dict[str, Any]] = {
    "batched": {
        "appendEntriesUseBatch": True,
        "appendEntriesPeriod": 0.002,
        "autoTickPeriod": 0.002,
    },
    "unbatched": {"appendEntriesUseBatch": False},
}
_PAYLOAD = 64
_KEYS = 1000
# Its election timeouts go up to 1.4 s, and a connection is retried after 5 s.
_READY_TIMEOUT_S = 60.0
_POLL_S = 0.005


class Load(NamedTuple):
    """The closed loop: commands outstanding, and the seconds of its two parts."""

    outstanding: int
    warmup_s: float
    duration_s: float


class _Store(SyncObj):  # type: ignore[misc]
    """The replicated dictionary that the commands write to."""

    def __init__(self, own: str, others: list[str], settings: dict[str, Any]) -> None:
        super().__init__(own, others, SyncObjConf(**settings))
        self._values: dict[str, str] = {}

    @replicated  # type: ignore[untyped-decorator]
    def put(self, key: str, value: str) -> None:
        """Set a key on every node."""
        self._values[key] = value


class _ClosedLoop:
    """Clients that each send their next command in the callback of their last one."""

    def __init__(self, put: Callable[..., None], load: Load) -> None:
        self._put = put
        self._load = load
        self._value = "x" * _PAYLOAD
        self._sent = 0
        self._running = load.outstanding
        self._latencies_ns: list[int] = []
        self._failure: int | None = None
        self._finished = threading.Event()

    def run(self) -> dict[str, float]:
        self._begin_ns = time.monotonic_ns() + int(self._load.warmup_s * 1e9)
        self._end_ns = self._begin_ns + int(self._load.duration_s * 1e9)
        for _ in range(self._load.outstanding):
            self._send()
        if not self._finished.wait(self._load.warmup_s + self._load.duration_s + _READY_TIMEOUT_S):
            raise TimeoutError("PySyncObj did not answer every command")
        if self._failure is not None:
            raise RuntimeError(f"PySyncObj failed a command: reason {self._failure}")
        return {
            "commands": len(self._latencies_ns),
            "seconds": self._load.duration_s,
            "p50_s": statistics.median(self._latencies_ns) / 1e9,
        }

    def _send(self) -> None:
        self._sent += 1
        key = f"key-{self._sent % _KEYS}"
        self._put(key, self._value, callback=partial(self._answered, time.monotonic_ns()))

    def _answered(self, sent_ns: int, result: None, reason: int) -> None:
        now_ns = time.monotonic_ns()
        if reason != FAIL_REASON.SUCCESS:
            self._failure = reason
        elif self._begin_ns <= now_ns < self._end_ns:
            self._latencies_ns.append(now_ns - sent_ns)
        if now_ns < self._end_ns and self._failure is None:
            self._send()
            return
        self._running -= 1
        if self._running == 0:
            self._finished.set()


def measure(setting: str, load: Load, journals: Path | None = None) -> dict[str, float]:
    """Start three nodes, run the loop in the leader's process, and end them.

    With `journals`, a directory, each node keeps a journal there.
    """
    with _addresses() as addresses:
        return _measure_at(addresses, setting, load, journals)


def _measure_at(
    addresses: list[str], setting: str, load: Load, journals: Path | None
) -> dict[str, float]:
    spawn = multiprocessing.get_context("spawn")
    ours: list[Connection] = []
    nodes = []
    for own in addresses:
        here, there = spawn.Pipe()
        others = [address for address in addresses if address != own]
        settings = SETTINGS[setting]
        if journals is not None:
            file = journals / f"{own.replace(':', '-')}.journal"
            settings = {**settings, "journalFile": str(file)}
        nodes.append(
            spawn.Process(target=_serve, args=(own, others, settings, load, there), daemon=True)
        )
        nodes[-1].start()
        there.close()
        ours.append(here)
    try:
        leaders = [pipe for pipe in ours if _receive(pipe, _READY_TIMEOUT_S)]
        if len(leaders) != 1:
            raise RuntimeError(f"PySyncObj has {len(leaders)} leaders")
        leaders[0].send("run")
        result: dict[str, float] = _receive(leaders[0], 2 * _READY_TIMEOUT_S)
        return result
    finally:
        for node in nodes:
            node.kill()
            node.join()


def _serve(
    own: str, others: list[str], settings: dict[str, Any], load: Load, pipe: Connection
) -> None:
    """Be a node: say whether it leads, and run the loop when asked to."""
    store = _Store(own, others, settings)
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while not (store.isReady() and store.getStatus()["leader"] is not None):
        if time.monotonic() > deadline:
            raise TimeoutError("PySyncObj elected no leader")
        time.sleep(_POLL_S)
    status = store.getStatus()
    pipe.send(status["leader"] == status["self"])
    pipe.recv()
    pipe.send(_ClosedLoop(store.put, load).run())
    pipe.recv()


def _receive(pipe: Connection, timeout: float) -> Any:
    if not wait([pipe], timeout):
        raise TimeoutError(f"a PySyncObj node said nothing for {timeout:g} s")
    return pipe.recv()


@contextmanager
def _addresses() -> Iterator[list[str]]:
    """Addresses that nobody else is given meanwhile.

    Each is held by a socket that does not listen. With SO_REUSEADDR, which PySyncObj has set on its
    own, a node may listen there all the same.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(NODES)]
        for each in sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("127.0.0.1", 0))
        yield [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]


def main() -> None:
    """Measure one setting at one load."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("--outstanding", type=int, default=64)
    parser.add_argument("--warmup", type=float, default=0.5, help="seconds")
    parser.add_argument("--duration", type=float, default=2.0, help="seconds")
    parser.add_argument("--journal", action="store_true", help="each node keeps one")
    options = parser.parse_args()
    load = Load(options.outstanding, options.warmup, options.duration)
    with tempfile.TemporaryDirectory() as directory:
        journals = Path(directory) if options.journal else None
        print(json.dumps(measure(options.setting, load, journals)))


if __name__ == "__main__":
    main()
