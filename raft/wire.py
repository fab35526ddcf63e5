"""The bytes between nodes that share no memory: frames, and the order in which they leave.

No I/O: whoever has a socket gives what has come to `Incoming`, and sends what `Outgoing` has.

A frame is a header and a body. The header is the body's length, for how many nanoseconds the
receiver is to hold the message (what a slow link does; 0 otherwise) and the message's type, an
index of `TYPES`; the body is the message as a MessagePack array. Votes, answers and heartbeats
overtake the entries that wait, so that a peer which is sent much does not take its leader for
dead. What exceeds a bound is dropped, as Raft allows.
"""

import struct
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Annotated, Any, NamedTuple, TypeAlias, get_origin, get_type_hints

import msgspec

from raftmark.raft.messages import (
    MEMBERSHIP,
    AppendEntries,
    AppendEntriesReply,
    Configuration,
    Entry,
    InstallSnapshot,
    InstallSnapshotReply,
    Item,
    Message,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)

HEADER = struct.Struct("<IQB")
LENGTH = struct.Struct("<I")
"""All of a header that clients' frames have (`raft.client_port`)."""
TYPES: tuple[type[Message], ...] = (
    RequestVote,
    RequestVoteReply,
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshot,
    InstallSnapshotReply,
    TimeoutNow,
)
TAGS = {kind: tag for tag, kind in enumerate(TYPES)}
HASTY = (RequestVote, RequestVoteReply, AppendEntriesReply, InstallSnapshotReply)
OPERATIONS = MEMBERSHIP | {"set", "get", "cas", "noop"}

MAX_BODY = 64 << 20
"""Bytes; far above what a node sends (`raft.node.Settings.max_bytes`)."""
MAX_LISTED = 1 << 16
"""Entries, items or servers of one message, far above what a node sends: tiny ones take many times
their bytes.
"""
MAX_BACKLOG = 16 << 20
MAX_BUFFERS = 1024  # in one call of the system (IOV_MAX)
MAX_DELAY_NS = 60_000_000_000
MAX_INTEGER = 2**63 - 1

Decoder: TypeAlias = Callable[[memoryview], Message]


def decoder_of(kind: type[Message]) -> Decoder:
    """What makes a message of its body; ValueError of a list that is too long, none of it made."""
    hints = list(get_type_hints(kind).values())
    bounded = list(map(bounded_type, hints))
    if bounded == hints:
        decode_plainly: Decoder = msgspec.msgpack.Decoder(kind).decode
        return decode_plainly
    decode = msgspec.msgpack.Decoder(fields_of(bounded)).decode
    if kind is not InstallSnapshot:
        return lambda body: kind(*decode(body))

    def install_snapshot(body: memoryview) -> InstallSnapshot:
        message = InstallSnapshot(*decode(body))
        return message._replace(configuration=Configuration(*message.configuration))

    return install_snapshot


def bounded_type(hint: Any) -> Any:
    """A field's type, whose lists have no more than `MAX_LISTED`."""
    if hint is Configuration:
        return fields_of([bounded_type(each) for each in get_type_hints(hint).values()])
    if get_origin(hint) is tuple:
        return Annotated[hint, msgspec.Meta(max_length=MAX_LISTED)]
    return hint


def fields_of(types: list[Any]) -> Any:
    """An array of just these fields."""
    return tuple[*types]  # type: ignore[valid-type]


encode_body = msgspec.msgpack.Encoder().encode
decode_body = [decoder_of(kind) for kind in TYPES]


class FrameError(Exception):
    """What has come is nothing that a node sends."""


class Frame(NamedTuple):
    """A frame that has come whole."""

    delay_ns: int
    tag: int
    body: bytes


def encode(message: Message, delay_ns: int = 0) -> bytes:
    """A message's frame; the receiver holds it for `delay_ns`."""
    body = encode_body(message)
    return HEADER.pack(len(body), delay_ns, TAGS[type(message)]) + body


def decode(tag: int, body: memoryview) -> Message:
    """The message in a frame. FrameError if it is none."""
    try:
        return decode_body[tag](body)
    except ValueError as error:  # Of what form it is, or its text is no UTF-8.
        raise FrameError(f"no {TYPES[tag].__name__}: {error}") from error


