"""A node program: the protocol around one node of a cluster (docs/protocol.md, *node programs*).

The nodes of such a cluster speak TCP with each other, whatever each is written in. Whoever
started this program speaks to it by its pipe.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from raftmark.raft.client import Applied, Query, Value
from raftmark.raft.cluster import Events, Membership, Refusal
from raftmark.raft.deployed import LOOPBACK, Address, DeployedFactory, DeployedNode, Site
from raftmark.raft.errors import BadRequest, RaftError, Unavailable
from raftmark.raft.host import requests, runs
from raftmark.raft.host.answers import (
    Reply,
    described,
    fault_event,
    log_page,
    log_slice,
)
from raftmark.raft.host.cluster_service import ClusterService
from raftmark.raft.host.fields import (
    ANY_ID,
    INDEX,
    KEY,
    MAX_NODES,
    RANGE,
    SETTINGS,
    config_of,
    proposal,
    proposed,
)
from raftmark.raft.host.interpreter import python
from raftmark.raft.host.replies import Request
from raftmark.raft.host.requests import REQUIRED
from raftmark.raft.host.service import Operation, run
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.messages import ADD_SERVER, REMOVE_SERVER, Command

SECRET = "RAFTMARK_SECRET"
LEAST_SECRET_BYTES = 16
MOST_SECRET_BYTES = 4096


class Life(Enum):
    """Whether the node has one."""

    NONE = "down"
    RUNNING = "running"
    PAUSED = "paused"


class NodeProgram(ClusterService):
    """Serves requests to one node. `secret` is what it shares with its peers, if anything."""

    def __init__(
        self,
        name: str,
        factory: DeployedFactory,
        describe: Callable[[], Reply],
        secret: bytes | None = None,
    ) -> None:
        super().__init__(name, describe)
        self._factory = factory
        self._secret = secret
        self._node: DeployedNode | None = None
        self._life = Life.NONE
        self._serves = False
        self._operations: dict[str, Operation] = {
            **self._common_operations,
            "listen": self._listen,
            "peers": self._peers,
            "serve": self._serve,
            "services": self._services,
            "begin": self._begin,
            "crash": self._crash,
            "pause": self._pause,
            "resume": self._resume,
            "submit": self._submit,
            "read": self._read,
            "when_applied": self._when_applied,
            "status": self._status,
            "counters": self._counters,
            "log": self._log,
            "transfer": self._transfer,
            "compact": self._compact,
            "heartbeat": self._heartbeat,
            "run": self._run,
        }

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What a node program is asked, but `quit`."""
        return self._operations

    def end(self) -> None:
        """End the node and all that it has."""
        if self._node is not None:
            node, self._node = self._node, None
            node.stop()
            self.await_background()

    # -- its place ---------------------------------------------------------------------

    def _listen(self, _request: Request, fields: dict[str, Any]) -> Reply:
        values = requests.read(
            fields,
            {
                "node": (ANY_ID, REQUIRED),
                "cluster": (requests.string(64, min_bytes=1), REQUIRED),
                "voters": (voters, REQUIRED),
                "address": (address, LOOPBACK),
                **SETTINGS,
            },
        )
        if self._node is not None:
            raise BadRequest("it listens already; a program has one node")
        config = config_of(values, values["voters"])._replace(members=(values["node"],))
        site = Site(values["node"], values["cluster"], values["address"], self._secret)
        events = Events(
            self._announce,
            self._report_failure,
            self._tell if config.trace else None,
            self._report_loss,
            self._report_members,
            self._report_refusal,
        )
        node = self._factory(config, events, site)
        listening = node.listen()
        self._node = node
        return {"address": str(listening)}

    def _peers(self, _request: Request, fields: dict[str, Any]) -> Reply:
        peers = requests.read(fields, {"peers": (addresses, REQUIRED)})["peers"]
        node = self._listening()
        node.introduce({n: peers[n] for n in peers if n != node.site.node})
        return {}

    def _serve(self, _request: Request, fields: dict[str, Any]) -> Reply:
        where = requests.read(fields, {"address": (address, LOOPBACK)})["address"]
        node = self._listening()
        if self._serves:
            raise BadRequest("it serves clients already")
        serving = node.open_service(where)
        self._serves = True
        return {"address": str(serving)}

    def _services(self, _request: Request, fields: dict[str, Any]) -> Reply:
        known = requests.read(fields, {"addresses": (addresses, REQUIRED)})["addresses"]
        self._listening().tell_services({n: str(where) for n, where in known.items()})
        return {}

    def _linked(self) -> DeployedNode:
        return self._listening()

    def _nodes(self) -> Sequence[int]:
        return range(1, MAX_NODES + 1)

    def _listening(self) -> DeployedNode:
        if self._node is None:
            raise Unavailable("it does not listen yet; ask it to first")
        return self._node

    # -- its lives ---------------------------------------------------------------------

    def _begin(self, _request: Request, fields: dict[str, Any]) -> Reply:
        joins = requests.read(fields, {"join": (requests.boolean, False)})["join"]
        node = self._listening()
        if self._life is not Life.NONE:
            raise BadRequest(f"the node is {self._life.value}")
        self._life = Life.RUNNING  # First, as the new life may soon report that it has failed.
        try:
            if joins:
                node.join(node.site.node, joins=True)
            else:
                node.restart(node.site.node)
        except BaseException:
            self._life = Life.NONE
            raise
        return {}

    def _crash(self, _request: Request, fields: dict[str, Any]) -> Reply:
        node = self._plain(fields)
        if self._life is Life.NONE:
            raise BadRequest("the node is down")
        self._life = Life.NONE
        return {"at_ns": node.crash(node.site.node)}

    def _pause(self, _request: Request, fields: dict[str, Any]) -> Reply:
        node = self._plain(fields)
        if self._life is not Life.RUNNING:
            raise BadRequest(f"the node is {self._life.value}")
        status = node.pause(node.site.node)._asdict()
        self._life = Life.PAUSED
        return status

    def _resume(self, _request: Request, fields: dict[str, Any]) -> Reply:
        node = self._plain(fields)
        if self._life is not Life.PAUSED:
            raise BadRequest(f"the node is {self._life.value}")
        self._life = Life.RUNNING
        node.resume(node.site.node)
        return {}

    def _plain(self, fields: dict[str, Any]) -> DeployedNode:
        """The node, for a request that has no fields."""
        requests.read(fields, {})
        return self._listening()

    def _living(self) -> tuple[DeployedNode, int]:
        """The node, and its id, for a request to its life."""
        node = self._listening()
        if self._life is not Life.RUNNING:
            raise Unavailable(f"node {node.site.node} is {self._life.value}")
        return node, node.site.node

    # -- what it is asked --------------------------------------------------------------

    def _submit(self, request: Request, fields: dict[str, Any]) -> None:
        command = proposed(requests.read(fields, proposal(any_command)))
        node, n = self._living()
        node.submit(n, command, self._answer(request))

    def _read(self, request: Request, fields: dict[str, Any]) -> None:
        key = requests.read(fields, KEY)["key"]
        node, n = self._living()
        node.read(n, Query(key, self._answer(request)))

    def _when_applied(self, request: Request, fields: dict[str, Any]) -> None:
        index = requests.read(fields, {"index": (INDEX, REQUIRED)})["index"]
        node, n = self._living()
        answer = self._answer(request)

        def reached(outcome: Value | RaftError) -> None:
            if isinstance(outcome, Value):
                self._replies.give(request, {"ok": {"index": outcome.log_index}})
            else:
                answer(outcome)

        node.when_applied(n, index, reached)

    def _answer(self, request: Request) -> Callable[[Applied | Value | RaftError], None]:
        return lambda outcome: self._replies.give(request, described(outcome))

    def _status(self, _request: Request, fields: dict[str, Any]) -> Reply:
        requests.read(fields, {})
        node, n = self._living()
        return node.status(n)._asdict()

    def _counters(self, _request: Request, fields: dict[str, Any]) -> Reply:
        requests.read(fields, {})
        node, n = self._living()
        return node.counters(n)._asdict()

    def _log(self, _request: Request, fields: dict[str, Any]) -> Reply:
        values = requests.read(fields, RANGE)
        node, n = self._living()
        piece = log_page(partial(node.log, n), values["from"], values["to"])
        page = log_slice(piece, by_columns=values["columns"])
        return {"first_index": piece.first_index, **page}

    def _transfer(self, _request: Request, fields: dict[str, Any]) -> Reply:
        to = requests.read(fields, {"to": (ANY_ID, REQUIRED)})["to"]
        node, n = self._living()
        return {"handed": node.transfer(n, to)}

    def _compact(self, _request: Request, fields: dict[str, Any]) -> Reply:
        requests.read(fields, {})
        node, n = self._living()
        index, term = node.compact(n)
        return {"index": index, "term": term}

    def _heartbeat(self, _request: Request, fields: dict[str, Any]) -> Reply:
        requests.read(fields, {})
        node, n = self._living()
        node.heartbeat(n)
        return {}

    # -- loads beside it ---------------------------------------------------------------

    def _run(self, request: Request, fields: dict[str, Any]) -> None:
        values = requests.read(fields, {"workload": (requests.mapping, REQUIRED)})
        spec = runs.specified(values["workload"])
        if not isinstance(spec, ReplicateSpec | OfferedSpec):
            raise BadRequest("beside a node run replicate and offered")
        node, n = self._living()

        def work() -> Reply:
            if isinstance(spec, ReplicateSpec):
                return node.replicate(n, spec)
            return node.offered(n, spec)

        self._run_alone(request, work)

    # -- what it tells -----------------------------------------------------------------

    def _report_members(self, membership: Membership) -> None:
        self._output.put({"event": "members", **membership._asdict()})

    def _report_refusal(self, refusal: Refusal) -> None:
        self._output.put({"event": "refused", **refusal._asdict()})

    def _report_failure(self, node: int, error: Exception) -> None:
        self._life = Life.NONE
        self._output.put(fault_event(node, error))


