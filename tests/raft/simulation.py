"""Whole clusters of the pure core in virtual time, with everything that can go wrong.

A simulation is the network, the clock, the operator and the clients of a cluster, all
drawn from one seed, so that a failure can be replayed event by event. After every event
it holds the nodes to the Raft paper's safety properties (figure 3).
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from typing import NamedTuple

from raft import Command, Entry, HardState, Message, Ready, Role
from raft.client import Applied, Outcome, Proposal

from .scenario import MILLISECOND, Server, settings_of

SECOND = 1000 * MILLISECOND


class Violation(AssertionError):
    """A safety property does not hold."""


class Weather(NamedTuple):
    """How bad the network, the machines and the operator are; probabilities, nanoseconds."""

    drop: float = 0.0
    duplicate: float = 0.0
    delay_ns: tuple[int, int] = (1 * MILLISECOND, 5 * MILLISECOND)
    crash: float = 0.0
    """For each step of a node."""
    interference_ns: int | None = None
    """An operator crashes, restarts, cuts and heals about this often."""


class Boundary(Enum):
    """Where in its duties a node crashes."""

    BEFORE_SAVE = "before it saved"
    AFTER_SAVE = "after it saved, before it sent"
    WHILE_SENDING = "after it sent a part"
    AFTER_SENDING = "before it applied"


class Properties:
    """The safety properties, over all nodes and their lives."""

    def __init__(self) -> None:
        self._leaders: dict[int, int] = {}
        self._predecessors: dict[tuple[int, int], tuple[int, Command]] = {}
        self._seen: dict[int, tuple[Entry, ...]] = {}
        self.committed: list[Entry] = []

    def check(self, server: SimulatedServer) -> None:
        """Hold a node to them after an event."""
        node = server.node
        self._check_log(server)
        if node.role is Role.LEADER:
            holder = self._leaders.setdefault(node.term, server.id)
            if holder != server.id:
                raise Violation(f"nodes {holder} and {server.id} both lead term {node.term}")
            if not server.was_leader:
                self._check_completeness(server)
        server.was_leader = node.role is Role.LEADER
        before, server.commit_before = server.commit_before, node.commit_index
        if not before <= node.commit_index <= node.log.last_index:
            raise Violation(f"node {server.id} goes from commit index {before}: {describe(server)}")

    def _check_log(self, server: SimulatedServer) -> None:
        """Log matching: an entry's index and term say which it is, and what is before it."""
        log = server.node.log
        entries = log.slice(1, log.last_index)
        seen = self._seen.get(server.id, ())
        if entries == seen:
            return
        self._seen[server.id] = entries
        previous_term = 0
        for index, entry in enumerate(entries, 1):
            identity = (previous_term, entry.command)
            known = self._predecessors.setdefault((index, entry.term), identity)
            if known != identity:
                raise Violation(
                    f"two logs differ at or before {index}, of term {entry.term} in both"
                )
            if entry.term < previous_term:
                raise Violation(f"the log of node {server.id} falls in term at {index}")
            previous_term = entry.term

    def _check_completeness(self, server: SimulatedServer) -> None:
        """Leader completeness: a new leader has every entry that was ever committed."""
        log = server.node.log
        if list(log.slice(1, len(self.committed))) != self.committed:
            raise Violation(
                f"leader {server.id} of term {server.node.term} lacks a committed entry"
            )

    def check_committed(self, server: SimulatedServer) -> None:
        """All nodes commit the same entries. Checked after a save: nobody hears of it before."""
        log, committed = server.node.log, self.committed
        shared = min(server.node.commit_index, len(committed))
        if list(log.slice(1, shared)) != committed[:shared]:
            raise Violation(f"node {server.id} committed another entry than others did")
        committed += log.slice(shared + 1, server.node.commit_index)

    def check_durable(self, server: SimulatedServer, ready: Ready) -> None:
        """Durable before sent: when messages leave, a crash would take nothing back."""
        node = server.node
        if not ready.messages:
            return
        hard_state, entries = server.storage.load()
        if hard_state != HardState(node.term, node.voted_for):
            raise Violation(f"node {server.id} speaks with term and vote not saved")
        if tuple(entries) != node.log.slice(1, node.log.last_index):
            raise Violation(f"node {server.id} speaks with entries not saved")

    def check_applied(self, server: SimulatedServer) -> None:
        """State machine safety: every node applies the committed entries, in order, once."""
        applied = server.applied
        if applied != self.committed[: len(applied)]:
            raise Violation(f"node {server.id} applied something else than was committed")
        if server.machine.applied_index != len(applied):
            raise Violation(f"node {server.id} miscounts what it applied")


