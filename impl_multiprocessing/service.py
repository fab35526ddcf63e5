"""Clients of a node that is a process: all connections in the one loop of the node's process.

They have a selector of their own, as large as need be, which is a file that the node's selector
waits for: so that one remains as small and as precise as it is.
"""

import contextlib
import fcntl
import selectors
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial
from itertools import islice

from raftmark.impl_multiprocessing.network import ACCEPT_AGAIN_S
from raftmark.raft.client import Outcome, Proposal
from raftmark.raft.client_port import Conversation
from raftmark.raft.connections import (
    CLIENT_READ_SIZE,
    MOST_A_TURN,
    MOST_ACCEPTED,
    Refusals,
    port_of,
    prepare_client,
)
from raftmark.raft.deployed import Site
from raftmark.raft.handshake import HANDSHAKE_S
from raftmark.raft.wire import FrameError

SELECTABLE = 1024
"""select() knows no more files than these, which are for the node's own connections."""
NOTHING = memoryview(b"")


class Client:
    """A client's connection."""

    def __init__(self, sock: socket.socket, conversation: Conversation) -> None:
        self.sock = sock
        self.conversation = conversation
        self.due_s = time.monotonic() + HANDSHAKE_S
        self.events = 0
        """What it is watched for."""
        self.rest = NOTHING
        """What the client has not taken yet: while there is some, it is not read from."""
        self.waits = False
        """Whether it is to have its turn later: it is read on, but not without end."""

    def send(self) -> None:
        """Send what there is to say, as far as the client takes it. OSError."""
        waiting = self.rest
        if output := self.conversation.take_output():
            waiting = memoryview(b"".join((waiting, output)))
        sent = 0
        if waiting:
            with contextlib.suppress(BlockingIOError):
                sent = self.sock.send(waiting)
        self.rest = waiting[sent:] if sent < len(waiting) else NOTHING

    @property
    def awaited(self) -> int:
        """The event without which it does not go on: 0 while it waits for the node."""
        if self.rest:
            return selectors.EVENT_WRITE
        much = self.waits and self.conversation.backlog >= CLIENT_READ_SIZE
        return 0 if much or self.conversation.full else selectors.EVENT_READ