# -- what its fields may hold -----------------------------------------------------------


def voters(name: str, value: Any) -> tuple[int, ...]:
    """The first voters: ids in ascending order."""
    if not isinstance(value, list) or not value:
        raise BadRequest(f"{name} must be a list of nodes")
    ids = [ANY_ID(name, each) for each in value]
    if ids != sorted(set(ids)):
        raise BadRequest(f"{name} must be in ascending order")
    return tuple(ids)


def address(name: str, value: Any) -> Address:
    """An IP address and a port."""
    text = requests.string(64)(name, value)
    try:
        return Address.parse(text)
    except ValueError as error:
        raise BadRequest(f"{name} must be like 127.0.0.1:0 or [::1]:0: {error}") from error


def addresses(name: str, value: Any) -> dict[int, Address]:
    """An address for each node, by its id as text."""
    ids = {str(n): n for n in range(1, MAX_NODES + 1)}
    found = {}
    for key, each in requests.mapping(name, value).items():
        if key not in ids:
            raise BadRequest(f"{name}: {key!r:.40} is no node's id")
        found[ids[key]] = address(name, each)
        if not found[ids[key]].port:
            raise BadRequest(f"{name}: node {key} cannot be reached at port 0")
    return found


def any_command(name: str, value: Any) -> Command:
    """A client's command, or a change of members."""
    fields = requests.mapping(name, value)
    if fields.get("op") not in (ADD_SERVER, REMOVE_SERVER):
        return requests.command(name, value)
    ids = map(str, range(1, MAX_NODES + 1))
    one_of = {
        "op": (requests.choice(fields["op"]), REQUIRED),
        "key": (requests.choice(*ids), REQUIRED),
    }
    return Command(**requests.read(fields, one_of))


