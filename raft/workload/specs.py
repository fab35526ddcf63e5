"""What the workloads are asked for that run beside a cluster (docs/protocol.md)."""

from typing import NamedTuple


class ElectionSpec(NamedTuple):
    """Leaders to crash, how many followers may not follow, and how long each election may take."""

    elections: int = 10
    lagging: int = 0
    cap_ns: int = 30_000_000_000


class FailoverSpec(NamedTuple):
    """Clients beside the nodes, and how long they send before and after the leader's crash."""

    outstanding: int = 16
    payload: int = 64
    keys: int = 1000
    session: str = "client"
    before_ns: int = 1_000_000_000
    after_ns: int = 3_000_000_000


class CatchUpSpec(NamedTuple):
    """What a follower misses, `by` which means it is to get it, and how long that may take."""

    entries: int = 10_000
    payload: int = 64
    keys: int = 1000
    session: str = "client"
    by: str = "entries"
    cap_ns: int = 30_000_000_000


class StabilitySpec(NamedTuple):
    """Clients beside the nodes, none if `outstanding` is 0, and for how long they send."""

    outstanding: int = 0
    payload: int = 64
    keys: int = 1000
    session: str = "client"
    duration_ns: int = 2_000_000_000
