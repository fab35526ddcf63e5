"""Clients of a node on asyncio: a protocol for each connection, all in the node's event loop."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import cast

from raftmark.raft.client import Outcome, Proposal
from raftmark.raft.client_port import Conversation
from raftmark.raft.connections import (
    CLIENT_READ_SIZE,
    CLIENTS_BACKLOG,
    MOST_A_TURN,
    MOST_ACCEPTED,
    Refusals,
    address_of,
    open_client_port,
    port_of,
    prepare_client,
)
from raftmark.raft.deployed import Address, Site
from raftmark.raft.handshake import HANDSHAKE_S
from raftmark.raft.wire import FrameError


class Client(asyncio.BufferedProtocol):
    """A client's connection.

    It is not read from while its share is under way, or while the client does not take its answers:
    what the client sends then waits in the system's buffers, and it waits alone.
    """

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._conversation = Conversation(service.port)
        self._unread = False
        self._held = False
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.call_later(HANDSHAKE_S, self._be_too_late)
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has connected."""
        self.transport = cast(asyncio.Transport, transport)
        prepare_client(transport.get_extra_info("socket"))
        self._service.clients.add(self)
        if self._service.closed:
            self.transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read to: what is read is taken out before anyone else reads."""
        return self._service.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what the client says."""
        self._conversation.feed(self._service.buffer[:nbytes])
        self.go_on()

    def go_on(self) -> None:
        """Propose what may be proposed; who says what no client would is hung up on."""
        if self.transport.is_closing():
            return
        conversation, service = self._conversation, self._service
        turn = True
        try:
            while not self._held and (turn := service.has_turn(self)):
                if (command := conversation.next()) is None:
                    break
                service.propose(Proposal(command, partial(self._answer, command.serial)))
        except FrameError as error:
            self.hang_up(str(error))
            return
        if conversation.session is not None:
            self._deadline.cancel()
        self.flush()
        # Who has no turn yet is read on, but not without end.
        much = not turn and conversation.backlog >= CLIENT_READ_SIZE
        unread = self._held or conversation.full or much
        if unread != self._unread and not self.transport.is_closing():
            self._unread = unread
            (self.transport.pause_reading if unread else self.transport.resume_reading)()

    def _answer(self, serial: int, outcome: Outcome) -> None:
        self._conversation.answer(serial, outcome)
        self._service.will_flush(self)

    def flush(self) -> None:
        """Send all that there is to say, in one write."""
        output = self._conversation.take_output()
        if output and not self.transport.is_closing():
            self.transport.write(output)

    def flush_and_go_on(self) -> None:
        """Send the answers, and take up what has waited for that."""
        self.flush()
        if self._unread:
            self.go_on()

    def pause_writing(self) -> None:
        """The client does not take its answers."""
        self._held = True

    def resume_writing(self) -> None:
        """The client has taken them."""
        self._held = False
        self.go_on()

    def _be_too_late(self) -> None:
        self.hang_up("no handshake in time")

    def hang_up(self, reason: str) -> None:
        """End the connection, and tell why."""
        self._service.refusals.tell(None, f"a client: {reason}")
        self.flush()
        self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone, or was hung up on."""
        self._deadline.cancel()
        self._service.forget(self)
        self.lost.set()


class Service:
    """A node's client port, through all its lives. All of it in the event loop.

    `propose` takes each command.
    """

    def __init__(self, site: Site, propose: Callable[[Proposal], None], refusals: Refusals) -> None:
        self._propose = propose
        self.refusals = refusals
        self.clients: set[Client] = set()
        self.buffer = memoryview(bytearray(CLIENT_READ_SIZE))
        self.port = port_of(site)
        self._site = site
        self._answered: list[Client] = []
        self._room = MOST_A_TURN
        self._waiting: OrderedDict[Client, None] = OrderedDict()
        """For a turn, in their order."""
        self._server: asyncio.Server | None = None
        self.closed = False

    async def listen(self, address: Address) -> Address:
        """Listen there; where that is. BadRequest or Unavailable if it cannot be."""
        listener = open_client_port(self._site, address)
        loop = asyncio.get_running_loop()
        # Its backlog is two things, how many may wait and how many are accepted in one turn.
        self._server = await loop.create_server(self._welcome, sock=listener, backlog=MOST_ACCEPTED)
        listener.listen(CLIENTS_BACKLOG)
        return address_of(listener)

    def _welcome(self) -> Client:
        if self.closed:
            # The loop would make a transport that its server, closed by now, never ends.
            raise ConnectionAbortedError("the service ends")
        return Client(self)

    def forget(self, client: Client) -> None:
        """A client is gone."""
        self.clients.discard(client)
        self._waiting.pop(client, None)

    def has_turn(self, client: Client) -> bool:
        """Whether the node's next step has room for a command; else the client goes on later."""
        if self._room:
            return True
        self._waiting[client] = None
        return False

    def propose(self, proposal: Proposal) -> None:
        """Give the node a command of one who has a turn."""
        self._propose(proposal)
        if self._room == MOST_A_TURN:
            # The node's task is woken before, so that the next turn comes after its step.
            asyncio.get_running_loop().call_soon(self._begin_turn)
        self._room -= 1

    def _begin_turn(self) -> None:
        self._room = MOST_A_TURN
        while self._waiting and self._room:
            client, _ = self._waiting.popitem(last=False)
            client.go_on()

    def will_flush(self, client: Client) -> None:
        """Let a client have its answers once the node's step is over, and all of them at once."""
        if not self._answered:
            asyncio.get_running_loop().call_soon(self._flush)
        self._answered.append(client)

    def _flush(self) -> None:
        answered, self._answered = self._answered, []
        for client in dict.fromkeys(answered):
            client.flush_and_go_on()

    async def close(self) -> None:
        """End every connection, and listen no more.

        Who is being accepted by a task of the loop's is hung up on as soon as that is done.
        """
        self.closed = True
        if self._server is not None:
            self._server.close()
        for client in list(self.clients):
            client.transport.abort()
            await client.lost.wait()
