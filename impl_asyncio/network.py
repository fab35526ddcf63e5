"""Messages between node programs on asyncio: a protocol for each connection, all in the loop.

A node sends on the connections that it dials, and receives on those that it accepts. What it
sends to a peer in one step leaves in one write; what a peer does not take waits in a
bounded backlog, and while there is no connection messages are lost, as Raft lets any be.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from raftmark.impl_asyncio.transport import Receiver, Transport
from raftmark.raft.cluster import Refusal
from raftmark.raft.connections import (
    READ_SIZE,
    Backoff,
    Refusals,
    address_of,
    identity_of,
    open_listener,
    prepare,
)
from raftmark.raft.deployed import Address, Site
from raftmark.raft.handshake import HANDSHAKE_S, MAX_HANDSHAKES, Dialler, Identity, Listener
from raftmark.raft.links import MAX_HELD, Links
from raftmark.raft.messages import Message
from raftmark.raft.wire import FrameError, Outgoing, encode

WRITE_SIZE = 1 << 18
"""Bytes that are given to the system at once; what waits behind them can still be overtaken."""


class Connection(asyncio.BufferedProtocol):
    """Either end of a connection, from its handshake to its end.

    It reads into one buffer of its own: asyncio's default, a new one of 256 KiB for each read,
    costs half of the speed.
    """

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self.transport = cast(asyncio.Transport, transport)
        prepare(transport.get_extra_info("socket"))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read to."""
        return self._buffer

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone, by either end."""
        self.lost.set()


class Dialled(Connection):
    """A connection that was dialled, over which frames leave once the peer has welcomed it."""

    def __init__(self, own: Identity, to: int, frames: Outgoing) -> None:
        super().__init__()
        self._dialler = Dialler(own, to)
        self._frames = frames
        self._full = False
        self.welcome: asyncio.Future[None] = self._loop.create_future()
        self.error: FrameError | None = None
        """What is wrong with what the peer has said."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who wants to speak, and to whom."""
        super().connection_made(transport)
        self.transport.write(self._dialler.take_output())

    def buffer_updated(self, nbytes: int) -> None:
        """The listener answers the handshake, and says nothing afterwards."""
        try:
            self._dialler.receive(self._buffer[:nbytes])
        except FrameError as error:
            self.error = error
            self._fail(error)
            return
        self.transport.write(self._dialler.take_output())
        if self._dialler.welcome and not self.welcome.done():
            self.welcome.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Whoever waits for a welcome hears that there is none."""
        if not self.welcome.done():
            self._fail(error or ConnectionResetError())
        super().connection_lost(error)

    def _fail(self, error: Exception) -> None:
        if not self.welcome.done():
            self.welcome.set_exception(error)
        self.transport.abort()

    def flush(self) -> None:
        """Send what waits, all of it in one write, as far as the peer takes it.

        Not by `writelines`, which tells nobody that the peer takes no more in some versions of
        CPython (3.12.0 to 3.12.8, 3.13.0 and 3.13.1): all that there is to send would wait in the
        transport, without bound.
        """
        frames = self._frames
        while frames and not self._full and not self.transport.is_closing():
            self.transport.write(frames.take(WRITE_SIZE))

    def pause_writing(self) -> None:
        """The peer does not take what it is sent."""
        self._full = True

    def resume_writing(self) -> None:
        """The peer has taken it."""
        self._full = False
        self.flush()


class Sender:
    """A peer: dials it for as long as it is one, and sends it messages while that succeeds."""

    def __init__(
        self, own: Identity, peer: int, address: Address, backoff: Backoff, refusals: Refusals
    ) -> None:
        self.address = address
        self.bytes = 0
        self._own = own
        self._peer = peer
        self._backoff = backoff
        self._refusals = refusals
        self._frames = Outgoing()
        self._connection: Dialled | None = None
        self._dialling = asyncio.create_task(self._dial(), name=f"dials-{peer}")

    def deliver(self, message: Message) -> None:
        """Have a message sent by the next `flush`, or lose it."""
        if self._connection is not None:
            frame = encode(message)
            self.bytes += len(frame)
            self._frames.queue(message, frame)

    def flush(self) -> None:
        """Send what was delivered."""
        if self._frames and self._connection is not None:
            self._connection.flush()

    async def close(self) -> None:
        """Hang up."""
        self._dialling.cancel()
        await asyncio.wait([self._dialling])

    async def _dial(self) -> None:
        while True:
            try:
                await self._connect()
            except FrameError as error:
                self._refusals.tell(self._peer, str(error))
            except OSError:  # Nobody listens there, or has answered the handshake in time.
                pass
            await asyncio.sleep(self._backoff.next_s())

    async def _connect(self) -> None:
        """Have a connection until it is lost."""
        dialled: Dialled | None = None

        def protocol() -> Dialled:
            nonlocal dialled
            dialled = Dialled(self._own, self._peer, self._frames)
            return dialled

        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                _, connection = await loop.create_connection(protocol, *self.address)
                await connection.welcome
            self._backoff.reset()
            self._connection = connection
            await connection.lost.wait()
            if connection.error is not None:
                raise connection.error
        finally:
            self._connection = None
            self._frames.clear()
            if dialled is not None and dialled.transport is not None:
                dialled.transport.abort()
                await dialled.lost.wait()


class Accepted(Connection):
    """A connection that a peer has dialled, or somebody else who has to show who it is."""

    def __init__(self, network: "Network") -> None:
        super().__init__()
        self._network = network
        self._listener = Listener(network.identity, network.knows)
        self._deadline = self._loop.call_later(HANDSHAKE_S, self._be_too_late)

    @property
    def peer(self) -> int | None:
        """Who it is, once that is shown."""
        return self._listener.peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody dials."""
        super().connection_made(transport)
        self._network.add(self)

    def buffer_updated(self, nbytes: int) -> None:
        """Take what the peer says; who says what no peer would is hung up on."""
        was = self.peer
        try:
            for delay_ns, message in self._listener.receive(self._buffer[:nbytes]):
                if delay_ns and self._network.held < MAX_HELD:
                    self._network.held += 1
                    self._deliver_at(time.monotonic_ns() + delay_ns, message)
                elif not delay_ns:
                    self._network.deliver(message)
        except FrameError as error:
            self.transport.write(self._listener.take_output())
            self.hang_up(str(error))
            return
        if self.peer != was:
            self._deadline.cancel()
            self._network.welcome(self)
        if output := self._listener.take_output():
            self.transport.write(output)

    def _deliver_at(self, due_ns: int, message: Message) -> None:
        """Deliver a message when it is due; uvloop may call up to a millisecond early."""
        remaining_ns = due_ns - time.monotonic_ns()
        if remaining_ns > 0:
            self._loop.call_later(remaining_ns / 1e9, self._deliver_at, due_ns, message)
        else:
            self._network.held -= 1
            self._network.deliver(message)

    def _be_too_late(self) -> None:
        self.hang_up("no handshake in time")

    def hang_up(self, reason: str) -> None:
        """End the connection, and tell why."""
        self._network.refusals.tell(self.peer, reason)
        self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """The peer is gone, or was hung up on."""
        self._deadline.cancel()
        self._network.remove(self)
        super().connection_lost(error)


