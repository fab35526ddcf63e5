"""Clients of a node on threads: a thread for each connection, which reads and proposes.

The answers are written by whoever brings the last of a share, the node's thread as a rule: to wake
the connection's own for that would cost more than to write, where it already has thousands of
others to take its turn with. What a client does not take gets a thread of its own, which waits, and
until it is done the client is not heard again.
"""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable
from functools import partial

from raftmark.impl_threading.network import ACCEPT_AGAIN_S, receive, shut_down
from raftmark.raft.client import Outcome, Proposal
from raftmark.raft.client_port import MAX_IN_FLIGHT, Conversation, Port
from raftmark.raft.connections import CLIENT_READ_SIZE, Refusals, port_of, prepare_client
from raftmark.raft.deployed import Site
from raftmark.raft.handshake import HANDSHAKE_S
from raftmark.raft.messages import Command
from raftmark.raft.wire import FrameError


class Client:
    """A client's connection: a share of its commands is taken, answered, and then the next one."""

    def __init__(self, port: Port, connection: socket.socket) -> None:
        self._connection = connection
        self._changed = threading.Condition()
        # What the condition guards:
        self._conversation = Conversation(port)
        self._rest = b""
        self._writer: threading.Thread | None = None

    @property
    def known(self) -> bool:
        """Whether it has shown whose it is."""
        return self._conversation.session is not None

    # -- the connection's thread -------------------------------------------------------------

    def take(self, data: bytes) -> None:
        """Take what the client has sent."""
        with self._changed:
            self._conversation.feed(data)

    def share(self) -> list[Command]:
        """The next commands, a share of them at most, once those before are answered.

        FrameError, of which the client is told, if it has said what no client would.
        """
        commands = []
        with self._changed:
            self._changed.wait_for(self._is_quiet)
            try:
                while (command := self._conversation.next()) is not None:
                    commands.append(command)
            except FrameError:
                self._write()
                raise
            if not commands:
                self._write()
        return commands

    def _is_quiet(self) -> bool:
        return not (self._conversation.in_flight or self._rest)

    def close(self) -> None:
        """End the connection; what is answered from now on nobody hears."""
        shut_down(self._connection)
        with self._changed:
            writer = self._writer
        if writer is not None:
            writer.join()
        with self._changed:  # Nobody writes to a file that is somebody else's by then.
            self._connection.close()

    # -- whoever answers ---------------------------------------------------------------------

    def answer(self, serial: int, outcome: Outcome) -> None:
        """A command has come to this; never blocks."""
        with self._changed:
            self._conversation.answer(serial, outcome)
            if not self._conversation.in_flight:
                self._write()

    def _write(self) -> None:
        """Send what there is to say, as far as the client takes it; a thread sends the rest."""
        output = self._conversation.take_output()
        try:
            sent = self._connection.send(output, socket.MSG_DONTWAIT) if output else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            sent = len(output)  # It has gone: its thread hears of that.
        self._rest = output[sent:]
        if self._rest:
            try:
                self._writer = threading.Thread(target=self._write_rest, name="writes-rest")
                self._writer.start()
                return
            except RuntimeError:
                # The machine has no thread to wait for one who does not read.
                self._rest, self._writer = b"", None
                shut_down(self._connection)
        self._changed.notify()

    def _write_rest(self) -> None:
        with contextlib.suppress(OSError):  # It has gone, or the service ends.
            self._connection.sendall(self._rest)
        with self._changed:
            self._rest = b""
            self._changed.notify()


class Service:
    """A node's client port, through all its lives.

    `propose` takes each command, from any thread. RuntimeError if the machine has no more threads.
    """

    def __init__(
        self,
        site: Site,
        listener: socket.socket,
        propose: Callable[[Proposal], None],
        refusals: Refusals,
    ) -> None:
        self.port = port_of(site)
        self._listener = listener
        self._propose = propose
        self._refusals = refusals
        self._closing = threading.Event()
        self._wake, self._wakened = socket.socketpair()
        self._changing = threading.Lock()
        # What the lock guards:
        self._serving: dict[socket.socket, threading.Thread] = {}
        self._thread = threading.Thread(target=self._accept, name="accepts-clients")
        try:
            self._thread.start()
        except RuntimeError:
            self._wake.close()
            self._wakened.close()
            raise

    def close(self) -> None:
        """End every connection and every thread, and listen no more.

        Not before the node has: it is its outcomes that the threads wait for.
        """
        self._closing.set()
        self._wake.send(b"w")
        self._thread.join()
        with self._changing:
            threads = list(self._serving.values())
            for connection in self._serving:
                shut_down(connection)
        for thread in threads:
            thread.join()
        self._wake.close()
        self._wakened.close()
        self._listener.close()

    # -- the thread that accepts -------------------------------------------------------------

    def _accept(self) -> None:
        while not self._closing.is_set():
            select.select([self._listener, self._wakened], [], [])
            if self._closing.is_set():
                return
            try:
                self._take(self._listener.accept()[0])
            except (OSError, RuntimeError) as error:
                # The machine has no more files or threads; whoever it was connects again.
                self._refusals.tell(None, f"a client cannot be taken: {error}")
                self._closing.wait(ACCEPT_AGAIN_S)

    def _take(self, connection: socket.socket) -> None:
        thread = threading.Thread(target=self._serve, args=(connection,), name="serves")
        with self._changing:
            self._serving[connection] = thread
        try:
            thread.start()
        except RuntimeError:
            self._forget(connection)
            connection.close()
            raise

    def _forget(self, connection: socket.socket) -> None:
        with self._changing:
            del self._serving[connection]

    # -- the threads that serve --------------------------------------------------------------

    def _serve(self, connection: socket.socket) -> None:
        client = Client(self.port, connection)
        try:
            self._shake_hands(connection, client)
            while data := connection.recv(CLIENT_READ_SIZE):
                self._carry_out(client, data)
        except FrameError as error:
            self._refusals.tell(None, f"a client: {error}")
        except OSError as error:
            # The client has gone, or nobody was one.
            if isinstance(error, TimeoutError) and not client.known:
                self._refusals.tell(None, "a client: no handshake in time")
        finally:
            client.close()
            self._forget(connection)

    def _shake_hands(self, connection: socket.socket, client: Client) -> None:
        deadline_s = time.monotonic() + HANDSHAKE_S
        prepare_client(connection)
        while not client.known:
            data = receive(connection, deadline_s)
            connection.settimeout(None)  # Whoever answers is not to wait.
            self._carry_out(client, data)

    def _carry_out(self, client: Client, data: bytes) -> None:
        """Have all that has come proposed, a share at a time."""
        client.take(data)
        commands = client.share()
        while commands:
            for command in commands:
                self._propose(Proposal(command, partial(client.answer, command.serial)))
            if len(commands) < MAX_IN_FLIGHT:
                return  # That was all.
            commands = client.share()
