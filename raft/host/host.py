"""The contender protocol (docs/protocol.md) around a cluster of one concurrency model.

One thread reads requests and keeps deadlines, one writes lines, and what takes its time
(a workload, a change of members) has one of its own meanwhile. None of them takes part
in the cluster: replies and events reach the writer through a queue, so that no node ever
waits for the reader of the pipe.
"""

import gc
import importlib
import json
import os
import queue
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from raftmark.raft.client import Applied, Query, Value
from raftmark.raft.cluster import ClusterConfig, ClusterFactory, EntriesLost, RoleChange
from raftmark.raft.errors import BadRequest, OutcomeUnknown, RaftError, Unavailable
from raftmark.raft.host import interpreter, requests, runs
from raftmark.raft.host.control import Completion, Control
from raftmark.raft.host.data import members_in
from raftmark.raft.host.replies import Replies, Request
from raftmark.raft.host.requests import MILLISECOND, REQUIRED, SECOND
from raftmark.raft.host.trace import message_event
from raftmark.raft.links import Faults
from raftmark.raft.messages import Command, Message
from raftmark.raft.node import Settings
from raftmark.raft.storage import StorageError

PROTOCOL = 1
MAX_LINE = 1 << 20
MAX_LOG_ENTRIES = 5000
MAX_NODES = 9
FEATURES = (
    "read",
    "snapshot",
    "transfer",
    "membership",
    "pre_vote",
    "check_quorum",
    "trace",
    "slices",
)
TIMEOUT = (requests.duration_ns(1, 600_000, MILLISECOND), 5 * SECOND)

Reply = dict[str, Any]


class Lines:
    """Splits a byte stream into lines of bounded length."""

    def __init__(self) -> None:
        self._partial = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """The lines that `data` completes, without newline; None for one too long."""
        *complete, rest = data.split(b"\n")
        for piece in complete:
            if self._skipping or len(self._partial) + len(piece) >= MAX_LINE:
                yield None
            else:
                yield bytes(self._partial + piece)
            self._partial.clear()
            self._skipping = False
        if len(self._partial) + len(rest) >= MAX_LINE:
            self._partial.clear()
            self._skipping = True
        elif not self._skipping:
            self._partial += rest


class Output:
    """Standard output: lines in the order in which they were queued, from any thread."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="output")
        self._writer.start()

    def put(self, value: dict[str, Any]) -> None:
        """Queue an object."""
        self._lines.put(json.dumps(value, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Write what is queued and end."""
        self._lines.put(None)
        self._writer.join()

    def _write(self) -> None:
        lines = self._lines
        ended = False
        while not ended:
            waiting = [lines.get()]
            waiting += [lines.get() for _ in range(lines.qsize())]
            ended = None in waiting
            data = memoryview(b"".join(line for line in waiting if line is not None))
            try:
                while data:
                    data = data[os.write(sys.stdout.fileno(), data) :]
            except OSError as error:
                # No one listens any more; the end of standard input is to follow.
                if not isinstance(error, BrokenPipeError):
                    print(f"standard output: {error.strerror}", file=sys.stderr)
                return


