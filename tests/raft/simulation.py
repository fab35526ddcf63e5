"""Whole clusters in virtual time, with everything that can go wrong.

A simulation is the network, the clock, the operator and the clients of a cluster, all
drawn from one seed, so that a failure can be replayed event by event.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from raft import Command, Message, Role
from raft.client import Applied, Outcome, Proposal

from .scenario import MILLISECOND
from .world import SimulatedServer, Violation, World

SECOND = 1000 * MILLISECOND


class Weather(NamedTuple):
    """How bad the network, the machines and the operator are; probabilities, nanoseconds."""

    drop: float = 0.0
    duplicate: float = 0.0
    delay_ns: tuple[int, int] = (1 * MILLISECOND, 5 * MILLISECOND)
    hesitation_ns: int = 20 * MILLISECOND
    """The most that a node waits before a step, so that more comes to be one step with it."""
    crash: float = 0.0
    """For each step of a node."""
    interference_ns: int | None = None
    """An operator crashes, restarts, cuts and heals about this often."""


class Client:
    """A session that counts its own key up, each step a compare-and-set, until told to stop.

    A step that was applied twice, or not at all though acknowledged, makes the next one fail.
    """

    def __init__(self, simulation: Simulation, number: int) -> None:
        self.name = f"client-{number}"
        self.serial = 1
        self.acknowledged = 0
        self.retries = 0
        self.stopped = False
        self._simulation = simulation
        self._attempt = 0

    def try_again(self) -> None:
        """Propose the present step to some node, and again after a while without an answer."""
        if self.stopped:
            return
        self._attempt += 1
        attempt = self._attempt
        expect = str(self.serial - 1) if self.serial > 1 else None
        command = Command("cas", self.name, str(self.serial), expect, self.name, self.serial)
        heard: list[Outcome] = []

        def done(outcome: Outcome) -> None:
            heard.append(outcome)
            if len(heard) > 1:
                raise Violation(f"{self.name} heard {heard} of one proposal")
            if attempt == self._attempt:
                self._answered(outcome)

        simulation = self._simulation
        simulation.propose(Proposal(command, done))
        simulation.later(400 * MILLISECOND, lambda: self._give_up(attempt))

    def _give_up(self, attempt: int) -> None:
        if attempt == self._attempt:
            self.retries += 1
            self.try_again()

    def _answered(self, outcome: Outcome) -> None:
        if isinstance(outcome, Applied):
            if outcome.result is not True:
                raise Violation(f"{self.name} was applied twice or not in order: {outcome}")
            entry = self._simulation.properties.committed[outcome.log_index - 1]
            if (entry.command.client, entry.command.serial) != (self.name, self.serial):
                raise Violation(f"{self.name} was acknowledged, but {entry} is committed")
            self.acknowledged = self.serial
            self.serial += 1
        self._attempt += 1
        self._simulation.later(self._simulation.draw_ns(0, 60 * MILLISECOND), self.try_again)


class Simulation(World):
    """A cluster in virtual time, with its network, its operator and its clients."""

    def __init__(
        self,
        nodes: int,
        seed: str,
        *,
        weather: Weather = Weather(),  # noqa: B008 (immutable)
        clients: int = 0,
        max_entries: int = 1024,
        window: int = 16,
    ) -> None:
        super().__init__(nodes, seed, max_entries, window)
        self.now_ns = 0
        self.events = 0
        self.weather = weather
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._group: dict[int, int] = {}
        for server in self.servers.values():
            self._set_timer(server)
        self.clients = [Client(self, number) for number in range(clients)]
        for client in self.clients:
            self.later(self.draw_ns(0, SECOND), client.try_again)
        if weather.interference_ns is not None:
            self.later(self.draw_ns(0, weather.interference_ns), self._interfere)

    # -- time --------------------------------------------------------------------------

    def later(self, after_ns: int, action: Callable[[], None]) -> None:
        """Let something happen `after_ns` from now."""
        heapq.heappush(self._agenda, (self.now_ns + after_ns, next(self._order), action))

    def draw_ns(self, low: int, high: int) -> int:
        """A random time."""
        return low + int((high - low) * self.random.random())

    def run_until(self, condition: Callable[[], bool], within_s: float) -> None:
        """Let time pass until `condition` is true; an AssertionError if it does not become so."""
        deadline_ns = self.now_ns + int(within_s * SECOND)
        while not condition():
            assert self._agenda, "nothing is left to happen"
            assert self._agenda[0][0] <= deadline_ns, f"not within {within_s} s: {self.describe()}"
            self._advance()

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        deadline_ns = self.now_ns + int(seconds * SECOND)
        while self._agenda and self._agenda[0][0] <= deadline_ns:
            self._advance()

    def _advance(self) -> None:
        self.now_ns, _, action = heapq.heappop(self._agenda)
        self.events += 1
        action()

    # -- nodes -------------------------------------------------------------------------

    def leader(self) -> SimulatedServer | None:
        """The server that leads the highest term, if one does."""
        leaders = [s for s in self.servers.values() if s.alive and s.node.role is Role.LEADER]
        return max(leaders, key=lambda s: s.node.term, default=None)

    def has_leader(self) -> bool:
        """Whether a server leads."""
        return self.leader() is not None

    def expire(self, server: SimulatedServer) -> None:
        """The timer of a server expires now."""
        server.deadline_ns = self.now_ns
        self._wake(server)

    def propose(self, proposal: Proposal) -> None:
        """Propose to a leader as a client finds one: perhaps a deposed one."""
        alive = [s for s in self.servers.values() if s.alive]
        leaders = [s for s in alive if s.node.role is Role.LEADER]
        if alive:
            server = self.random.choice(leaders or alive)
            server.proposals.append(proposal)
            self._wake(server)

    def _wake(self, server: SimulatedServer) -> None:
        """Let a server take what waits, soon."""
        if not server.stepping:
            server.stepping = True
            delay_ns = self.draw_ns(
                0, self.weather.hesitation_ns // self.random.choice((1, 20, 400))
            )
            self.later(delay_ns, self._if_alive(server, self._step))

    def _if_alive(
        self, server: SimulatedServer, action: Callable[[SimulatedServer], None]
    ) -> Callable[[], None]:
        """The action, unless the server's present life has ended by then."""
        node = server.node

        def act() -> None:
            if server.alive and server.node is node:
                action(server)

        return act

    def _step(self, server: SimulatedServer) -> None:
        """One step as the runtimes make it: messages, timer, proposals, then the duties."""
        server.stepping = False
        inbox, server.inbox = server.inbox, []
        for message in inbox:
            server.node.step(message)
            self.properties.check(server)
        if self.now_ns >= server.deadline_ns:
            server.node.timeout()
            self.properties.check(server)
        if server.proposals:
            proposals, server.proposals = server.proposals, []
            server.propose(proposals)
            self.properties.check(server)
        self._perform(server)

    def _perform(self, server: SimulatedServer) -> None:
        restarts = len(server.timers_ns)
        messages, lived = self.perform(server, self.weather.crash)
        self._send(messages)
        if not lived:
            self._crash(server)
        elif len(server.timers_ns) > restarts:
            self._set_timer(server)

    def _set_timer(self, server: SimulatedServer) -> None:
        timer_ns = server.timers_ns[-1]
        server.deadline_ns = self.now_ns + timer_ns
        self.later(timer_ns, self._if_alive(server, self._timer_rang))

    def _timer_rang(self, server: SimulatedServer) -> None:
        if self.now_ns >= server.deadline_ns:
            self._wake(server)

    def _crash(self, server: SimulatedServer) -> None:
        server.crash()
        self.later(self.draw_ns(0, 2 * SECOND), lambda: self._restart(server))

    def _restart(self, server: SimulatedServer) -> None:
        if not server.alive:
            server.begin()
            self.properties.check(server)
            self._set_timer(server)

    # -- network -----------------------------------------------------------------------

    def _send(self, messages: Iterable[Message]) -> None:
        weather, draw = self.weather, self.random.random
        for message in messages:
            if self._group.get(message.sender, 0) != self._group.get(message.to, 0):
                continue
            copies = 0 if draw() < weather.drop else 2 if draw() < weather.duplicate else 1
            for _ in range(copies):
                self.later(self.draw_ns(*weather.delay_ns), partial(self._arrive, message))

    def _arrive(self, message: Message) -> None:
        server = self.servers[message.to]
        if server.alive:
            server.inbox.append(message)
            self._wake(server)

    def _interfere(self) -> None:
        """The operator: cuts the network, heals it, or crashes a node."""
        if self.weather.interference_ns is None:
            return
        choice = self.random.random()
        if choice < 0.4:
            groups = self.random.choice((2, 2, 3))
            self._group = {n: self.random.randrange(groups) for n in self.servers}
        elif choice < 0.7:
            self._group = {}
        else:
            server = self.random.choice(list(self.servers.values()))
            if server.alive:
                self._crash(server)
        self.later(self.draw_ns(0, 2 * self.weather.interference_ns), self._interfere)

    def clear_up(self) -> None:
        """All faults stop: the network is whole, and every node is up."""
        self.weather = Weather()
        self._group = {}
        for server in self.servers.values():
            self._restart(server)

    # -- what a test asks --------------------------------------------------------------

    def has_settled(self) -> bool:
        """Whether one node leads, and all have applied all that it has."""
        leader = self.leader()
        return leader is not None and all(
            server.node.leader == leader.id
            and len(server.applied) == leader.node.log.last_index
            and server.terms == leader.terms
            for server in self.servers.values()
        )
