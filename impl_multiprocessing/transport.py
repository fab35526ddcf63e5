"""Messages between processes: MessagePack frames over a socket pair for each two nodes.

A socket that is full is not waited for: what it does not take is kept up to a bound.
"""

import selectors
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping

from raftmark.raft.links import Links
from raftmark.raft.messages import Message
from raftmark.raft.wire import Incoming, Outgoing, encode

READ_SIZE = 1 << 16


class Channel:
    """One node's end of a socket pair."""

    def __init__(self, peer: int, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.peer = peer
        self.sock = sock
        self.full = False
        """Whether something waits for room, so that the socket is watched for it."""
        self._incoming = Incoming()
        self._outgoing = Outgoing()
        self._buffer = bytearray(READ_SIZE)
        self._view = memoryview(self._buffer)
        self.queue = self._outgoing.queue

    def read(self) -> Iterator[tuple[int, Message]]:
        """The messages that have come whole, each with the nanoseconds to hold it.

        EOFError at the end; FrameError if what has come is no frame, and nothing after it
        can be told either.
        """
        count = self.sock.recv_into(self._buffer)
        if not count:
            raise EOFError
        self._incoming.feed(self._view[:count])
        return self._incoming.messages()

    def flush(self) -> bool:
        """Send what the socket takes; whether something is left."""
        outgoing = self._outgoing
        try:
            outgoing.sent(self.sock.sendmsg(outgoing.buffers()))
        except BlockingIOError:
            return True
        except OSError:
            # The peer is gone; reading from the socket will say so too.
            outgoing.clear()
        return bool(outgoing)


class Transport:
    """A node's sockets. `deliver` hears each message that arrives, and how long to hold it (ns)."""

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
                frame = encode(message, delay_ns)
                self.bytes += len(frame)
                channel.queue(message, frame)
                receivers.add(channel)
        for channel in receivers:
            self._flush(channel)

    def may_wait_s(self) -> float | None:
        """For how long there is nothing to do unless something arrives; None: for ever."""
        return None

    def be_on_time(self) -> None:
        """Do what is due."""

    def close(self) -> None:
        """Close every socket."""
        for channel in self._channels.values():
            channel.sock.close()

    def _flush(self, channel: Channel) -> None:
        full = channel.flush()
        if full != channel.full:
            channel.full = full
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if full else 0)
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
                for delay_ns, message in channel.read():
                    self._deliver(delay_ns, message)
            except BlockingIOError:
                pass  # The system has thought better of it.
            except (EOFError, OSError):
                # The peer is gone, and with it whatever it would have heard.
                self._disconnect(channel)

    def _disconnect(self, channel: Channel) -> None:
        self._selector.unregister(channel.sock)
        channel.sock.close()
        del self._channels[channel.peer]
