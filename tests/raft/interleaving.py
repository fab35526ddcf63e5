"""Clusters without time: at each step anything that could happen next may.

Real clusters rarely go where the paper's figure 8 goes; this one does soon. There is
nothing to wait for, so nothing is promised of it but safety.
"""

from __future__ import annotations

from collections.abc import Callable

from raftmark.raft import Command, Message, Role, Settings
from raftmark.raft.messages import ADD_SERVER, REMOVE_SERVER

from .world import SimulatedServer, World, describe

# Found by trying which soonest lead a node that counts old entries (§5.4.2) astray.
CHANGE_OF_SCENE = 0.06
TIMEOUT = 0.08
REQUEST = 0.12
LOSS = 0.02
REPETITION = 0.2
DELAY = 0.2
CRASH = 0.01
FRESH = 0.95
RECENT = 3
MOST_UNDER_WAY = 40
MOST_SERVERS = 7


class Interleaving(World):
    """A cluster, its network, its clients and operator, and chance.

    Now and then the scene changes: only some of the nodes are on it, and for as long the
    others neither hear nor do anything.
    """

    def __init__(
        self, settings: Settings, seed: str, trace: Callable[[str], None] | None = None
    ) -> None:
        super().__init__(settings, seed)
        self._trace = trace
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
            self._tell(f"node {server.id} begins a new life")
            server.begin()
            self.properties.check(server)
        elif draw() < TIMEOUT:
            self._tell(f"the timer of node {server.id} expires")
            self.time_out(server)
            self._happened(server)
        elif draw() < REQUEST and server.node.role is Role.LEADER:
            self._request(server)
            self._happened(server)
        else:
            self._deliver()

    def _request(self, leader: SimulatedServer) -> None:
        """A client or the operator asks something of a leader."""
        choice = self.random.random()
        key = f"key-{self.random.randrange(3)}"
        members = leader.node.log.configuration.members
        if choice < 0.5:
            self._proposed += 1
            self._propose(leader, Command("set", key, str(self._proposed)))
        elif choice < 0.7:
            self._tell(f"node {leader.id} is asked for {key}")
            leader.read([self.query(key)])
        elif choice < 0.8:
            self._tell(f"node {leader.id} compacts its log")
            leader.node.take_snapshot(leader.machine.items(), keep_tail=False)
        elif choice < 0.85:
            to = self.random.choice(members)
            self._tell(f"node {leader.id} is to hand over to {to}")
            leader.node.transfer(to)
        elif choice < 0.93 and len(self.servers) < MOST_SERVERS:
            joining = [n for n in self.servers if n not in self.properties.members]
            removed = self.removed()
            if joining:
                server = self.servers[joining[0]]
            elif removed and self.random.random() < 0.5:
                server = self.come_back(self.random.choice(removed))
                self._tell(f"node {server.id} comes back")
                self.properties.check(server)
            else:
                server = self.join()
            self._on_scene.append(server)
            self._propose(leader, Command(ADD_SERVER, str(server.id)))
        else:
            self._propose(leader, Command(REMOVE_SERVER, str(self.random.choice(members))))

    def _propose(self, leader: SimulatedServer, command: Command) -> None:
        self._tell(f"node {leader.id} is asked for {command}")
        leader.propose([self.proposal(command)])

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
            self._tell(f"node {server.id} hears {message}")
            server.node.step(message)
            self._happened(server)

    def _happened(self, server: SimulatedServer) -> None:
        """Something has happened to a server: now or later, it does what is to be done."""
        self.properties.check(server)
        if self.random.random() < DELAY:
            return
        messages, lived = self.perform(server, CRASH)
        self._under_way = [*self._under_way, *messages][-MOST_UNDER_WAY:]
        self._tell(describe(server))
        if not lived:
            self._tell(f"node {server.id} crashes")
            server.crash()

    def _tell(self, what: str) -> None:
        if self._trace is not None:
            self._trace(what)
