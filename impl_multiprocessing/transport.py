"""Messages between processes: MessagePack frames over a socket pair for each two nodes.

A frame is a header (length of the body, when it is due, the message's type) and the
body, the message as a MessagePack array. A socket that is full is not waited for: what
it does not take is kept up to a bound, and what exceeds that is dropped, as Raft allows.
Votes, answers and heartbeats overtake the entries that wait, so that a peer which is sent
much does not take its leader for dead.
"""

import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

import msgspec

from raftmark.raft.links import Links
from raftmark.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshot,
    InstallSnapshotReply,
    Message,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)

HEADER = struct.Struct("<IQB")
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
MAX_BACKLOG = 16 << 20
MAX_FRAMES = 1024  # in one call of the system (IOV_MAX)
READ_SIZE = 1 << 16
# Above the largest body that is sent: a full batch of the longest commands.
MAX_BODY = 1 << 30

encode_body = msgspec.msgpack.Encoder().encode
decode_body = [msgspec.msgpack.Decoder(kind).decode for kind in TYPES]


class FrameError(Exception):
    """What has come is nothing that a node sends."""


def encode(message: Message, due_ns: int = 0) -> bytes:
    """A message's frame; the receiver holds it until `due_ns`."""
    body = encode_body(message)
    return HEADER.pack(len(body), due_ns, TAGS[type(message)]) + body


def decode(tag: int, body: memoryview) -> Message:
    """The message in a frame. FrameError if it is none."""
    try:
        return decode_body[tag](body)
    except ValueError as error:  # Of what form it is, or its text is no UTF-8.
        raise FrameError(f"no {TYPES[tag].__name__}: {error}") from error


class Channel:
    """One node's end of a socket pair."""

    def __init__(self, peer: int, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.peer = peer
        self.sock = sock
        self._received = bytearray()
        # Frames, each with the index that it follows on; the first may lack its beginning.
        self._unsent: deque[tuple[int, memoryview]] = deque()
        self._unsent_bytes = 0
        self._ahead = 0  # how many of the first frames are not to be overtaken
        self._buffer = bytearray(READ_SIZE)

    def read(self) -> Iterator[tuple[int, Message]]:
        """The messages that have come whole, each with when it is due.

        EOFError at the end; FrameError if what has come is no frame, and nothing after it
        can be told either.
        """
        count = self.sock.recv_into(self._buffer)
        if not count:
            raise EOFError
        received = self._received
        received += memoryview(self._buffer)[:count]
        start = 0
        while len(received) - start >= HEADER.size:
            length, due_ns, tag = HEADER.unpack_from(received, start)
            if length > MAX_BODY or tag >= len(TYPES):
                raise FrameError(f"no frame: type {tag}, {length} bytes")
            end = start + HEADER.size + length
            if end > len(received):
                break
            with memoryview(received) as view:
                message = decode(tag, view[start + HEADER.size : end])
            yield due_ns, message
            start = end
        del received[:start]

    def queue(self, message: Message, frame: bytes) -> None:
        """Add a message to what `flush` sends, or drop it if too much waits already."""
        if self._unsent_bytes >= MAX_BACKLOG:
            return
        follows = message.prev_log_index if isinstance(message, AppendEntries) else 0
        self._unsent_bytes += len(frame)
        if self._overtakes(message, follows):
            self._unsent.insert(self._ahead, (follows, memoryview(frame)))
            self._ahead += 1
        else:
            self._unsent.append((follows, memoryview(frame)))

    def _overtakes(self, message: Message, follows: int) -> bool:
        """Whether a message may go before those that wait.

        A heartbeat may that asks for none of the entries which wait: the others would be refused.
        """
        if len(self._unsent) == self._ahead:
            return False
        if isinstance(message, AppendEntries):
            return not message.entries and follows <= self._unsent[self._ahead][0]
        return isinstance(message, HASTY)

    def flush(self) -> bool:
        """Send what the socket takes; whether something is left."""
        try:
            sent = self.sock.sendmsg([frame for _, frame in islice(self._unsent, MAX_FRAMES)])
        except BlockingIOError:
            return True
        except (BrokenPipeError, ConnectionResetError):
            # The peer's process is gone; reading from the socket will say so too.
            self._unsent.clear()
            self._unsent_bytes = self._ahead = 0
            return False
        self._unsent_bytes -= sent
        while sent:
            follows, frame = self._unsent.popleft()
            self._ahead = max(0, self._ahead - 1)
            if sent < len(frame):
                self._unsent.appendleft((follows, frame[sent:]))
                self._ahead += 1
                break
            sent -= len(frame)
        return bool(self._unsent)


class Transport:
    """A node's sockets. `deliver` hears each message that arrives and when it is due."""

    def __init__(
        self,
        sockets: Mapping[int, socket.socket],
        links: Links,
        selector: selectors.BaseSelector,
        deliver: Callable[[int, Message], None],
    ) -> None:
        self._channels: dict[int, Channel] = {}
        self._links = links
        self._selector = selector
        self._deliver = deliver
        self.bytes = 0
        for peer, sock in sockets.items():
            self.connect(peer, sock)

    def connect(self, peer: int, sock: socket.socket) -> None:
        """Have a socket to another node, or to the next process of one that has ended."""
        if peer in self._channels:
            self._disconnect(self._channels[peer])
        self._channels[peer] = channel = Channel(peer, sock)
        self._watch(channel, selectors.EVENT_READ, self._selector.register)

    def send(self, messages: Iterable[Message]) -> None:
        """Send each message to its receiver, as far as the links let it; never blocks."""
        receivers = set()
        for message in messages:
            channel = self._channels.get(message.to)
            if channel is None:
                continue
            delays_ns = (0,) if self._links.perfect else self._links.delays_ns(message.to)
            for delay_ns in delays_ns:
                due_ns = time.monotonic_ns() + delay_ns if delay_ns else 0
                frame = encode(message, due_ns)
                self.bytes += len(frame)
                channel.queue(message, frame)
                receivers.add(channel)
        for channel in receivers:
            self._flush(channel)

    def close(self) -> None:
        """Close every socket."""
        for channel in self._channels.values():
            channel.sock.close()

    def _flush(self, channel: Channel) -> None:
        events = selectors.EVENT_READ
        if channel.flush():
            events |= selectors.EVENT_WRITE
        if self._selector.get_key(channel.sock).events != events:
            self._watch(channel, events, self._selector.modify)

    def _watch(
        self,
        channel: Channel,
        events: int,
        watch: Callable[[socket.socket, int, Callable[[int], None]], object],
    ) -> None:
        watch(channel.sock, events, lambda mask: self._on_event(channel, mask))

    def _on_event(self, channel: Channel, mask: int) -> None:
        if self._channels.get(channel.peer) is not channel:
            return  # It was replaced by what came before in the same look at all of them.
        if mask & selectors.EVENT_WRITE:
            self._flush(channel)
        if mask & selectors.EVENT_READ:
            try:
                for due_ns, message in channel.read():
                    self._deliver(due_ns, message)
            except (EOFError, ConnectionResetError):
                # The peer's process is gone, and with it whatever it would have heard.
                self._disconnect(channel)

    def _disconnect(self, channel: Channel) -> None:
        self._selector.unregister(channel.sock)
        channel.sock.close()
        del self._channels[channel.peer]
