"""A node in a program of its own, on threads: its peers are at the end of connections."""

import contextlib
import socket
from collections.abc import Mapping

from raftmark.impl_threading.cluster import ThreadCluster
from raftmark.impl_threading.network import Acceptor, Sender
from raftmark.impl_threading.service import Service
from raftmark.impl_threading.transport import Delayed, Transport
from raftmark.raft.client import Proposal
from raftmark.raft.cluster import ClusterConfig, Events
from raftmark.raft.connections import (
    Backoff,
    Refusals,
    address_of,
    identity_of,
    open_client_port,
    open_listener,
)
from raftmark.raft.deployed import Address, DeployedNode, Site
from raftmark.raft.errors import Unavailable
from raftmark.raft.links import Links
from raftmark.raft.messages import Message


class NetworkTransport(Transport):
    """A node's sending side, where its peers are at the end of connections."""

    def __init__(self, senders: Mapping[int, Sender], links: Links) -> None:
        super().__init__(senders, links)
        self._senders = senders

    @property
    def sent_bytes(self) -> int:
        """Of all frames, their headers included."""
        return sum(sender.bytes for sender in list(self._senders.values()))


class ThreadNode(DeployedNode, ThreadCluster):
    """One node as a thread, and the threads of its connections."""

    def __init__(self, config: ClusterConfig, events: Events, site: Site) -> None:
        super().__init__(config, events)
        self.site = site
        self._identity = identity_of(site)
        self._refusals = Refusals(site.node, events.refused)
        self._senders: dict[int, Sender] = {}
        self._listener: socket.socket | None = None
        self._acceptor: Acceptor | None = None
        self._service: Service | None = None

    def listen(self) -> Address:
        """Listen; who connects waits until this node knows its peers."""
        self._listener = open_listener(self.site)
        return address_of(self._listener)

    def introduce(self, peers: Mapping[int, Address]) -> None:
        """Start or end the threads that speak to a peer."""
        for peer in self._senders.keys() - peers.keys():
            self._senders.pop(peer).close()
            if self._acceptor is not None:
                self._acceptor.part(peer)
        try:
            for peer, address in peers.items():
                if peer in self._senders:
                    self._senders[peer].redirect(address)
                else:
                    self._senders[peer] = self._sender(peer, address)
            if self._acceptor is None:
                self._acceptor = self._accept()
        except (OSError, RuntimeError) as error:
            raise Unavailable(f"the machine has no thread for a connection: {error}") from error

    def open_service(self, address: Address) -> Address:
        """Start the thread that accepts clients."""
        listener = open_client_port(self.site, address)
        try:
            self._service = Service(self.site, listener, self._propose, self._refusals)
        except (OSError, RuntimeError) as error:
            listener.close()
            raise Unavailable(f"the machine has no thread for clients: {error}") from error
        return address_of(listener)

    def tell_services(self, addresses: Mapping[int, str]) -> None:
        """Tell the clients' threads."""
        if self._service is not None:
            self._service.port.tell(addresses)

    def stop(self) -> None:
        """End every thread."""
        super().stop()
        if self._service is not None:
            self._service.close()
        if self._acceptor is not None:
            self._acceptor.close()
        if self._listener is not None:
            self._listener.close()
        for sender in self._senders.values():
            sender.close()

    def _sender(self, peer: int, address: Address) -> Sender:
        backoff = Backoff(self._config.seed, self.site.node, peer)
        return Sender(self._identity, peer, address, backoff, self._refusals)

    def _accept(self) -> Acceptor:
        assert self._listener is not None
        return Acceptor(
            self._listener,
            self._identity,
            self._senders.__contains__,
            self._hear,
            self._keep_pace,
            self._refusals,
        )

    def _transport(self, node_id: int) -> Transport:
        return NetworkTransport(self._senders, self._links[node_id])

    def _propose(self, proposal: Proposal) -> None:
        node = self._nodes.get(self.site.node)
        if node is not None:
            node.submit(proposal)
        else:
            proposal.done(Unavailable(f"node {self.site.node} is down"))

    def _hear(self, message: Message | Delayed) -> None:
        """A message has come; without a life it is lost."""
        mailbox = self._mailboxes.get(self.site.node)
        if mailbox is not None:
            mailbox.deliver(message)

    def _keep_pace(self) -> None:
        """Wait until the node's thread has taken what has come so far."""
        node = self._nodes.get(self.site.node)
        if node is not None:
            with contextlib.suppress(Unavailable):  # Its life is over: what comes is lost.
                node.call(lambda _server: None)
