"""Clients of a node on threads: a thread for each connection, which does nothing else.

It reads commands, gives them to the node, waits for their outcomes and writes the answers: a client
that does not take them holds up its own thread, and one that sends much has no more under way than
its share.
"""

import contextlib
import queue
import select
import socket
import threading
import time
from collections.abc import Callable
from functools import partial

from raftmark.impl_threading.network import ACCEPT_AGAIN_S, receive, shut_down
from raftmark.raft.client import Outcome, Proposal
from raftmark.raft.client_port import Conversation
from raftmark.raft.connections import CLIENT_READ_SIZE, Refusals, port_of, prepare_client
from raftmark.raft.deployed import Site
from raftmark.raft.handshake import HANDSHAKE_S
from raftmark.raft.wire import FrameError


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
        conversation = Conversation(self.port)
        try:
            with connection:
                self._shake_hands(connection, conversation)
                self._answer_all(connection, conversation)
        except FrameError as error:
            self._refusals.tell(None, f"a client: {error}")
        except OSError as error:
            # The client has gone, or nobody was one.
            if conversation.session is None and isinstance(error, TimeoutError):
                self._refusals.tell(None, "a client: no handshake in time")
        finally:
            self._forget(connection)

    def _shake_hands(self, connection: socket.socket, conversation: Conversation) -> None:
        deadline_s = time.monotonic() + HANDSHAKE_S
        prepare_client(connection)
        while conversation.session is None:
            conversation.feed(receive(connection, deadline_s))
            self._go_on(connection, conversation)
        connection.settimeout(None)

    def _answer_all(self, connection: socket.socket, conversation: Conversation) -> None:
        while data := connection.recv(CLIENT_READ_SIZE):
            conversation.feed(data)
            self._go_on(connection, conversation)

    def _go_on(self, connection: socket.socket, conversation: Conversation) -> None:
        """Have all that has come carried out, a share at a time, and answer it."""
        outcomes: queue.SimpleQueue[tuple[int, Outcome]] = queue.SimpleQueue()
        try:
            while True:
                while (command := conversation.next()) is not None:
                    self._propose(Proposal(command, partial(put, outcomes, command.serial)))
                while conversation.in_flight:
                    conversation.answer(*outcomes.get())
                output = conversation.take_output()
                if not output:
                    return
                connection.sendall(output)
        except FrameError:
            with contextlib.suppress(OSError):  # Who does not hear why has gone.
                connection.sendall(conversation.take_output())
            raise


def put(outcomes: "queue.SimpleQueue[tuple[int, Outcome]]", serial: int, outcome: Outcome) -> None:
    """Let the thread that serves have a command's outcome."""
    outcomes.put((serial, outcome))