class SimulatedServer(Server):
    """A server with a mailbox, a timer, and what is remembered of it between two checks."""

    def begin(self) -> None:
        """Begin a life."""
        self.inbox: list[Message] = []
        self.proposals: list[Proposal] = []
        self.stepping = False
        self.deadline_ns = 0
        self.commit_before = 0
        self.was_leader = False
        super().begin()


class Client:
    """A session that counts its own key up, each step a compare-and-set, until told to stop.

    A step that was applied twice, or not at all though acknowledged, makes the next one fail.
    """

    def __init__(self, simulation: Simulation, number: int) -> None:
        self.name = f"client-{number}"
        self.serial = 1
        self.acknowledged = 0
        self._simulation = simulation
        self._attempt = 0

    def try_again(self) -> None:
        """Propose the present step to some node, and again after a while without an answer."""
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


class Simulation:
    """A cluster of `nodes` servers; `seed` decides everything that happens to it."""

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
        self.random = random.Random(seed)
        self.now_ns = 0
        self.events = 0
        self.crashes: dict[Boundary, int] = dict.fromkeys(Boundary, 0)
        self.weather = weather
        self.properties = Properties()
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._group: dict[int, int] = {}
        settings = settings_of(nodes, max_entries=max_entries, window=window)
        self.servers = {
            n: SimulatedServer(n, settings, draw=self.random.random) for n in settings.nodes
        }
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
        """Let a server take what waits, soon: what comes until then is one step with it."""
        if not server.stepping:
            server.stepping = True
            delay_ns = self.draw_ns(0, MILLISECOND) * self.random.choice((0, 1, 20))
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
        boundary = None
        if self.random.random() < self.weather.crash:
            boundary = self.random.choice(list(Boundary))
            self.crashes[boundary] += 1
        ready = server.node.ready()
        if boundary is Boundary.BEFORE_SAVE:
            self._crash(server)
            return
        server.save(ready)
        self.properties.check_durable(server, ready)
        self.properties.check_committed(server)
        if boundary is Boundary.AFTER_SAVE:
            self._crash(server)
            return
        messages = ready.messages
        if boundary is Boundary.WHILE_SENDING:
            messages = messages[: self.random.randrange(len(messages) + 1)]
        self._send(messages)
        if boundary is not None:
            self._crash(server)
            return
        server.apply(ready)
        self.properties.check_applied(server)
        if ready.timer_ns is not None:
            self._set_timer(server)

    def _set_timer(self, server: SimulatedServer) -> None:
        timer_ns = server.timers_ns[-1]
        server.deadline_ns = self.now_ns + timer_ns
        self.later(timer_ns, self._if_alive(server, self._timer_rang))

    def _timer_rang(self, server: SimulatedServer) -> None:
        if self.now_ns >= server.deadline_ns:
            self._wake(server)

    def _crash(self, server: SimulatedServer) -> None:
        proposals, server.proposals = server.proposals, []
        server.crash()
        # Proposals that waited are lost with the mailbox; their clients ask again.
        del proposals
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

    def describe(self) -> str:
        """The nodes, in an error."""
        return "; ".join(map(describe, self.servers.values()))


def describe(server: Server) -> str:
    """A server, in an error."""
    node = server.node
    return (
        f"node {server.id} is {node.role.value if server.alive else 'crashed'} of term {node.term},"
        f" commit index {node.commit_index}, last index {node.log.last_index}"
    )
