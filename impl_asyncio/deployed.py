"""One node on asyncio whose peers are programs of their own: a task, and connections beside it."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from raftmark.impl_asyncio.cluster import AsyncioCluster
from raftmark.impl_asyncio.network import Network, NetworkTransport
from raftmark.impl_asyncio.service import Service
from raftmark.impl_asyncio.transport import Transport
from raftmark.raft.client import Proposal
from raftmark.raft.cluster import ClusterConfig, Events
from raftmark.raft.deployed import Address, DeployedNode, Site
from raftmark.raft.errors import Unavailable
from raftmark.raft.messages import Message


class AsyncioNode(DeployedNode, AsyncioCluster):
    """The event loop has one node's task, and its connections."""

    def __init__(
        self,
        config: ClusterConfig,
        events: Events,
        site: Site,
        new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    ) -> None:
        super().__init__(config, events, new_loop)
        self.site = site
        self._network = Network(site, config.seed, self._deliver, events.refused)
        self._service = Service(site, self._propose, self._network.refusals)
        self._loop.set_exception_handler(self._go_wrong)

    def listen(self) -> Address:
        """Start the event loop, and listen in it."""
        return self._begin(self._network.listen())

    def introduce(self, peers: Mapping[int, Address]) -> None:
        """Let the network dial them."""
        self._run(self._network.introduce(peers))

    def open_service(self, address: Address) -> Address:
        """Listen for clients in the event loop."""
        return self._run(self._service.listen(address))

    def tell_services(self, addresses: Mapping[int, str]) -> None:
        """Tell the clients' connections."""
        self._loop.call_soon_threadsafe(self._service.port.tell, addresses)

    def _go_wrong(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take what the event loop has nobody else to tell of."""
        error = context.get("exception")
        if isinstance(error, OSError) and "socket" in context:
            # The machine has no more files for who connects; the loop accepts again in a second.
            self._network.refusals.tell(None, f"a connection cannot be taken: {error}")
        else:
            loop.default_exception_handler(context)

    async def _stop(self) -> None:
        await self._service.close()
        await self._network.close()
        await super()._stop()

    def _propose(self, proposal: Proposal) -> None:
        node = self._nodes.get(self.site.node)
        if node is not None:
            node.propose(proposal)
        else:
            proposal.done(Unavailable(f"node {self.site.node} is down"))

    def _deliver(self, message: Message) -> None:
        mailbox = self._mailboxes.get(self.site.node)
        if mailbox is not None:
            mailbox.deliver(message)

    def _transport(self, node_id: int) -> Transport:
        return NetworkTransport(self._network, self._links[node_id])