# -- how it starts ----------------------------------------------------------------------


def read_secret(path: str | None) -> bytes | None:
    """What the nodes of a cluster share, from a file or the environment; None without either.

    It does not stay in the environment. Exits with 2, and a line that says why, where it is of no
    use.
    """
    given = os.environb.pop(SECRET.encode(), None)
    try:
        secret = given if path is None else Path(path).read_bytes()
    except OSError as error:
        sys.exit(refuse(f"cannot read the secret file {path}: {error.strerror}"))
    if secret is None:
        return None
    secret = secret.strip()
    if not LEAST_SECRET_BYTES <= len(secret) <= MOST_SECRET_BYTES:
        source = SECRET if path is None else path
        sys.exit(
            refuse(f"a secret has {LEAST_SECRET_BYTES} to {MOST_SECRET_BYTES} bytes, not {source}")
        )
    return secret


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what makes a contender's program a node program."""
    parser.add_argument("--node", action="store_true", help="be one node of a cluster")
    parser.add_argument("--secret-file", metavar="F", help="what it shares with its peers")


def refuse(why: str) -> int:
    """Say what is wrong; the exit status for it."""
    print(why, file=sys.stderr)
    return 2


def main(
    name: str,
    factory: DeployedFactory,
    runtime: Mapping[str, object] | None = None,
    prepare: Callable[[], None] = lambda: None,
    secret_file: str | None = None,
) -> NoReturn:
    """Be a node program on standard input and output, until they end; see `service.run`.

    `secret_file` has what the node shares with its peers, else it is in the environment.
    """
    secret = read_secret(secret_file)

    def describe() -> Reply:
        return {**python(("replicate", "offered", "service"), runtime or {}), "node": True}

    run(name, lambda: NodeProgram(name, factory, describe, secret), prepare)
