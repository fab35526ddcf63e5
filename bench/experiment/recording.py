"""Recordings to watch: one election and one replication of each contender, message by message.

A recording is no measurement. It is taken of a cluster of its own with the protocol's `trace`, and
kept as `recordings.json` in the run's directory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from raftmark.bench.contenders.contender import Contender, ContenderError, ContenderFailed
from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.runs.recordings import NodeState, Recording

NODES = 5
COMMANDS = 3
_CLUSTER: dict[str, Any] = {
    "nodes": NODES,
    "election_timeout_ms": [150, 300],
    "heartbeat_ms": 50,
    "snapshot_entries": 0,
    "trace": True,
}
_PATIENCE_S = 20.0
_ATTEMPTS = 10
_LOOK_S = 0.01


class NotRecorded(Exception):
    """A contender's cluster could not be recorded; the message says why."""


def record(spec: ContenderSpec, seed: int, stderr: Path | None = None) -> list[Recording]:
    """Record an election and a replication of a contender.

    Raises `NotRecorded` when it offers no trace, fails, or does not get so far in time.
    """
    try:
        with spec.launch(stderr=stderr) as contender:
            if "trace" not in contender.call("hello")["features"]:
                raise NotRecorded(f"{spec.name} offers no trace")
            contender.call("start", **_CLUSTER, seed=seed)
            recordings = [
                _undisturbed(lambda: _election(contender, spec.name)),
                _undisturbed(lambda: _replication(contender, spec.name)),
            ]
            contender.call("stop")
            contender.close()
    except (ContenderError, ContenderFailed) as error:
        raise NotRecorded(f"{spec.name} could not be recorded: {error}") from error
    return recordings


def _undisturbed(take: Callable[[], Recording | None]) -> Recording:
    """Take a recording again until no election came between that nobody had caused."""
    for _ in range(_ATTEMPTS):
        if (recording := take()) is not None:
            return recording
    raise NotRecorded(f"its cluster never kept a leader for long enough in {_ATTEMPTS} attempts")


def _election(contender: Contender, name: str) -> Recording | None:
    settled_ns, nodes = _settled(contender)
    [old] = {node.leader for node in nodes}
    crash_ns = contender.call("crash", node=old)["at_ns"]
    survivors = {node.id for node in nodes} - {old}
    last: dict[int, dict[str, Any]] = {}

    def decided(event: dict[str, Any]) -> bool:
        """Whether every survivor follows one leader that is none of the crashed."""
        if event["event"] == "role" and event["at_ns"] >= crash_ns:
            last[event["node"]] = event
        leaders = {(e["leader"], e["term"]) for e in last.values()}
        return last.keys() >= survivors and len(leaders) == 1 and leaders.pop()[0] in survivors

    end = _wait(contender, decided)
    contender.call("restart", node=old)
    if _changes(contender, settled_ns, crash_ns):
        return None
    crash = {"event": "crash", "node": old, "at_ns": crash_ns}
    return Recording(name, "election", nodes, _between(contender, crash_ns, end["at_ns"], [crash]))


def _replication(contender: Contender, name: str) -> Recording | None:
    settled_ns, nodes = _settled(contender)
    last_index = nodes[0].last_index or 0
    own: list[dict[str, Any]] = []
    replies = []
    for number in range(1, COMMANDS + 1):
        own.append({"event": "submit", "command": number, "at_ns": time.monotonic_ns()})
        command = {"op": "set", "key": f"key-{number}", "value": "x"}
        replies.append(contender.send("submit", command=command))
    for number, reply in enumerate(replies, 1):
        try:
            contender.wait_for(reply, "submit", _PATIENCE_S)
        except ContenderError:
            return None  # Another leader came, or none.
        own.append({"event": "answer", "command": number, "at_ns": time.monotonic_ns()})
    told: set[int] = set()

    def told_everyone(event: dict[str, Any]) -> bool:
        """Whether every follower has been told that the commands are committed."""
        if event.get("type") == "append_entries" and event["commit"] >= last_index + COMMANDS:
            told.add(event["to"])
        return len(told) >= len(nodes) - 1

    end = _wait(contender, told_everyone)
    ended_ns = max(end["at_ns"], own[-1]["at_ns"])
    if _changes(contender, settled_ns, ended_ns):
        return None
    return Recording(
        name, "replication", nodes, _between(contender, own[0]["at_ns"], ended_ns, own)
    )


def _changes(contender: Contender, began_ns: int, ended_ns: int) -> bool:
    """Whether any node changed its role, term or leader in a time."""
    return any(
        event["event"] == "role" and began_ns <= event["at_ns"] < ended_ns
        for event in contender.events.all()
    )


def _between(
    contender: Contender, began_ns: int, ended_ns: int, own: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Everything that happened in a time, in its order, the recorder's own events included."""
    events = [*contender.events.all(), *own]
    return sorted(
        (event for event in events if began_ns <= event["at_ns"] <= ended_ns),
        key=lambda event: event["at_ns"],
    )


def _wait(contender: Contender, predicate: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    try:
        return contender.events.wait_for(predicate, _PATIENCE_S)
    except TimeoutError as error:
        raise NotRecorded(f"the cluster did not get so far in {_PATIENCE_S:g} s") from error


def _settled(contender: Contender) -> tuple[int, list[NodeState]]:
    """Wait until all nodes follow one leader with the same log, committed.

    Returns the time (ns) at which they were asked, and what they were then.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        asked_ns = time.monotonic_ns()
        nodes = msgspec.convert(contender.call("status")["nodes"], list[NodeState])
        same = {(n.leader, n.term, n.last_index, n.commit_index) for n in nodes}
        leader, _, last, commit = next(iter(same))
        if len(same) == 1 and leader is not None and last == commit:
            return asked_ns, nodes
        time.sleep(_LOOK_S)
    raise NotRecorded(f"the cluster did not settle in {_PATIENCE_S:g} s")