class Service:
    """A node's client port, through all its lives. `propose` takes each command."""

    def __init__(
        self,
        site: Site,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        propose: Callable[[Proposal], None],
        refusals: Refusals,
    ) -> None:
        listener.setblocking(False)
        self.port = port_of(site)
        self._listener = listener
        self._propose = propose
        self._refusals = refusals
        self._buffer = memoryview(bytearray(CLIENT_READ_SIZE))
        self._clients: set[Client] = set()
        self._strangers: OrderedDict[Client, None] = OrderedDict()
        """Whose handshake may be due, in the order of that."""
        self._answered: dict[Client, None] = {}
        self._room = MOST_A_TURN
        self._waiting: deque[Client] = deque()
        """For a turn, in their order."""
        self._accept_due_s: float | None = None
        self._selector = selectors.DefaultSelector()
        self._nodes_selector = selector
        selector.register(self._selector.fileno(), selectors.EVENT_READ, lambda _mask: self._look())
        self._open()

    def may_wait_s(self) -> float | None:
        """For how long there is nothing to do unless something arrives; None: for ever."""
        if self._waiting:
            return 0
        due_s = [stranger.due_s for stranger in islice(self._strangers, 1)]
        if self._accept_due_s is not None:
            due_s.append(self._accept_due_s)
        return max(0, min(due_s) - time.monotonic()) if due_s else None

    def be_on_time(self) -> None:
        """Accept again, or give up a handshake, where that is due."""
        now_s = time.monotonic()
        while self._strangers and next(iter(self._strangers)).due_s <= now_s:
            stranger, _ = self._strangers.popitem(last=False)
            if stranger.conversation.session is None:
                self._hang_up(stranger, "no handshake in time")
        if self._accept_due_s is not None and self._accept_due_s <= now_s:
            self._open()

    def flush(self) -> None:
        """Send the answers that the node's step has brought, each client's in one write.

        It has room again then, which those have first who wait for it.
        """
        self._room = MOST_A_TURN
        while self._waiting and self._room:
            client = self._waiting.popleft()
            client.waits = False
            if client in self._clients:
                self._go_on(client)
        while self._answered:
            answered, self._answered = self._answered, {}
            for client in answered:
                if client in self._clients:
                    self._go_on(client)

    def close(self) -> None:
        """Close every socket."""
        for client in list(self._clients):
            self._end(client)
        self._nodes_selector.unregister(self._selector.fileno())
        self._selector.close()
        self._listener.close()

    # -- connections ---------------------------------------------------------------------

    def _look(self) -> None:
        """Everybody who is ready has one turn."""
        for key, _ in self._selector.select(0):
            key.data()

    def _open(self) -> None:
        self._accept_due_s = None
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def _accept(self) -> None:
        for _ in range(MOST_ACCEPTED):
            try:
                self._take(out_of_the_way(self._listener.accept()[0]))
            except BlockingIOError:
                return
            except OSError as error:
                # The machine has no more files; whoever it was connects again.
                self._refusals.tell(None, f"a client cannot be taken: {error}")
                self._selector.unregister(self._listener)
                self._accept_due_s = time.monotonic() + ACCEPT_AGAIN_S
                return

    def _take(self, sock: socket.socket) -> None:
        client = Client(sock, Conversation(self.port))
        try:
            sock.setblocking(False)
            prepare_client(sock)
            self._watch(client)
        except OSError:
            sock.close()
            raise
        self._clients.add(client)
        self._strangers[client] = None

    def _on_event(self, client: Client) -> None:
        try:
            if client.events == selectors.EVENT_READ:
                count = client.sock.recv_into(self._buffer)
                if not count:
                    raise EOFError
                client.conversation.feed(self._buffer[:count])
        except BlockingIOError:
            pass  # The system has thought better of it.
        except (OSError, EOFError):
            self._end(client)
        else:
            self._go_on(client)

    def _go_on(self, client: Client) -> None:
        """Send what there is to say, and propose what may be proposed."""
        conversation = client.conversation
        try:
            client.send()
            while not client.rest and self._has_turn(client):
                if (command := conversation.next()) is None:
                    break
                self._room -= 1
                self._propose(Proposal(command, partial(self._answer, client, command.serial)))
            client.send()
        except FrameError as error:
            self._hang_up(client, str(error))
        except OSError:
            self._end(client)
        else:
            self._watch(client)

    def _has_turn(self, client: Client) -> bool:
        """Whether the node's next step has room for a command; else the client goes on later."""
        if not self._room and not client.waits:
            client.waits = True
            self._waiting.append(client)
        return self._room > 0

    def _answer(self, client: Client, serial: int, outcome: Outcome) -> None:
        client.conversation.answer(serial, outcome)
        self._answered[client] = None

    def _watch(self, client: Client) -> None:
        awaited = client.awaited
        if awaited == client.events:
            return
        if not awaited:
            self._selector.unregister(client.sock)
        else:
            watch = self._selector.modify if client.events else self._selector.register
            watch(client.sock, awaited, partial(self._on_event, client))
        client.events = awaited

    def _hang_up(self, client: Client, reason: str) -> None:
        self._refusals.tell(None, f"a client: {reason}")
        with contextlib.suppress(OSError):
            client.send()
        self._end(client)

    def _end(self, client: Client) -> None:
        if client.events:
            self._selector.unregister(client.sock)
        self._clients.discard(client)
        self._strangers.pop(client, None)
        client.sock.close()


def out_of_the_way(sock: socket.socket) -> socket.socket:
    """The same connection as a file that is none of those which `select` needs. OSError."""
    if sock.fileno() >= SELECTABLE:
        return sock
    with sock:
        return socket.socket(fileno=fcntl.fcntl(sock, fcntl.F_DUPFD_CLOEXEC, SELECTABLE))
