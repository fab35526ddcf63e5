"""A contender for Raftmark to begin with: all nodes in one thread, their messages in one queue.

It elects leaders, and replicates nothing yet: a log, commands and storage are yours to add, and the
concurrency that is to be measured takes the place of `Cluster.turn`. See docs/protocol.md for every
name and number here, and `raftmark.raft` for an algorithm that needs none of this written again.
"""

from __future__ import annotations

import gc
import hashlib
import heapq
import itertools
import json
import os
import platform
import random
import select
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

NAME = "NAME"
FEATURES = ["memory"]
LONGEST_LINE = 2**20
NO_LOG = hashlib.sha256(b"").hexdigest()
NO_STATE = hashlib.sha256(bytes(16)).hexdigest()

Fields = dict[str, Any]


class Refused(Exception):
    """A request is answered with an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Node:
    """One server, by the rules of figure 2 of the Raft paper, as far as they are of elections."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.cluster = cluster
        self.id = number
        self.term = 0
        self.voted_for: int | None = None  # with the term: what survives a crash
        self.wake()

    def wake(self) -> None:
        """Begin anew, as after a crash."""
        self.alive = True
        self.votes: set[int] = set()
        self.become("follower", None)
        self.restart_timer()

    def become(self, role: str, leader: int | None) -> None:
        """Take a role, and tell of it."""
        self.role, self.leader = role, leader
        event = {"event": "role", "node": self.id, "role": role, "term": self.term}
        say({**event, "leader": leader, "at_ns": time.monotonic_ns()})

    def restart_timer(self) -> None:
        """Draw the next election timeout."""
        low, high = self.cluster.election_timeout_ms
        self.deadline = self.cluster.at(self.cluster.random.uniform(low, high), self.time_is_up)

    def time_is_up(self, deadline: float) -> None:
        """An election timeout ended, or a heartbeat is due."""
        if not self.alive or deadline != self.deadline:
            return  # The timer was restarted meanwhile.
        if self.role == "leader":
            self.send_heartbeat()
        else:
            self.stand()

    def stand(self) -> None:
        """Begin an election."""
        self.term += 1
        self.voted_for = self.id
        self.votes = {self.id}
        self.become("candidate", None)
        self.restart_timer()
        self.send_all("request_vote")
        self.count_votes()

    def count_votes(self) -> None:
        """Lead, if a majority voted for it."""
        if self.role == "candidate" and len(self.votes) * 2 > len(self.cluster.nodes):
            self.become("leader", self.id)
            self.send_heartbeat()

    def send_heartbeat(self) -> None:
        """Tell the others who leads."""
        self.send_all("append_entries")
        self.deadline = self.cluster.at(self.cluster.heartbeat_ms, self.time_is_up)

    def send_all(self, what: str) -> None:
        """Send to every other node."""
        for node in self.cluster.nodes.values():
            if node is not self:
                self.cluster.send(self.id, node.id, what, self.term)

    def receive(self, sender: int, what: str, term: int) -> None:
        """Take a message."""
        if term > self.term:
            self.term, self.voted_for = term, None
            led = self.role == "leader"
            self.become("follower", None)
            if led:
                self.restart_timer()
        if term < self.term:
            return
        if what == "request_vote" and self.voted_for in (None, sender):
            self.voted_for = sender
            self.restart_timer()
            self.cluster.send(self.id, sender, "vote", self.term)
        elif what == "vote":
            self.votes.add(sender)
            self.count_votes()
        elif what == "append_entries":
            if self.leader != sender:
                self.become("follower", sender)
            self.restart_timer()

    def status(self) -> Fields:
        """What docs/protocol.md asks for; nothing is in the log."""
        known = {
            "role": self.role,
            "term": self.term,
            "leader": self.leader,
            "voted_for": self.voted_for,
            "last_index": 0,
            "commit_index": 0,
            "applied_index": 0,
            "first_index": 1,
            "snapshot_index": 0,
            "voters": sorted(self.cluster.nodes),
            "learners": [],
            "state_hash": NO_STATE,
            "log_hash": NO_LOG,
        }
        if not self.alive:
            known = dict.fromkeys(known)
        return {"id": self.id, "alive": self.alive, "paused": False, **known}


class Cluster:
    """The nodes, the time they wait for, and what they have sent."""

    def __init__(self, settings: Fields) -> None:
        self.election_timeout_ms: list[float] = settings["election_timeout_ms"]
        self.heartbeat_ms: float = settings["heartbeat_ms"]
        self.random = random.Random(settings["seed"])
        self.timers: list[tuple[float, int, Callable[[float], None]]] = []
        self.order = itertools.count()
        self.mail: deque[tuple[int, int, str, int]] = deque()
        self.nodes: dict[int, Node] = {}
        for number in range(1, settings["nodes"] + 1):
            self.nodes[number] = Node(self, number)

    def at(self, after_ms: float, act: Callable[[float], None]) -> float:
        """Let `act` be called so much later, with the time that is returned."""
        due = time.monotonic() + after_ms / 1000
        heapq.heappush(self.timers, (due, next(self.order), act))
        return due

    def send(self, sender: int, to: int, what: str, term: int) -> None:
        """Send a message, which is delivered in the next turn."""
        self.mail.append((sender, to, what, term))

    def turn(self) -> float | None:
        """Deliver what was sent and do what is due; return the seconds until there is more."""
        while True:
            while self.mail:
                sender, to, what, term = self.mail.popleft()
                if self.nodes[to].alive:
                    self.nodes[to].receive(sender, what, term)
            if not self.timers:
                return None
            left = self.timers[0][0] - time.monotonic()
            if left > 0:
                return left
            due, _, act = heapq.heappop(self.timers)
            act(due)


