"""From a recording to the steps in which the page plays it.

A step is one event: a sentence, the message if it is one, and what every node is after it, as far
as the event tells. What a node's log holds follows from the messages: a leader has what it sends, a
follower what it says that it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from raftmark.bench.runs.recordings import Recording

_ROLES = {"pre_candidate": "candidate before its pre-vote"}


class NodeView(NamedTuple):
    """What is shown of a node: `last` and `commit` are indices of its log."""

    role: str
    term: int
    last: int
    commit: int


class Step(NamedTuple):
    """What one event changed: `at_ms` after the first, `link` from whom to whom, if a message."""

    at_ms: float
    says: str
    link: tuple[int, int] | None
    kind: str
    nodes: Mapping[int, NodeView]


def steps(recording: Recording) -> list[Step]:
    """Play a recording; the first step is how things stood before its first event."""
    nodes = {
        n.id: NodeView(
            (n.role or "crashed") if n.alive else "crashed",
            n.term or 0,
            n.last_index or 0,
            n.commit_index or 0,
        )
        for n in recording.nodes
    }
    leader = next((n.leader for n in recording.nodes if n.leader is not None), None)
    played = [Step(0.0, _beginning(leader), None, "start", dict(nodes))]
    told: dict[int, int] = {}  # the commit index that each follower was last told
    began_ns = recording.events[0]["at_ns"] if recording.events else 0
    for event in recording.events:
        link = (event["from"], event["to"]) if event["event"] == "message" else None
        _apply(event, nodes, told)
        played.append(
            Step(
                (event["at_ns"] - began_ns) / 1e6,
                _sentence(event),
                link,
                event.get("type", event["event"]),
                dict(nodes),
            )
        )
    return played


def _beginning(leader: int | None) -> str:
    return "Nobody leads." if leader is None else f"Node {leader} leads; all have the same log."


def _apply(event: Mapping[str, Any], nodes: dict[int, NodeView], told: dict[int, int]) -> None:
    """Change the nodes as an event tells."""
    match event["event"]:
        case "crash":
            nodes[event["node"]] = nodes[event["node"]]._replace(role="crashed")
        case "role":
            node = nodes[event["node"]]
            nodes[event["node"]] = node._replace(role=event["role"], term=event["term"])
        case "message" if event["type"] == "append_entries":
            sender = nodes[event["from"]]
            nodes[event["from"]] = sender._replace(
                last=max(sender.last, event["previous"] + event["entries"]),
                commit=max(sender.commit, event["commit"]),
            )
            told[event["to"]] = event["commit"]
        case "message" if event["type"] == "append_entries_reply" and event["success"]:
            sender = nodes[event["from"]]
            last = max(sender.last, event["index"])
            commit = max(sender.commit, min(last, told.get(event["from"], 0)))
            nodes[event["from"]] = sender._replace(last=last, commit=commit)


def _sentence(event: Mapping[str, Any]) -> str:
    match event["event"]:
        case "crash":
            return f"Node {event['node']}, the leader, crashes."
        case "submit":
            return f"A client sends command {event['command']}."
        case "answer":
            return f"The client has its answer to command {event['command']}."
        case "role":
            return _change(event)
    return f"Node {event['from']} to {event['to']}: {_content(event)}."


def _change(event: Mapping[str, Any]) -> str:
    node, role, term, leader = event["node"], event["role"], event["term"], event["leader"]
    if role == "leader":
        return f"Node {node} has a majority and leads term {term}."
    if role == "follower":
        whom = "" if leader is None else f" and follows node {leader}"
        return f"Node {node} is in term {term}{whom}."
    return f"Node {node}'s election timer expires: {_ROLES.get(role, role)} in term {term}."


def _content(event: Mapping[str, Any]) -> str:
    match event["type"]:
        case "request_vote":
            asked = "pre-vote" if event["pre_vote"] else "vote"
            return f"asks for its {asked} in term {event['term']}, log up to {event['last_index']}"
        case "request_vote_reply":
            return "grants its vote" if event["granted"] else "refuses its vote"
        case "append_entries" if event["entries"]:
            first, count = event["previous"] + 1, event["entries"]
            what = f"entry {first}" if count == 1 else f"entries {first} to {first + count - 1}"
            return f"{what}, committed up to {event['commit']}"
        case "append_entries":
            return f"heartbeat, committed up to {event['commit']}"
        case "append_entries_reply":
            if event["success"]:
                return f"has the log up to {event['index']}"
            return f"refuses what follows index {event['index']}"
        case "install_snapshot":
            return f"a piece of the snapshot up to {event['index']}"
        case "install_snapshot_reply":
            return f"has that piece of the snapshot up to {event['index']}"
        case "timeout_now":
            return "shall stand for election at once"
    return str(event["type"])