class Host:
    """Serves requests until the end of input or `quit`."""

    def __init__(
        self, name: str, factory: ClusterFactory, runtime: Mapping[str, object] | None = None
    ) -> None:
        self._name = name
        self._runtime = runtime or {}
        self._factory = factory
        self._output = Output()
        self._control: Control | None = None
        self._background: list[threading.Thread] = []
        self._busy = False
        self._replies = Replies(self._output.put)
        self._operations: dict[str, Callable[[Request, dict[str, Any]], Reply | None]] = {
            "hello": self._hello,
            "start": self._start,
            "status": self._status,
            "submit": self._submit,
            "read": self._read,
            "log": self._log,
            "snapshot": self._snapshot,
            "crash": self._crash,
            "restart": self._restart,
            "pause": self._node_operation(Control.pause),
            "resume": self._node_operation(Control.resume),
            "partition": self._partition,
            "heal": self._heal,
            "links": self._links,
            "transfer": self._transfer,
            "add_server": self._add_server,
            "remove_server": self._remove_server,
            "run": self._start_run,
            "stop": self._stop,
        }

    # -- lines -----------------------------------------------------------------------

    def serve(self, signals: int) -> int:
        """Answer requests until input ends, `quit` is asked, or a signal comes.

        `signals` is a file descriptor from which signals' numbers are read. Returns the
        exit status: 0, or 128 + the signal's number.
        """
        lines = Lines()
        stdin = sys.stdin.fileno()
        try:
            while True:
                readable, _, _ = select.select([stdin, signals], [], [], self._replies.expire())
                if signals in readable:
                    return 128 + os.read(signals, 1)[0]
                if stdin not in readable:
                    continue
                data = os.read(stdin, 1 << 16)
                if not data:
                    return 0
                for line in lines.feed(data):
                    if not self._handle(line):
                        return 0
        finally:
            try:
                self._stop_cluster()
            finally:
                self._output.close()

    def _handle(self, line: bytes | None) -> bool:
        """Answer one line; False if it was `quit`."""
        request: Request | None = None
        request_id: int | None = None
        try:
            if line is None:
                raise BadRequest(f"a line has at most {MAX_LINE} bytes")
            if not line.strip():
                return True
            try:
                fields = requests.parse(line)
            except BadRequest:
                request_id = requests.id_of(line)
                raise
            request_id = requests.request_id("id", fields.pop("id", None))
            request = self._replies.expect(request_id)
            op = fields.pop("op", None)
            if op == "quit":
                requests.read(fields, {})
                self._stop_cluster()
                self._replies.give(request, {"ok": {}})
                return False
            operation = self._operations.get(op) if isinstance(op, str) else None
            if operation is None:
                raise BadRequest(f"unknown op {op!r:.40}")
            reply = operation(request, fields)
            if reply is not None:
                self._replies.give(request, {"ok": reply})
        except Exception as error:  # noqa: BLE001 (answered, and the cluster goes on)
            if request is None:
                self._output.put({"id": request_id, "error": refusal(error)})
            else:
                self._replies.give(request, {"error": refusal(error)})
        return True

    # -- operations --------------------------------------------------------------------

    def _hello(self, _request: Request, fields: dict[str, Any]) -> Reply:
        requests.read(fields, {})
        offered = storages()
        return {
            "contender": self._name,
            "protocol": PROTOCOL,
            "language": "Python",
            # After all imports: an extension that was not built for it turns the GIL on.
            "runtime": {**interpreter.describe(), **self._runtime},
            "features": [*offered, *runs.WORKLOADS, *FEATURES],
        }

    def _start(self, _request: Request, fields: dict[str, Any]) -> Reply:
        values = requests.read(
            fields,
            {
                "nodes": (requests.integer(1, MAX_NODES), 3),
                "election_timeout_ms": (
                    requests.range_ns(1, 60_000),
                    (150 * MILLISECOND, 300 * MILLISECOND),
                ),
                "heartbeat_ms": (
                    requests.duration_ns(0.5, 60_000, MILLISECOND),
                    50 * MILLISECOND,
                ),
                "storage": (requests.choice("memory", "disk"), "memory"),
                "data_dir": (requests.path, None),
                "transport": (requests.choice("native"), "native"),
                "seed": (requests.integer(0, 2**63 - 1), 0),
                "pre_vote": (requests.boolean, False),
                "check_quorum": (requests.boolean, False),
                "snapshot_entries": (requests.integer(0, 2**53 - 1), 16384),
                "trace": (requests.boolean, False),
            },
        )
        if self._control is not None:
            raise BadRequest("a cluster is running; stop it first")
        if (values["storage"] == "disk") != (values["data_dir"] is not None):
            raise BadRequest("data_dir goes with storage disk, and only with it")
        if values["storage"] not in storages():
            raise BadRequest("storage disk needs the msgspec package, which is not here")
        settings = Settings(
            nodes=tuple(range(1, values["nodes"] + 1)),
            election_timeout_ns=values["election_timeout_ms"],
            heartbeat_ns=values["heartbeat_ms"],
            pre_vote=values["pre_vote"],
            check_quorum=values["check_quorum"],
            snapshot_entries=values["snapshot_entries"],
        )
        trace, data_dir = values["trace"], values["data_dir"]
        members = None if data_dir is None else members_in(data_dir, settings.nodes)
        config = ClusterConfig(
            settings, values["storage"], data_dir, values["seed"], trace, members
        )
        control = Control(
            self._factory,
            config,
            self._announce,
            self._report_failure,
            self._tell if trace else None,
            self._report_loss,
        )
        control.start()
        self._control = control
        return {"nodes": list(config.nodes)}

    def _stop(self, _request: Request, fields: dict[str, Any]) -> Reply:
        requests.read(fields, {})
        self._running()
        self._stop_cluster()
        return {}

    def _status(self, _request: Request, fields: dict[str, Any]) -> Reply:
        requests.read(fields, {})
        return {"nodes": self._running().status()}

    def _submit(self, request: Request, fields: dict[str, Any]) -> None:
        values = requests.read(
            fields,
            {
                "command": (requests.command, REQUIRED),
                "node": (self._any_node(), None),
                "client": (requests.string(requests.MAX_KEY_BYTES), None),
                "serial": (requests.integer(1, 2**53 - 1), None),
                "timeout_ms": TIMEOUT,
            },
        )
        if (values["client"] is None) != (values["serial"] is None):
            raise BadRequest("client and serial go together")
        command: Command = values["command"]
        if values["client"] is not None:
            command = command._replace(client=values["client"], serial=values["serial"])
        control = self._running()
        control.submit(values["node"], command, self._awaited(request, values["timeout_ms"]))

    def _read(self, request: Request, fields: dict[str, Any]) -> None:
        values = requests.read(
            fields,
            {
                "key": (requests.string(requests.MAX_KEY_BYTES), REQUIRED),
                "node": (self._any_node(), None),
                "timeout_ms": TIMEOUT,
            },
        )
        control = self._running()
        done = self._awaited(request, values["timeout_ms"])
        control.read(values["node"], Query(values["key"], done))

    def _awaited(
        self, request: Request, timeout_ns: int
    ) -> Callable[[Applied | Value | RaftError], None]:
        """Who replies to a request when its outcome comes, if that is before the deadline."""
        late = described(OutcomeUnknown("not committed in time; it may still be"))
        self._replies.give_at(time.monotonic_ns() + timeout_ns, request, late)
        return lambda outcome: self._replies.give(request, described(outcome))

    def _log(self, _request: Request, fields: dict[str, Any]) -> Reply:
        index = requests.integer(1, 2**53 - 1)
        values = requests.read(
            fields,
            {
                "node": (self._any_node(), REQUIRED),
                "from": (index, 1),
                "to": (index, 2**53 - 1),
            },
        )
        control = self._running()
        node, first = values["node"], values["from"]
        piece = control.log(node, first, min(values["to"], first + MAX_LOG_ENTRIES - 1))
        if piece.first_index >= first + MAX_LOG_ENTRIES:
            # All of that is compacted away.
            first = piece.first_index
            piece = control.log(node, first, min(values["to"], first + MAX_LOG_ENTRIES - 1))
        return {
            "entries": [
                {"index": index, "term": term, "command": describe(command)}
                for index, (term, command) in enumerate(piece.entries, piece.first_index)
            ],
            "last_index": piece.last_index,
            "commit_index": piece.commit_index,
        }

    def _snapshot(self, _request: Request, fields: dict[str, Any]) -> Reply:
        node = self._node(fields)
        index, term = self._running().snapshot(node)
        return {"index": index, "term": term}

    def _crash(self, _request: Request, fields: dict[str, Any]) -> Reply:
        node = self._node(fields)
        return {"at_ns": self._running().crash(node)}

    def _restart(self, _request: Request, fields: dict[str, Any]) -> Reply:
        node = self._node(fields)
        return {"storage_lost": True} if self._running().restart(node) else {}

    def _node_operation(
        self, operation: Callable[[Control, int], None]
    ) -> Callable[[Request, dict[str, Any]], Reply]:
        def perform(_request: Request, fields: dict[str, Any]) -> Reply:
            node = self._node(fields)
            operation(self._running(), node)
            return {}

        return perform

    def _node(self, fields: dict[str, Any]) -> int:
        known = {"node": (self._any_node(), REQUIRED)}
        node: int = requests.read(fields, known)["node"]
        return node

    def _partition(self, _request: Request, fields: dict[str, Any]) -> Reply:
        values = requests.read(
            fields,
            {
                "groups": (requests.groups_of(self._nodes()), None),
                "blocked": (requests.ways_of(self._nodes()), None),
            },
        )
        if (values["groups"] is None) == (values["blocked"] is None):
            raise BadRequest("a partition has either groups or blocked")
        control = self._running()
        if values["groups"] is not None:
            control.partition(values["groups"])
        else:
            control.block(values["blocked"])
        return {}

    def _heal(self, _request: Request, fields: dict[str, Any]) -> Reply:
        requests.read(fields, {})
        self._running().partition(None)
        return {}

    def _links(self, _request: Request, fields: dict[str, Any]) -> Reply:
        probability = requests.number(0, 1)
        values = requests.read(
            fields,
            {
                "drop": (probability, 0.0),
                "duplicate": (probability, 0.0),
                "delay_ms": (requests.range_ns(0, 60_000), (0, 0)),
            },
        )
        faults = Faults(values["drop"], values["duplicate"], values["delay_ms"])
        self._running().degrade(faults)
        return {}

    # -- members and leadership ----------------------------------------------------------

    def _transfer(self, request: Request, fields: dict[str, Any]) -> None:
        self._patiently(request, fields, self._any_node(), Control.transfer)

    def _add_server(self, request: Request, fields: dict[str, Any]) -> None:
        server = requests.integer(1, MAX_NODES)
        self._patiently(request, fields, server, Control.add_server)

    def _remove_server(self, request: Request, fields: dict[str, Any]) -> None:
        self._patiently(request, fields, self._any_node(), Control.remove_server)

    def _patiently(
        self,
        request: Request,
        fields: dict[str, Any],
        node: requests.Check,
        begin: Callable[[Control, int], Completion],
    ) -> None:
        """Begin what takes its time; a thread waits for it, so that other requests need not."""
        values = requests.read(fields, {"node": (node, REQUIRED), "timeout_ms": TIMEOUT})
        deadline_ns = time.monotonic_ns() + values["timeout_ms"]
        complete = begin(self._running(), values["node"])

        def wait() -> Reply:
            complete(deadline_ns)
            return {}

        self._in_background(request, wait)

    def _in_background(
        self, request: Request, work: Callable[[], Reply], ended: Callable[[], None] = lambda: None
    ) -> None:
        """Answer a request with what `work` returns, from a thread; `ended` comes first."""

        def run() -> None:
            try:
                answer = {"ok": work()}
            except Exception as error:  # noqa: BLE001 (answered, and the cluster goes on)
                answer = {"error": refusal(error)}
            ended()
            self._replies.give(request, answer)

        self._background = [thread for thread in self._background if thread.is_alive()]
        thread = threading.Thread(target=run, name="background")
        try:
            thread.start()
        except RuntimeError as error:
            ended()
            raise Unavailable(f"the machine has no thread for this: {error}") from error
        self._background.append(thread)

    # -- workloads ---------------------------------------------------------------------

    def _start_run(self, request: Request, fields: dict[str, Any]) -> None:
        values = requests.read(fields, {"workload": (requests.mapping, REQUIRED)})
        work = runs.requested(len(self._nodes()), values["workload"])
        control = self._running()
        if self._busy:
            raise BadRequest("a workload is running; one at a time")

        def progress(done: float) -> None:
            self._output.put({"event": "progress", "run": request.id, "done": done})

        def idle() -> None:
            self._busy = False  # Before the answer, which invites the next run.

        self._busy = True
        self._in_background(request, lambda: work(control, progress), idle)

    # -- the cluster -------------------------------------------------------------------

    def _nodes(self) -> Sequence[int]:
        """The nodes that a request may name: the cluster's, while none runs any cluster's."""
        return range(1, MAX_NODES + 1) if self._control is None else self._control.nodes

    def _any_node(self) -> requests.Check:
        return requests.node_of(self._nodes())

    def _running(self) -> Control:
        if self._control is None:
            raise Unavailable("no cluster is running; start one first")
        return self._control

    def _stop_cluster(self) -> None:
        if self._control is None:
            return
        self._control.stop()
        self._control = None
        while self._background:
            self._background.pop().join()

    def _tell(self, messages: Sequence[Message], at_ns: int) -> None:
        for message in messages:
            self._output.put(message_event(message, at_ns))

    def _announce(self, change: RoleChange) -> None:
        self._output.put(
            {
                "event": "role",
                "node": change.node,
                "role": change.role.value,
                "term": change.term,
                "leader": change.leader,
                "at_ns": change.at_ns,
            }
        )

    def _report_loss(self, lost: EntriesLost) -> None:
        self._output.put({"event": "entries_lost", **lost._asdict()})

    def _report_failure(self, node: int, error: Exception) -> None:
        self._output.put(
            {
                "event": "fault",
                "node": node,
                "message": refusal(error)["message"],
                "at_ns": time.monotonic_ns(),
            }
        )
        print(f"{self._name}: node {node} ceased: {error}", file=sys.stderr)