class Host:
    """The protocol: requests in, replies out."""

    def __init__(self) -> None:
        self.cluster: Cluster | None = None
        self.over = False

    def answer(self, line: bytes) -> None:
        """Reply to one line."""
        number = None
        try:
            request = _object(line)
            number = _fields(request, {"id": (_integer(0, 2**53 - 1),)}, only=False)["id"]
            operation = getattr(self, f"do_{request.get('op')}", None)
            if operation is None:
                raise Refused("bad_request", "unknown op")
            say({"id": number, "ok": operation(request)})
        except Refused as error:
            say({"id": number, "error": {"code": error.code, "message": str(error)}})

    def do_hello(self, request: Fields) -> Fields:
        """Say who answers."""
        _fields(request, {})
        gil = getattr(sys, "_is_gil_enabled", lambda: True)()
        runtime = {
            "name": platform.python_implementation(),
            "version": platform.python_version(),
            "free_threaded": "free-threading" in sys.version,
            "gil": gil,
            "gc": gc.isenabled(),
        }
        about = {"contender": NAME, "protocol": 1, "language": "Python"}
        return {**about, "runtime": runtime, "features": FEATURES}

    def do_start(self, request: Fields) -> Fields:
        """Start a cluster."""
        settings = _fields(
            request,
            {
                "nodes": (_integer(1, 9), 3),
                "election_timeout_ms": (_is_range, [150, 300]),
                "heartbeat_ms": (_number(0.5, 60_000), 50),
                "storage": (lambda value: value == "memory", "memory"),
                "transport": (lambda value: value == "native", "native"),
                "seed": (_integer(0, 2**63 - 1), 0),
            },
        )
        if self.cluster is not None:
            raise Refused("bad_request", "a cluster is running already")
        self.cluster = Cluster(settings)
        return {"nodes": list(self.cluster.nodes)}

    def do_status(self, request: Fields) -> Fields:
        """Tell what every node is."""
        _fields(request, {})
        return {"nodes": [node.status() for node in self._running().nodes.values()]}

    def do_crash(self, request: Fields) -> Fields:
        """Let a node cease."""
        node = self._node(request)
        if not node.alive:
            raise Refused("bad_request", f"node {node.id} is crashed already")
        node.alive = False
        return {"at_ns": time.monotonic_ns()}

    def do_restart(self, request: Fields) -> Fields:
        """Let a crashed node begin anew."""
        node = self._node(request)
        if node.alive:
            raise Refused("bad_request", f"node {node.id} runs")
        node.wake()
        return {}

    def do_stop(self, request: Fields) -> Fields:
        """End the cluster."""
        _fields(request, {})
        self._running()
        self.cluster = None
        return {}

    def do_quit(self, request: Fields) -> Fields:
        """End the program."""
        _fields(request, {})
        self.over = True
        return {}

    def _running(self) -> Cluster:
        if self.cluster is None:
            raise Refused("unavailable", "no cluster is running")
        return self.cluster

    def _node(self, request: Fields) -> Node:
        number = _fields(request, {"node": (_integer(1, 9),)})["node"]
        nodes = self._running().nodes
        if number not in nodes:
            raise Refused("bad_request", f"there is no node {number}")
        return nodes[number]


def say(answer: Fields) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _object(line: bytes) -> Fields:
    if len(line) >= LONGEST_LINE:
        raise Refused("bad_request", "the line is too long")
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Refused("bad_request", f"it is no JSON: {error}") from error
    if not isinstance(request, dict):
        raise Refused("bad_request", "it is no object")
    return request


def _fields(request: Fields, known: dict[str, tuple[Any, ...]], *, only: bool = True) -> Fields:
    """The fields that `known` lists, each with its check and, if it may be left out, a default."""
    if only and (unknown := request.keys() - known.keys() - {"id", "op"}):
        raise Refused("bad_request", f"unknown: {', '.join(sorted(unknown))}")
    found = {}
    for name, (check, *default) in known.items():
        if name not in request and not default:
            raise Refused("bad_request", f"{name} is missing")
        found[name] = request[name] if name in request else default[0]
        if not check(found[name]):
            raise Refused("bad_request", f"{name} is wrong")
    return found


def _integer(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and low <= value <= high


def _is_range(value: Any) -> bool:
    within = _number(1, 60_000)
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(map(within, value))
        and (value[0] <= value[1])
    )


class Lines:
    """Standard input's lines; of one that is too long no more is kept than shows it."""

    def __init__(self) -> None:
        self._begun = b""

    def of(self, read: bytes) -> Iterator[bytes]:
        """The lines that end in what was read."""
        *ended, rest = read.split(b"\n")
        for line in ended:
            yield self._begun + line
            self._begun = b""
        if len(self._begun) < LONGEST_LINE:
            self._begun += rest


def main() -> None:
    """Answer until standard input ends."""
    host, lines = Host(), Lines()
    while not host.over:
        left = None if host.cluster is None else host.cluster.turn()
        if not select.select([sys.stdin], [], [], left)[0]:
            continue
        read = os.read(sys.stdin.fileno(), 65536)
        if not read:
            break
        for line in lines.of(read):
            if line.strip() and not host.over:
                host.answer(line)


if __name__ == "__main__":
    main()
