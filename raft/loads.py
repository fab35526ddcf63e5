"""The loads that run where the leader lives, beside it: what they are asked for (protocol.md)."""

from typing import NamedTuple


class ReplicateSpec(NamedTuple):
    """The closed loop: `outstanding` clients, each with one command under way."""

    outstanding: int = 64
    payload: int = 64
    keys: int = 1000
    warmup_ns: int = 500_000_000
    duration_ns: int = 2_000_000_000
    session: str = "client"
    slice_ns: int = 100_000_000


class OfferedSpec(NamedTuple):
    """The open loop: `rate` commands a second, whatever becomes of them."""

    rate: float = 1000.0
    payload: int = 64
    keys: int = 1000
    sessions: int = 64
    session: str = "client"
    limit: int = 65536
    warmup_ns: int = 500_000_000
    duration_ns: int = 2_000_000_000