class Incoming:
    """One stream of frames, as it comes. Holds at most the bytes of one frame and one read."""

    def __init__(self) -> None:
        self._received = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take what has come."""
        self._received += data

    def frame(self, max_body: int) -> Frame | None:
        """The next frame of any tag, None while it is not whole. FrameError if it is too long."""
        received = self._received
        if len(received) < HEADER.size:
            return None
        length, delay_ns, tag = HEADER.unpack_from(received)
        if length > max_body:
            raise FrameError(f"no frame: type {tag}, {length} bytes")
        end = HEADER.size + length
        if len(received) < end:
            return None
        body = bytes(received[HEADER.size : end])
        del received[:end]
        return Frame(delay_ns, tag, body)

    def messages(self) -> Iterator[tuple[int, Message]]:
        """The messages that have come whole, each with the nanoseconds to hold it.

        FrameError if what has come is no frame, and nothing after it can be told either.
        """
        received = self._received
        start, size = 0, len(received)
        with memoryview(received) as view:
            while size - start >= HEADER.size:
                length, delay_ns, tag = HEADER.unpack_from(received, start)
                if length > MAX_BODY or tag >= len(TYPES):
                    raise FrameError(f"no frame: type {tag}, {length} bytes")
                body = start + HEADER.size
                if body + length > size:
                    break
                start = body + length
                yield delay_ns, decode(tag, view[body:start])
        del received[:start]


class Outgoing:
    """What waits to be sent on one stream, up to `MAX_BACKLOG` bytes."""

    def __init__(self) -> None:
        # Frames, each with the index that it follows on; the first may lack its beginning.
        self._frames: deque[tuple[int, memoryview]] = deque()
        self._bytes = 0
        self._ahead = 0  # how many of the first frames are not to be overtaken

    def __bool__(self) -> bool:
        return bool(self._frames)

    @property
    def size(self) -> int:
        """How many bytes wait."""
        return self._bytes

    def queue_rest(self, frame: memoryview) -> None:
        """Add a frame whose beginning has left: nothing else waits, and nothing may overtake it."""
        self._frames.append((0, frame))
        self._bytes += len(frame)
        self._ahead = 1

    def queue(self, message: Message, frame: bytes) -> None:
        """Add a message and its frame, or drop it if too much waits already."""
        if self._bytes >= MAX_BACKLOG:
            return
        follows = message.prev_log_index if isinstance(message, AppendEntries) else 0
        self._bytes += len(frame)
        if self._overtakes(message, follows):
            self._frames.insert(self._ahead, (follows, memoryview(frame)))
            self._ahead += 1
        else:
            self._frames.append((follows, memoryview(frame)))

    def _overtakes(self, message: Message, follows: int) -> bool:
        """Whether a message may go before those that wait.

        A heartbeat may that asks for none of the entries which wait: the others would be refused.
        """
        if len(self._frames) == self._ahead:
            return False
        if isinstance(message, AppendEntries):
            return not message.entries and follows <= self._frames[self._ahead][0]
        return isinstance(message, HASTY)

    def buffers(self) -> list[memoryview]:
        """What goes first, as much as one call of the system takes."""
        return [frame for _, frame in islice(self._frames, MAX_BUFFERS)]

    def sent(self, count: int) -> None:
        """The first `count` bytes have left."""
        self._bytes -= count
        while count:
            follows, frame = self._frames.popleft()
            self._ahead = max(0, self._ahead - 1)
            if count < len(frame):
                self._frames.appendleft((follows, frame[count:]))
                self._ahead += 1
                break
            count -= len(frame)

    def take(self, max_bytes: int) -> bytes:
        """Take out what goes first: whole frames, up to so many bytes but at least one."""
        taken: list[memoryview] = []
        size = 0
        while self._frames and (not taken or size + len(self._frames[0][1]) <= max_bytes):
            _, frame = self._frames.popleft()
            taken.append(frame)
            size += len(frame)
        self._bytes -= size
        self._ahead = max(0, self._ahead - len(taken))
        return b"".join(taken)

    def clear(self) -> None:
        """Drop everything: the peer is gone."""
        self._frames.clear()
        self._bytes = self._ahead = 0


# -- what may be believed of a peer ----------------------------------------------------------


def check(message: Message, delay_ns: int, sender: int, to: int) -> None:
    """FrameError unless a node could have sent this message, and this one on this connection.

    What types cannot say: who speaks, the range of every number, and what an entry or an item
    needs so that it can be applied. A peer that lies about its log is not found out; Raft
    supposes that none does.
    """
    if message.sender != sender:
        raise FrameError(f"node {sender} speaks for node {message.sender}")
    if message.to != to:
        raise FrameError(f"a message to node {message.to} has come to node {to}")
    if delay_ns > MAX_DELAY_NS:
        raise FrameError(f"a message to be held for {delay_ns} ns")
    for value in message:
        if isinstance(value, int) and not 0 <= value <= MAX_INTEGER:
            raise FrameError(f"{value} in {type(message).__name__}")
    if isinstance(message, AppendEntries):
        if message.entries:
            check_entries(message.entries, message.prev_log_term, message.term)
    elif isinstance(message, InstallSnapshot):
        check_configuration(message.configuration)
        check_items(message.items)


def check_entries(entries: tuple[Entry, ...], earlier: int, latest: int) -> None:
    """FrameError unless the entries' terms do not fall, and their commands can be applied."""
    for term, (op, key, _, _, _, serial) in entries:
        if not earlier <= term <= latest:
            raise FrameError(f"an entry of term {term} between {earlier} and {latest}")
        earlier = term
        if op not in OPERATIONS:
            raise FrameError(f"no operation: {op[:40]!r}")
        if not 0 <= serial <= MAX_INTEGER:
            raise FrameError(f"serial {serial}")
        if op in MEMBERSHIP and not is_server(key):
            raise FrameError(f"no server: {key[:40]!r}")


def is_server(key: str) -> bool:
    """Whether a key is a server's id."""
    return key.isascii() and key.isdecimal() and key[0] != "0" and len(key) < 10


def check_configuration(configuration: Configuration) -> None:
    """FrameError unless it has voters, and nobody twice."""
    members = configuration.members
    if not configuration.voters or len(set(members)) < len(members):
        raise FrameError("no configuration")
    if not all(0 < member <= MAX_INTEGER for member in members):
        raise FrameError("no configuration")


def check_items(items: tuple[Item, ...]) -> None:
    """FrameError unless each is a key with a text, or a session."""
    for _, value, serial in items:
        if not 0 <= serial <= MAX_INTEGER or (not serial and isinstance(value, bool)):
            raise FrameError("no item of a state")
