"""The contender protocol (docs/protocol.md) around a cluster of one concurrency model."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from raftmark.raft.client import Applied, Query, Value
from raftmark.raft.cluster import ClockRelated, ClusterFactory
from raftmark.raft.errors import BadRequest, OutcomeUnknown, RaftError, Unavailable
from raftmark.raft.host import requests, runs
from raftmark.raft.host.answers import (
    Reply,
    described,
    fault_event,
    log_page,
    log_slice,
)
from raftmark.raft.host.cluster_service import ClusterService
from raftmark.raft.host.control import Completion, Control
from raftmark.raft.host.data import members_in
from raftmark.raft.host.fields import (
    KEY,
    MAX_NODES,
    RANGE,
    SETTINGS,
    TIMEOUT,
    config_of,
    proposal,
    proposed,
)
from raftmark.raft.host.interpreter import python
from raftmark.raft.host.replies import Request
from raftmark.raft.host.requests import REQUIRED
from raftmark.raft.host.service import Operation, run

NATIVE = "native"


class Host(ClusterService):
    """Serves requests to a cluster. `describe` tells what `hello` says of the contender.

    `transport` is what its nodes speak over, besides which `native` is the same.
    """

    def __init__(
        self,
        name: str,
        factory: ClusterFactory,
        describe: Callable[[], Reply],
        transport: str = NATIVE,
    ) -> None:
        super().__init__(name, describe)
        self._transport = requests.choice(*{NATIVE, transport})
        self._factory = factory
        self._control: Control | None = None
        self._operations: dict[str, Operation] = {
            **self._common_operations,
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
            "transfer": self._transfer,
            "add_server": self._add_server,
            "remove_server": self._remove_server,
            "serve": self._serve,
            "run": self._start_run,
            "stop": self._stop,
        }

    @property
    def operations(self) -> Mapping[str, Operation]:
        """All of docs/protocol.md but `quit`."""
        return self._operations

    def end(self) -> None:
        """Stop the cluster, if one runs."""
        if self._control is None:
            return
        self._control.stop()
        self._control = None
        self.await_background()

    # -- operations --------------------------------------------------------------------

    def _start(self, _request: Request, fields: dict[str, Any]) -> Reply:
        values = requests.read(
            fields,
            {
                "nodes": (requests.integer(1, MAX_NODES), 3),
                "transport": (self._transport, NATIVE),
                **SETTINGS,
            },
        )
        if self._control is not None:
            raise BadRequest("a cluster is running; stop it first")
        config = config_of(values, tuple(range(1, values["nodes"] + 1)))
        if config.data_dir is not None:
            members = members_in(config.data_dir, config.settings.nodes)
            config = config._replace(members=members)
        control = Control(
            self._factory,
            config,
            self._announce,
            self._report_failure,
            self._tell if config.trace else None,
            self._report_loss,
            self._report_clock,
        )
        control.start()
        self._control = control
        return {"nodes": list(config.nodes)}

    def _stop(self, _request: Request, fields: dict[str, Any]) -> Reply:
        requests.read(fields, {})
        self._running()
        self.end()
        return {}

    def _status(self, _request: Request, fields: dict[str, Any]) -> Reply:
        requests.read(fields, {})
        return {"nodes": self._running().status()}

    def _submit(self, request: Request, fields: dict[str, Any]) -> None:
        known = {**proposal(requests.command), "node": (self._any_node(), None)}
        values = requests.read(fields, {**known, "timeout_ms": TIMEOUT})
        command = proposed(values)
        control = self._running()
        control.submit(values["node"], command, self._awaited(request, values["timeout_ms"]))

    def _read(self, request: Request, fields: dict[str, Any]) -> None:
        known = {**KEY, "node": (self._any_node(), None), "timeout_ms": TIMEOUT}
        values = requests.read(fields, known)
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
        values = requests.read(fields, {"node": (self._any_node(), REQUIRED), **RANGE})
        log = partial(self._running().log, values["node"])
        piece = log_page(log, values["from"], values["to"])
        return log_slice(piece, by_columns=values["columns"])

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

    def _serve(self, _request: Request, fields: dict[str, Any]) -> Reply:
        requests.read(fields, {})
        services = self._running().serve()
        return {"services": {str(n): where for n, where in services.items()}}

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

        self.in_background(request, wait)

    # -- workloads ---------------------------------------------------------------------

    def _start_run(self, request: Request, fields: dict[str, Any]) -> None:
        values = requests.read(fields, {"workload": (requests.mapping, REQUIRED)})
        work = runs.requested(len(self._nodes()), values["workload"])
        control = self._running()

        def progress(done: float) -> None:
            self._output.put({"event": "progress", "run": request.id, "done": done})

        self._run_alone(request, lambda: work(control, progress))

    # -- the cluster -------------------------------------------------------------------

    def _nodes(self) -> Sequence[int]:
        """The nodes that a request may name: the cluster's, while none runs any cluster's."""
        return range(1, MAX_NODES + 1) if self._control is None else self._control.nodes

    def _any_node(self) -> requests.Check:
        return requests.node_of(self._nodes())

    def _linked(self) -> Control:
        return self._running()

    def _running(self) -> Control:
        if self._control is None:
            raise Unavailable("no cluster is running; start one first")
        return self._control

    def _report_clock(self, related: ClockRelated) -> None:
        self._output.put({"event": "clock", **related._asdict()})

    def _report_failure(self, node: int, error: Exception) -> None:
        self._output.put(fault_event(node, error))
        print(f"{self._name}: node {node} ceased: {error}", file=sys.stderr)


def main(
    name: str,
    factory: ClusterFactory,
    runtime: Mapping[str, object] | None = None,
    prepare: Callable[[], None] = lambda: None,
) -> NoReturn:
    """Serve a contender on standard input and output, until they end; see `service.run`.

    `runtime` is what `hello` tells of the contender's runtime besides Python's own.
    """

    def describe() -> Reply:
        return python((*runs.WORKLOADS, "service"), runtime or {})

    run(name, lambda: Host(name, factory, describe), prepare)
