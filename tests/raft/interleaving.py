"""Clusters without time: at each step anything that could happen next may.

Real clusters rarely go where the paper's figure 8 goes; this one does soon. There is
nothing to wait for, so nothing is promised of it but safety.
"""

from __future__ import annotations

from raft import Command, Message, Role
from raft.client import Outcome, Proposal

from .world import SimulatedServer, World

# Found by trying which soonest lead a node that counts old entries (§5.4.2) astray.
CHANGE_OF_SCENE = 0.06
TIMEOUT = 0.08
PROPOSAL = 0.08
LOSS = 0.02
REPETITION = 0.2
DELAY = 0.2
CRASH = 0.01
FRESH = 0.95
RECENT = 3
MOST_UNDER_WAY = 40


class Interleaving(World):
    """A cluster, its network, and chance.

    Now and then the scene changes: only some of the nodes are on it, and for as long the
    others neither hear nor do anything.
    """

    def __init__(self, nodes: int, seed: str) -> None:
        super().__init__(nodes, seed, max_entries=1, window=2)
        self._on_scene = list(self.servers.values())
        self._under_way: list[Message] = []
        self._proposed = 0

    def step(self) -> None:
        """Something happens."""
        draw = self.random.random
        if draw() < CHANGE_OF_SCENE:
            count = self.random.randint(-(-len(self.servers) // 2), len(self.servers))
            self._on_scene = self.random.sample(list(self.servers.values()), count)
        server = self.random.choice(self._on_scene)
        if not server.alive:
            server.begin()
            self.properties.check(server)
        elif draw() < TIMEOUT:
            server.node.timeout()
            self._happened(server)
        elif draw() < PROPOSAL and server.node.role is Role.LEADER:
            self._proposed += 1
            command = Command("set", "key", str(self._proposed))
            heard: list[Outcome] = []
            server.propose([Proposal(command, heard.append)])
            self._happened(server)
        else:
            self._deliver()

    def _deliver(self) -> None:
        """A message arrives, in no order; it may arrive again, or never."""
        draw = self.random.random
        on_scene = {server.id for server in self._on_scene if server.alive}
        positions = [
            position
            for position, message in enumerate(self._under_way)
            if {message.sender, message.to} <= on_scene
        ]
        if not positions:
            return
        # The old ones stay about, to arrive at the worst moment.
        position = self.random.choice(positions[-RECENT:] if draw() < FRESH else positions)
        message = self._under_way[position]
        if draw() >= REPETITION:
            del self._under_way[position]
        if draw() >= LOSS:
            server = self.servers[message.to]
            server.node.step(message)
            self._happened(server)

    def _happened(self, server: SimulatedServer) -> None:
        """Something has happened to a server: now or later, it does what is to be done."""
        self.properties.check(server)
        if self.random.random() < DELAY:
            return
        messages, lived = self.perform(server, CRASH)
        self._under_way = [*self._under_way, *messages][-MOST_UNDER_WAY:]
        if not lived:
            server.crash()