def refusal(error: Exception) -> dict[str, Any]:
    """An error as a reply has it. A fault of the contender's own is shown to people, too."""
    if isinstance(error, StorageError):
        error = Unavailable(str(error))
    if not isinstance(error, RaftError):
        traceback.print_exception(error)
        error = RaftError(f"{type(error).__name__}: {error}")
    return {"code": error.code, "message": str(error), **error.details}


def described(outcome: Applied | Value | RaftError) -> Reply:
    """What became of a command or a read, as a reply has it."""
    if isinstance(outcome, RaftError):
        return {"error": refusal(outcome)}
    if isinstance(outcome, Value):
        return {"ok": {"index": outcome.log_index, "value": outcome.value}}
    index, term, result = outcome
    return {"ok": {"index": index, "term": term, "result": result}}


def describe(command: Command) -> dict[str, Any]:
    """A command as the protocol's `log` shows it."""
    described: dict[str, Any] = {"op": command.op}
    if command.op != "noop":
        described["key"] = command.key
    if command.op == "cas":
        described["expect"] = command.expect
    if command.op in ("set", "cas"):
        described["value"] = command.value
    if command.client is not None:
        described |= {"client": command.client, "serial": command.serial}
    return described


def storages() -> list[str]:
    """The storages on offer: free-threaded 3.13 has no serialiser, so no disk."""
    try:
        importlib.import_module("msgspec")
    except ImportError:
        return ["memory"]
    return ["memory", "disk"]


