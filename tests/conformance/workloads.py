"""What the tests of the workloads share."""

from __future__ import annotations

from typing import Any

from .cluster import ClusterUnderTest
from .messages import Election, LogEntry


def commands_by_client(log: list[LogEntry], session: str) -> dict[str, list[dict[str, Any]]]:
    """Return the commands of a run's clients, in the order of the log."""
    commands: dict[str, list[dict[str, Any]]] = {}
    for entry in log:
        client = entry.command.get("client", "")
        if client.startswith(f"{session}-"):
            commands.setdefault(client, []).append(entry.command)
    return commands


def check_election(cluster: ClusterUnderTest, election: Election) -> None:
    """Check a decided election: its order of times, and that the events tell of it."""
    assert election.candidate_ns is not None
    assert election.leader_ns is not None
    assert election.settled_ns is not None
    assert election.leader_term is not None
    assert election.crash_ns <= election.candidate_ns <= election.leader_ns <= election.settled_ns
    assert election.leader != election.crashed
    assert election.leader_term > election.term
    assert election.candidacies >= 1
    leaders = {(e.node, e.term) for e in cluster.role_events() if e.role == "leader"}
    assert (election.crashed, election.term) in leaders
    assert (election.leader, election.leader_term) in leaders
