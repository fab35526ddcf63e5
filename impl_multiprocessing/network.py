"""Messages between programs: TCP, all connections in the one `select` of the node's process.

Nothing here blocks. A peer is dialled, and dialled again when its connection is lost; once it has
welcomed this node its connection is a channel like those to other processes. Who connects is a
stranger until it has shown who it is, and is heard from then on.
"""

import contextlib
import errno
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Mapping

from raftmark.impl_multiprocessing.transport import Channel, Transport
from raftmark.raft.cluster import Refusal
from raftmark.raft.connections import READ_SIZE, Backoff, Refusals, open_socket, prepare
from raftmark.raft.deployed import Address
from raftmark.raft.handshake import HANDSHAKE_S, MAX_HANDSHAKES, Dialler, Identity, Listener
from raftmark.raft.links import Links
from raftmark.raft.messages import Message
from raftmark.raft.wire import FrameError

ACCEPT_AGAIN_S = 0.1


class Dialled(Channel):
    """A connection that was dialled: once its peer has welcomed this node it says no more."""

    def __init__(self, peer: int, sock: socket.socket, dialler: Dialler) -> None:
        super().__init__(peer, sock)
        self.dialler = dialler

    def read(self) -> Iterator[tuple[int, Message]]:
        """Nothing. EOFError at the end, FrameError if the peer speaks."""
        data = self.sock.recv(READ_SIZE)
        if not data:
            raise EOFError
        self.dialler.receive(data)
        return iter(())


class Peer:
    """Whom to dial, and how far that has come."""

    def __init__(self, address: Address, backoff: Backoff) -> None:
        self.address = address
        self.backoff = backoff
        self.connection: Dialled | None = None
        self.due_s: float | None = None
        """When it is dialled again, or its handshake given up; None while it is a channel."""


class Accepted:
    """A connection that was accepted."""

    def __init__(self, sock: socket.socket, listener: Listener) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.listener = listener
        self.due_s = time.monotonic() + HANDSHAKE_S


