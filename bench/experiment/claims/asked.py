"""What a workload was asked for, and what the harness saw of it by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from raftmark.bench.design.specification import Cell
from raftmark.bench.runs.forms import Turn

CATCH_UP_CLIENTS = 64

_CLIENTS = {"payload": 64, "keys": 1000, "session": "client"}
_TIMED = {"warmup_s": 0.5, "duration_s": 2}
DEFAULTS: dict[str, dict[str, Any]] = {
    "replicate": {**_CLIENTS, **_TIMED, "outstanding": 64},
    "offered": {**_CLIENTS, **_TIMED, "rate": 1000, "sessions": 64},
    "election": {"elections": 10, "lagging": 0},
    "failover": {**_CLIENTS, "outstanding": 16, "before_s": 1, "after_s": 3},
    "catch_up": {**_CLIENTS, "entries": 10_000, "by": "entries", "cap_s": 30},
    "stability": {**_CLIENTS, "outstanding": 0, "duration_s": 2},
    "service": {
        **_CLIENTS,
        **_TIMED,
        "connections": 1,
        "slow": 0,
        "flood": 0,
        "come": 0,
        "rate": 0,
        "crash_s": None,
    },
}
"""What docs/protocol.md says of the fields that a cell leaves out."""


class Role(msgspec.Struct, frozen=True):
    """A role event, as docs/protocol.md has it."""

    node: int
    role: str
    term: int
    at_ns: int
    leader: int | None = None


class Witness(NamedTuple):
    """What the harness knows by itself of a `run`.

    `nodes`: the ids that `start` answered. `sent_ns`, `received_ns`: when the request was sent and
    when its reply was there. `roles`: the role events of the trial, in the order of arrival.
    `turns`: when the contender was let run, if it was stopped between. `clocks_ns`: by how much
    moments that were told by different hosts' clocks may be off; 0 where there is one clock.
    """

    nodes: Sequence[int]
    sent_ns: int
    received_ns: int
    roles: Sequence[Role]
    turns: Sequence[Turn] | None = None
    clocks_ns: int = 0


def asked_for(cell: Cell) -> dict[str, Any]:
    """Return every field of the workload that a contender was asked for."""
    return {**DEFAULTS[cell.workload["name"]], **cell.workload}
