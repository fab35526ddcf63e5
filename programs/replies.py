"""What a node's program says, as the values that a cluster is made of (docs/protocol.md).

Each decoder raises ValueError for what is none of its form.
"""

from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar, get_type_hints

import msgspec

from raftmark.raft.client import Applied, Value
from raftmark.raft.cluster import (
    Counters,
    EntriesLost,
    LogSlice,
    Membership,
    NodeStatus,
    Refusal,
    RoleChange,
)
from raftmark.raft.errors import (
    BadRequest,
    Lost,
    NotLeader,
    OutcomeUnknown,
    RaftError,
    Unavailable,
)
from raftmark.raft.messages import Command, Entry

T = TypeVar("T")

ERRORS: tuple[type[RaftError], ...] = (RaftError, BadRequest, Lost, OutcomeUnknown, Unavailable)
BY_CODE = {error.code: error for error in ERRORS}


class Error(msgspec.Struct):
    """An error reply."""

    code: str
    message: str
    leader: int | None = None

    def as_raised(self) -> RaftError:
        """The error that it stands for."""
        if self.code == NotLeader.code:
            return NotLeader(self.leader)
        return BY_CODE.get(self.code, RaftError)(self.message)


class Line(msgspec.Struct):
    """A reply or an event."""

    id: int | None = None
    ok: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: Error | None = None
    event: str | None = None


class Listening(msgspec.Struct):
    """Where a node listens."""

    address: str


class Ceased(msgspec.Struct):
    """When a node's life has ended."""

    at_ns: int


class Handed(msgspec.Struct):
    """Whether a leader hands over."""

    handed: bool


class Compacted(msgspec.Struct):
    """What a snapshot covers."""

    index: int
    term: int


class Reached(msgspec.Struct):
    """What a node has applied."""

    index: int


class Fault(msgspec.Struct):
    """A node's life has ended by a fault of its own."""

    node: int
    message: str


Place = Annotated[int, msgspec.Meta(ge=0)]


class _Column(msgspec.Struct, Generic[T]):
    values: list[T]
    at: list[Place] | None = None

    def spread(self, count: int) -> list[T]:
        """Each entry's value. ValueError where it has none."""
        at = [0] * count if self.at is None else self.at
        if len(at) != count or max(at, default=-1) >= len(self.values):
            raise ValueError("a column has not one value for each entry")
        values = self.values
        return [values[place] for place in at]


class _Columns(msgspec.Struct):
    term: _Column[int]
    op: _Column[str]
    key: _Column[str]
    value: _Column[str | None]
    expect: _Column[str | None]
    client: _Column[str | None]
    serial: _Column[int]


class _Slice(msgspec.Struct):
    first_index: int
    count: int
    columns: _Columns
    last_index: int
    commit_index: int


def decoder(kind: type[T], **renamed: str) -> Callable[[bytes | msgspec.Raw], T]:
    """A decoder of objects that have the fields of a named tuple, some `renamed`."""
    hints, defaults = get_type_hints(kind), getattr(kind, "_field_defaults")  # noqa: B009
    fields = [
        (renamed.get(name, name), hints[name], *([defaults[name]] if name in defaults else []))
        for name in hints
    ]
    decode = msgspec.json.Decoder(msgspec.defstruct(kind.__name__, fields)).decode
    return lambda data: kind(*msgspec.structs.astuple(decode(data)))


decode_line = msgspec.json.Decoder(Line).decode
decode_object: Callable[[bytes | msgspec.Raw], dict[str, Any]]
decode_object = msgspec.json.Decoder(dict[str, Any]).decode
decode_listening = msgspec.json.Decoder(Listening).decode
decode_ceased = msgspec.json.Decoder(Ceased).decode
decode_handed = msgspec.json.Decoder(Handed).decode
decode_compacted = msgspec.json.Decoder(Compacted).decode
decode_fault = msgspec.json.Decoder(Fault).decode
decode_role = decoder(RoleChange)
decode_lost = decoder(EntriesLost)
decode_members = decoder(Membership)
decode_refusal = decoder(Refusal)
decode_status = decoder(NodeStatus)
decode_counters = decoder(Counters)
decode_applied = decoder(Applied, log_index="index")
decode_value = decoder(Value, log_index="index")
_decode_slice = msgspec.json.Decoder(_Slice).decode
_decode_reached = msgspec.json.Decoder(Reached).decode


def decode_reached(data: bytes | msgspec.Raw) -> Value:
    """The index that is applied, as if something had been read there."""
    return Value(_decode_reached(data).index, None)


def decode_slice(data: bytes | msgspec.Raw) -> LogSlice:
    """A stretch of a node's log."""
    piece = _decode_slice(data)
    terms, *fields = [c.spread(piece.count) for c in msgspec.structs.astuple(piece.columns)]
    commands = map(Command._make, zip(*fields, strict=True))
    entries = tuple(map(Entry._make, zip(terms, commands, strict=True)))
    return LogSlice(piece.first_index, entries, piece.last_index, piece.commit_index)