def open_closed_streams() -> None:
    """Let a standard stream that is closed be the null device, as in Go.

    Otherwise the next file to be opened is taken for it.
    """
    for number, (name, mode) in enumerate([("stdin", "r"), ("stdout", "w"), ("stderr", "w")]):
        if getattr(sys, name) is None:
            # The lowest number that is free: this one, as long as nothing else was opened.
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(number, mode))


def main(
    name: str,
    factory: ClusterFactory,
    runtime: Mapping[str, object] | None = None,
    prepare: Callable[[], None] = lambda: None,
) -> NoReturn:
    """Serve a contender on standard input and output; exits with 0 at their end.

    `runtime` is what `hello` tells of the contender's runtime besides Python's own. `prepare`
    is called before all else, once there are standard streams.

    SIGINT, SIGTERM and SIGHUP stop the cluster too and exit with 128 + the signal's number. Who
    had SIGHUP ignored, as nohup does, is left alone by it.

    The cyclic garbage collector is off, as the implementations make no cycles: a full
    collection walks the whole log, and while it does every node of the process is
    still, soon for longer than an election timeout.
    """
    gc.disable()
    open_closed_streams()
    prepare()

    # A handler that raised would do so anywhere, in the middle of a lock's release too;
    # this way a signal is one more thing to read between two requests.
    signals, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup)
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, lambda _signum, _frame: None)
    status = Host(name, factory, runtime).serve(signals)
    if status:
        print(f"{name}: ended by {signal.Signals(status - 128).name}", file=sys.stderr)
    sys.exit(status)