class Network:
    """A node's listener and its peers, through all its lives. All of it in the event loop.

    `deliver` takes each message that comes.
    """

    def __init__(
        self,
        site: Site,
        seed: int,
        deliver: Callable[[Message], None],
        refused: Callable[[Refusal], None],
    ) -> None:
        self.identity = identity_of(site)
        self.refusals = Refusals(site.node, refused)
        self.deliver = deliver
        self.senders: dict[int, Sender] = {}
        self.held = 0
        """How many messages wait because of slow links."""
        self._site = site
        self._seed = seed
        self._former_bytes = 0
        self._accepted: set[Accepted] = set()
        self._server: asyncio.Server | None = None

    @property
    def sent_bytes(self) -> int:
        """Of all frames, their headers included; to former peers too."""
        return self._former_bytes + sum(sender.bytes for sender in self.senders.values())

    async def listen(self) -> Address:
        """Listen where the site says; where that is. BadRequest or Unavailable if it cannot be.

        Who connects waits until this node knows its peers.
        """
        listener = open_listener(self._site)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Accepted(self), sock=listener, start_serving=False
        )
        return address_of(listener)

    async def introduce(self, peers: Mapping[int, Address]) -> None:
        """Dial these peers from now on, and no others."""
        for peer in [n for n, sender in self.senders.items() if peers.get(n) != sender.address]:
            former = self.senders.pop(peer)
            self._former_bytes += former.bytes
            await former.close()
        for connection in [c for c in self._accepted if c.peer and c.peer not in peers]:
            connection.transport.abort()
        for peer in peers.keys() - self.senders.keys():
            backoff = Backoff(self._seed, self._site.node, peer)
            self.senders[peer] = Sender(self.identity, peer, peers[peer], backoff, self.refusals)
        if self._server is not None:
            await self._server.start_serving()

    async def close(self) -> None:
        """End every connection, and listen no more."""
        if self._server is not None:
            self._server.close()
        for sender in self.senders.values():
            await sender.close()
        for connection in list(self._accepted):
            connection.transport.abort()
            await connection.lost.wait()

    # -- for accepted connections ------------------------------------------------------

    def knows(self, node: int) -> bool:
        """Whether a node is a peer."""
        return node in self.senders

    def add(self, connection: Accepted) -> None:
        """Somebody has dialled: one of too many that have not shown who they are is sent away."""
        self._accepted.add(connection)
        if sum(each.peer is None for each in self._accepted) > MAX_HANDSHAKES:
            connection.hang_up("too many at once have not shown who they are")

    def welcome(self, connection: Accepted) -> None:
        """A peer has dialled again, so that its connection of before is of no use."""
        for earlier in self._accepted - {connection}:
            if earlier.peer == connection.peer:
                earlier.transport.abort()

    def remove(self, connection: Accepted) -> None:
        """A connection is gone."""
        self._accepted.discard(connection)


class NetworkTransport(Transport):
    """The sending side of a node whose peers are programs."""

    def __init__(self, network: Network, links: Links) -> None:
        super().__init__(network.senders, links)
        self._network = network

    @property
    def sent_bytes(self) -> int:
        """The network's, through all lives of the node."""
        return self._network.sent_bytes

    def send(self, messages: Iterable[Message]) -> None:
        """Send each message, and what goes to one peer in one write.

        At once: to leave that to the loop's next turn would be one turn more for each step.
        """
        super().send(messages)
        self._flush()

    def _delay(self, due_ns: int, mailbox: Receiver, message: Message) -> None:
        super()._delay(due_ns, mailbox, message)
        self._flush()

    def _flush(self) -> None:
        for sender in self._network.senders.values():
            sender.flush()
