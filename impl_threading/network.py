"""Messages between programs: TCP, with a thread for each thing that can block.

A thread accepts connections, and each accepted one has a thread that reads. For each peer one
thread dials, and then listens for the end of that connection; another writes what waits. So
nothing here polls, and a peer that hangs holds up the thread that writes to it and no other.
"""

import contextlib
import queue
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from raftmark.impl_threading.transport import Delayed
from raftmark.raft.connections import READ_SIZE, Backoff, Refusals, open_socket, prepare
from raftmark.raft.deployed import Address
from raftmark.raft.handshake import (
    HANDSHAKE_S,
    MAX_HANDSHAKES,
    Dialler,
    Identity,
    Listener,
    no_peer,
)
from raftmark.raft.messages import Message
from raftmark.raft.wire import MAX_BACKLOG, FrameError, Outgoing, encode

WRITE_SIZE = 1 << 16
PACE_BYTES = 1 << 20
"""So much may come that the node's thread has not taken yet."""
ACCEPT_AGAIN_S = 0.1


class Waiting(NamedTuple):
    """A frame for the thread that writes, of which so many bytes were sent."""

    connection: socket.socket
    message: Message
    frame: bytes
    sent: int


class Sender:
    """A peer, as the node's thread sees it: where to put messages, like a mailbox.

    While there is no connection they are lost. RuntimeError if the machine has no more threads.
    """

    def __init__(
        self,
        identity: Identity,
        peer: int,
        address: Address,
        backoff: Backoff,
        refusals: Refusals,
    ) -> None:
        self._identity = identity
        self._peer = peer
        self._address = address
        self._backoff = backoff
        self._refusals = refusals
        self._changed = threading.Condition()
        # What the condition guards:
        self._dialled: socket.socket | None = None
        self._hurry = False
        self._closing = False
        self._welcomed: socket.socket | None = None
        # To the thread that writes, which None ends.
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._put = 0  # bytes; by the node's thread alone
        self._gone = 0  # bytes, written or dropped; by the thread that writes alone
        self.bytes = 0
        self._threads = [
            threading.Thread(target=self._dial, name=f"dials-{peer}"),
            threading.Thread(target=self._write, name=f"writes-{peer}"),
        ]
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError:
            self.close()
            raise

    def deliver(self, message: Message | Delayed) -> None:
        """Have a message written, or lose it; never blocks.

        Where nothing waits it is written here and now, as far as the system takes it: to wake a
        thread for that would cost more than to write. While the other thread has something to
        write, it has the socket to itself.
        """
        connection = self._welcomed
        if connection is None or self._put - self._gone >= MAX_BACKLOG:
            return
        delay_ns = 0
        if isinstance(message, Delayed):
            delay_ns = max(0, message.due_ns - time.monotonic_ns())
            message = message.message
        frame = encode(message, delay_ns)
        sent = 0
        if self._put == self._gone:
            try:
                sent = connection.send(frame, socket.MSG_DONTWAIT)
            except BlockingIOError:
                pass  # The other thread waits until there is room.
            except OSError:
                shut_down(connection)  # The thread that dials hears of that.
                return
            self.bytes += sent
            if sent == len(frame):
                return
        self._put += len(frame) - sent
        self._queue.put(Waiting(connection, message, frame, sent))

    def redirect(self, address: Address) -> None:
        """Dial another address from now on, and at once."""
        with self._changed:
            if address != self._address:
                self._address = address
                self._backoff.reset()
                self._hurry = True
                self._interrupt()

    def close(self) -> None:
        """End the connection and the threads."""
        with self._changed:
            self._closing = True
            self._interrupt()
        self._queue.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _interrupt(self) -> None:
        """Wake the thread that dials, whatever it waits for."""
        self._changed.notify_all()
        if self._dialled is not None:
            shut_down(self._dialled)

    # -- the thread that dials ---------------------------------------------------------------

    def _dial(self) -> None:
        while not self._closing:
            try:
                self._connect()
            except FrameError as error:
                self._refusals.tell(self._peer, str(error))
            except OSError:
                pass  # It is not there, or not any more: it is dialled again.
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._hurry, self._backoff.next_s())
                self._hurry = False

    def _connect(self) -> None:
        """Connect, and read until the end of the connection."""
        connection, where = open_socket(self._address)
        with connection:
            with self._changed:
                if self._closing or self._hurry:
                    return
                self._dialled = connection
            try:
                dialler = self._shake_hands(connection, where)
                self._backoff.reset()
                self._welcomed = connection
                while data := connection.recv(READ_SIZE):
                    dialler.receive(data)
            finally:
                self._welcomed = None
                with self._changed:
                    self._dialled = None
                # The thread that writes may be in the middle of it.
                shut_down(connection)

    def _shake_hands(self, connection: socket.socket, where: tuple[str, int]) -> Dialler:
        deadline_s = time.monotonic() + HANDSHAKE_S
        dialler = Dialler(self._identity, self._peer)
        connection.settimeout(HANDSHAKE_S)
        connection.connect(where)
        prepare(connection)
        connection.sendall(dialler.take_output())
        while not dialler.welcome:
            dialler.receive(receive(connection, deadline_s))
            connection.sendall(dialler.take_output())
        connection.settimeout(None)
        return dialler

    # -- the thread that writes --------------------------------------------------------------

    def _write(self) -> None:
        outgoing = Outgoing()
        connection: socket.socket | None = None
        taken = 0
        get = self._queue.get
        while True:
            batch = [] if outgoing else [get()]
            batch += [get() for _ in range(self._queue.qsize())]
            for item in batch:
                if item is None:
                    return
                taken += len(item.frame) - item.sent
                if item.connection is not connection:
                    connection = item.connection
                    outgoing.clear()
                if item.sent:
                    outgoing.queue_rest(memoryview(item.frame)[item.sent :])
                else:
                    outgoing.queue(item.message, item.frame)
            assert connection is not None
            data = outgoing.take(WRITE_SIZE)
            try:
                connection.sendall(data)
                self.bytes += len(data)
            except OSError:
                shut_down(connection)  # The thread that dials hears of that.
                outgoing.clear()
            self._gone = taken - outgoing.size


