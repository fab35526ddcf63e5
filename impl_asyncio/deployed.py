"""One node on asyncio whose peers are programs of their own: a task, and connections beside it."""

import asyncio
from collections.abc import Callable, Mapping

from raftmark.impl_asyncio.cluster import AsyncioCluster
from raftmark.impl_asyncio.network import Network, NetworkTransport
from raftmark.impl_asyncio.transport import Transport
from raftmark.raft.cluster import ClusterConfig, Events
from raftmark.raft.deployed import Address, DeployedNode, Site
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

    def listen(self) -> Address:
        """Start the event loop, and listen in it."""
        return self._begin(self._network.listen())

    def introduce(self, peers: Mapping[int, Address]) -> None:
        """Let the network dial them."""
        self._run(self._network.introduce(peers))

    async def _stop(self) -> None:
        await self._network.close()
        await super()._stop()

    def _deliver(self, message: Message) -> None:
        mailbox = self._mailboxes.get(self.site.node)
        if mailbox is not None:
            mailbox.deliver(message)

    def _transport(self, node_id: int) -> Transport:
        return NetworkTransport(self._network, self._links[node_id])