class Network(Transport):
    """A node's listener, and its connections."""

    def __init__(
        self,
        listener: socket.socket,
        identity: Identity,
        seed: int,
        refused: Callable[[Refusal], None],
        links: Links,
        selector: selectors.BaseSelector,
        deliver: Callable[[int, Message], None],
    ) -> None:
        super().__init__({}, links, selector, deliver)
        listener.setblocking(False)
        self._listener = listener
        self._accept_due_s: float | None = None
        self._known = False
        self._identity = identity
        self._seed = seed
        self._refusals = Refusals(identity.node, refused)
        self._peers: dict[int, Peer] = {}
        self._strangers: set[Accepted] = set()
        self._heard: dict[int, Accepted] = {}
        self._buffer = memoryview(bytearray(READ_SIZE))

    def introduce(self, peers: Mapping[int, Address]) -> None:
        """Know these peers from now on, and no others."""
        for number, peer in list(self._peers.items()):
            if peers.get(number) != peer.address:
                self._hang_up(number)
                del self._peers[number]
        for number in self._heard.keys() - peers.keys():
            self._end(self._heard[number])
        for number in peers.keys() - self._peers.keys():
            backoff = Backoff(self._seed, self._identity.node, number)
            self._peers[number] = Peer(peers[number], backoff)
            self._dial(number)
        if not self._known:
            self._known = True
            self._open()

    def may_wait_s(self) -> float | None:
        """For how long there is nothing to do unless something arrives."""
        due_s = [peer.due_s for peer in self._peers.values() if peer.due_s is not None]
        if self._strangers:
            due_s += [stranger.due_s for stranger in self._strangers]
        if self._accept_due_s is not None:
            due_s.append(self._accept_due_s)
        return max(0, min(due_s) - time.monotonic()) if due_s else None

    def be_on_time(self) -> None:
        """Dial, or give up a handshake, where that is due."""
        for number, peer in self._peers.items():
            if peer.due_s is not None and time.monotonic() >= peer.due_s:
                if peer.connection is None:
                    self._dial(number)
                else:
                    self._lose(number)
        for stranger in list(self._strangers):
            if time.monotonic() >= stranger.due_s:
                self._refuse(stranger, "no handshake in time")
        if self._accept_due_s is not None and time.monotonic() >= self._accept_due_s:
            self._open()

    def close(self) -> None:
        """Close every socket."""
        for number in self._peers:
            self._hang_up(number)
        for accepted in [*self._strangers, *self._heard.values()]:
            self._end(accepted)
        self._listener.close()

    # -- peers that are dialled --------------------------------------------------------------

    def _dial(self, number: int) -> None:
        peer = self._peers[number]
        peer.due_s = time.monotonic() + HANDSHAKE_S
        try:
            sock, where = open_socket(peer.address)
        except OSError:
            self._lose(number)  # No such address, or no more files: later, perhaps.
            return
        connection = Dialled(number, sock, Dialler(self._identity, number))
        if sock.connect_ex(where) not in (0, errno.EINPROGRESS):
            sock.close()
            self._lose(number)
            return
        peer.connection = connection
        self._selector.register(sock, selectors.EVENT_WRITE, lambda _mask: self._shake(connection))

    def _shake(self, connection: Dialled) -> None:
        """A handshake goes on: it is connected, or its peer has answered."""
        number, sock, dialler = connection.peer, connection.sock, connection.dialler
        peer = self._peers.get(number)
        if peer is None or peer.connection is not connection:
            return  # It was ended by what came before in the same look at all of them.
        try:
            if self._selector.get_key(sock).events == selectors.EVENT_WRITE:
                if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise ConnectionError
                prepare(sock)
                self._selector.modify(
                    sock, selectors.EVENT_READ, lambda _mask: self._shake(connection)
                )
            else:
                connection.read()
            if output := dialler.take_output():
                sock.send(output)
        except (OSError, EOFError):
            self._lose(number)
        except FrameError as error:
            self._refusals.tell(number, str(error))
            self._lose(number)
        else:
            if dialler.welcome:
                peer.due_s = None
                peer.backoff.reset()
                self._channels[number] = connection
                self._watch(connection, selectors.EVENT_READ, self._selector.modify)

    def _on_event(self, channel: Channel, mask: int) -> None:
        try:
            super()._on_event(channel, mask)
        except FrameError as error:
            self._refusals.tell(channel.peer, str(error))
            self._lose(channel.peer)

    def _disconnect(self, channel: Channel) -> None:
        self._lose(channel.peer)

    def _lose(self, number: int) -> None:
        """A peer is not reached, or not any more."""
        self._hang_up(number)
        peer = self._peers[number]
        peer.due_s = time.monotonic() + peer.backoff.next_s()

    def _hang_up(self, number: int) -> None:
        peer = self._peers[number]
        self._channels.pop(number, None)
        if peer.connection is not None:
            self._selector.unregister(peer.connection.sock)
            peer.connection.sock.close()
            peer.connection = None

    # -- connections that are accepted -------------------------------------------------------

    def _open(self) -> None:
        self._accept_due_s = None
        self._selector.register(self._listener, selectors.EVENT_READ, lambda _mask: self._accept())

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            # The machine has no more files; whoever it was dials again.
            self._refusals.tell(None, f"a connection cannot be taken: {error}")
            self._selector.unregister(self._listener)
            self._accept_due_s = time.monotonic() + ACCEPT_AGAIN_S
            return
        accepted = Accepted(sock, Listener(self._identity, self._peers.__contains__))
        self._strangers.add(accepted)
        self._selector.register(sock, selectors.EVENT_READ, lambda _mask: self._hear(accepted))
        if len(self._strangers) > MAX_HANDSHAKES:
            self._refuse(accepted, "too many at once have not shown who they are")

    def _hear(self, accepted: Accepted) -> None:
        if accepted.sock.fileno() < 0:
            return  # It was ended by what came before in the same look at all of them.
        listener = accepted.listener
        stranger = listener.peer is None
        try:
            count = accepted.sock.recv_into(self._buffer)
            if not count:
                raise EOFError
            for delay_ns, message in listener.receive(self._buffer[:count]):
                self._deliver(delay_ns, message)
            if stranger:
                if listener.peer is not None:
                    self._know(listener.peer, accepted)
                if output := listener.take_output():
                    accepted.sock.send(output)
        except BlockingIOError:
            pass  # The system has thought better of it.
        except (OSError, EOFError):
            self._end(accepted)  # The peer is gone, and will dial again.
        except FrameError as error:
            self._refuse(accepted, str(error))

    def _know(self, peer: int, accepted: Accepted) -> None:
        """Who dials again has lost the connection it had."""
        if peer in self._heard:
            self._end(self._heard[peer])
        self._strangers.discard(accepted)
        self._heard[peer] = accepted
        prepare(accepted.sock)

    def _refuse(self, accepted: Accepted, reason: str) -> None:
        self._refusals.tell(accepted.listener.peer, reason)
        with contextlib.suppress(OSError):
            accepted.sock.send(accepted.listener.take_output())
        self._end(accepted)

    def _end(self, accepted: Accepted) -> None:
        self._strangers.discard(accepted)
        peer = accepted.listener.peer
        if peer is not None and self._heard.get(peer) is accepted:
            del self._heard[peer]
        self._selector.unregister(accepted.sock)
        accepted.sock.close()