class Acceptor:
    """The listening end: who connects is asked who it is, and then heard.

    `knows` says who may be a peer; `deliver` takes each message, and `keep_pace` waits until so
    many bytes were taken. Both are called by the threads that read. RuntimeError if the machine
    has no more threads.
    """

    def __init__(
        self,
        listener: socket.socket,
        identity: Identity,
        knows: Callable[[int], bool],
        deliver: Callable[[Message | Delayed], None],
        keep_pace: Callable[[], None],
        refusals: Refusals,
    ) -> None:
        self._listener = listener
        self._identity = identity
        self._knows = knows
        self._deliver = deliver
        self._keep_pace = keep_pace
        self._refusals = refusals
        self._closing = threading.Event()
        self._wake, self._wakened = socket.socketpair()
        self._changing = threading.Lock()
        # What the lock guards:
        self._readers: dict[socket.socket, threading.Thread] = {}
        self._peers: dict[int, socket.socket] = {}
        self._thread = threading.Thread(target=self._accept, name="accepts")
        try:
            self._thread.start()
        except RuntimeError:
            self._wake.close()
            self._wakened.close()
            raise

    def part(self, peer: int) -> None:
        """Hear this node no more, until it connects again."""
        with self._changing:
            connection = self._peers.pop(peer, None)
            if connection is not None:
                shut_down(connection)

    def close(self) -> None:
        """End every connection and every thread."""
        self._closing.set()
        self._wake.send(b"w")
        self._thread.join()
        with self._changing:
            readers = list(self._readers.values())
            for connection in self._readers:
                shut_down(connection)
        for reader in readers:
            reader.join()
        self._wake.close()
        self._wakened.close()

    # -- the thread that accepts -------------------------------------------------------------

    def _accept(self) -> None:
        while not self._closing.is_set():
            select.select([self._listener, self._wakened], [], [])
            if self._closing.is_set():
                return
            try:
                self._take(self._listener.accept()[0])
            except (OSError, RuntimeError) as error:
                # The machine has no more files or threads; whoever it was dials again.
                self._refusals.tell(None, f"a connection cannot be taken: {error}")
                self._closing.wait(ACCEPT_AGAIN_S)

    def _take(self, connection: socket.socket) -> None:
        reader = threading.Thread(target=self._read, args=(connection,), name="reads")
        with self._changing:
            room = len(self._readers) - len(self._peers) < MAX_HANDSHAKES
            if room:
                self._readers[connection] = reader
        if not room:
            connection.close()
            self._refusals.tell(None, "too many at once have not shown who they are")
            return
        try:
            reader.start()
        except RuntimeError:
            self._forget(connection)
            connection.close()
            raise

    # -- the threads that read ---------------------------------------------------------------

    def _read(self, connection: socket.socket) -> None:
        listener = Listener(self._identity, self._knows)
        try:
            with connection:
                self._shake_hands(connection, listener)
                self._hear(connection, listener)
        except FrameError as error:
            self._refusals.tell(listener.peer, str(error))
        except OSError as error:
            # The peer has gone in the middle of it, and will dial again; or nobody was a peer.
            if listener.peer is None and isinstance(error, TimeoutError):
                self._refusals.tell(None, "no handshake in time")
        finally:
            self._forget(connection)

    def _shake_hands(self, connection: socket.socket, listener: Listener) -> None:
        deadline_s = time.monotonic() + HANDSHAKE_S
        prepare(connection)
        while listener.peer is None:
            try:
                self._pass_on(listener, receive(connection, deadline_s))
            except FrameError:
                with contextlib.suppress(OSError):  # Who does not hear why has gone.
                    connection.sendall(listener.take_output())
                raise
            if listener.peer is not None:
                self._know(listener.peer, connection)
            connection.sendall(listener.take_output())
        connection.settimeout(None)

    def _know(self, peer: int, connection: socket.socket) -> None:
        """Who dials again has lost the connection it had; who was removed meanwhile is no peer."""
        with self._changing:
            if not self._knows(peer):
                raise no_peer(peer)
            former = self._peers.get(peer)
            self._peers[peer] = connection
            if former is not None:
                shut_down(former)

    def _hear(self, connection: socket.socket, listener: Listener) -> None:
        buffer = bytearray(READ_SIZE)
        view = memoryview(buffer)
        unpaced = 0
        while count := connection.recv_into(buffer):
            self._pass_on(listener, view[:count])
            unpaced += count
            if unpaced >= PACE_BYTES:
                self._keep_pace()
                unpaced = 0

    def _pass_on(self, listener: Listener, data: bytes | memoryview) -> None:
        for delay_ns, message in listener.receive(data):
            if delay_ns:
                self._deliver(Delayed(time.monotonic_ns() + delay_ns, message))
            else:
                self._deliver(message)

    def _forget(self, connection: socket.socket) -> None:
        with self._changing:
            self._readers.pop(connection, None)
            for peer, own in list(self._peers.items()):
                if own is connection:
                    del self._peers[peer]


def receive(connection: socket.socket, deadline_s: float) -> bytes:
    """What comes before a time of the monotonic clock. OSError at the end, or if it is too late."""
    connection.settimeout(max(1e-3, deadline_s - time.monotonic()))
    data = connection.recv(READ_SIZE)
    if not data:
        raise ConnectionError("the end of the connection")
    return data


def shut_down(connection: socket.socket) -> None:
    """End a connection for whichever thread waits for it; that one closes it."""
    with contextlib.suppress(OSError):  # It has ended already.
        connection.shutdown(socket.SHUT_RDWR)
