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

from raftmark.raft import Command, Message, Role, Settings
from raftmark.raft.client import Applied, Outcome, Proposal, Query, Value
from raftmark.raft.errors import RaftError
from raftmark.raft.messages import ADD_SERVER, REMOVE_SERVER, InstallSnapshot

from .scenario import MILLISECOND
from .world import SimulatedServer, Violation, World

SECOND = 1000 * MILLISECOND

MOST_MEMBERS = 7


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
    """Someone crashes and pauses nodes, cuts and heals the network about this often."""
    administration_ns: int | None = None
    """The operator changes members, transfers the leadership, or compacts about this often."""


class Client:
    """A session that counts its own key up, each step a compare-and-set, until told to stop.

    A step that was applied twice, or not at all though acknowledged, makes the next one fail.
    Between its steps it reads how far it or another one has come.
    """

    def __init__(self, simulation: Simulation, number: int) -> None:
        self.name = f"client-{number}"
        self.serial = 1
        self.acknowledged = 0
        self.reads = 0
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

        def done(outcome: Outcome) -> None:
            if attempt == self._attempt:
                self._answered(outcome)

        simulation = self._simulation
        simulation.propose(simulation.proposal(command, done))
        if simulation.random.random() < 0.5:
            self._read(simulation.random.choice(simulation.clients))
        simulation.later(400 * MILLISECOND, lambda: self._give_up(attempt))

    def _read(self, other: Client) -> None:
        """Read a key, once: whoever gets no answer asks for another one, sooner or later."""
        least = other.acknowledged

        def done(answer: Value | RaftError) -> None:
            if isinstance(answer, Value):
                self.reads += 1
                if not least <= int(answer.value or 0) <= other.serial:
                    raise Violation(
                        f"{self.name} read {answer.value!r} of {other.name}, which had gone from"
                        f" {least} to at most {other.serial}"
                    )

        self._simulation.read(self._simulation.query(other.name, done))

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
    """A cluster in virtual time, with its network, its operator and its clients.

    `trace` is told of everything that happens.
    """

    def __init__(
        self,
        settings: Settings,
        seed: str,
        *,
        weather: Weather = Weather(),  # noqa: B008 (immutable)
        clients: int = 0,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(settings, seed)
        self.now_ns = 0
        self.events = 0
        self.weather = weather
        self._trace = trace
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._cut: set[tuple[int, int]] = set()
        self._switched_off: set[int] = set()
        self._back: set[int] = set()
        """Those who were removed and are to be members again."""
        for server in self.servers.values():
            self._set_timer(server)
        self.clients = [Client(self, number) for number in range(clients)]
        for client in self.clients:
            self.later(self.draw_ns(0, SECOND), client.try_again)
        if weather.interference_ns is not None:
            self.later(self.draw_ns(0, weather.interference_ns), self._interfere)
        if weather.administration_ns is not None:
            self.later(self.draw_ns(0, weather.administration_ns), self._administer)
            self.later(SECOND, self._switch_removed_off)

    # -- time --------------------------------------------------------------------------

    def later(self, after_ns: int, action: Callable[[], None]) -> None:
        """Let something happen `after_ns` from now."""
        heapq.heappush(self._agenda, (self.now_ns + after_ns, next(self._order), action))

    def draw_ns(self, low: int, high: int) -> int:
        """A random time."""
        return low + int((high - low) * self.random.random())

    def run_until(self, condition: Callable[[], bool], within_s: float) -> None:
        """Let time pass until a condition holds, which it must before long."""
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

    def _tell(self, what: str) -> None:
        if self._trace is not None:
            self._trace(f"{self.now_ns / SECOND:10.6f} s  {what}")

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
        server = self._ask_someone()
        if server is not None:
            server.proposals.append(proposal)

    def read(self, query: Query) -> None:
        """Read from a leader as a client finds one: perhaps a deposed one."""
        server = self._ask_someone()
        if server is not None:
            server.queries.append(query)

    def _ask_someone(self) -> SimulatedServer | None:
        alive = [s for s in self.servers.values() if s.alive]
        leaders = [s for s in alive if s.node.role is Role.LEADER]
        if not alive:
            return None
        server = self.random.choice(leaders or alive)
        self._wake(server)
        return server

    def _wake(self, server: SimulatedServer) -> None:
        """Let a server take what waits, soon, or once it is no longer paused."""
        if not server.stepping:
            server.stepping = True
            delay_ns = self.draw_ns(
                0, self.weather.hesitation_ns // self.random.choice((1, 20, 400))
            )
            paused_ns = max(0, server.resumes_ns - self.now_ns)
            self.later(paused_ns + delay_ns, self._if_alive(server, self._step))

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
        """One step as the runtimes make it: messages, timer, clients, then the duties."""
        if server.resumes_ns > self.now_ns:
            self.later(server.resumes_ns - self.now_ns, self._if_alive(server, self._step))
            return
        server.stepping = False
        inbox, server.inbox = server.inbox, []
        for message in inbox:
            self._tell(f"node {server.id} hears {message}")
            server.node.step(message)
            self.properties.check(server)
        if self.now_ns >= server.deadline_ns:
            self._tell(f"the timer of node {server.id} expires")
            self.time_out(server)
        requests, server.requests = server.requests, []
        for request in requests:
            request()
        if server.proposals:
            proposals, server.proposals = server.proposals, []
            self._tell(f"node {server.id} is asked for {[each.command for each in proposals]}")
            server.propose(proposals)
        if server.queries:
            queries, server.queries = server.queries, []
            self._tell(f"node {server.id} is asked for {[each.key for each in queries]}")
            server.read(queries)
        self.properties.check(server)
        self._perform(server)

    def _perform(self, server: SimulatedServer) -> None:
        restarts = len(server.timers_ns)
        messages, lived = self.perform(server, self.weather.crash)
        self._send(messages)
        self._tell(describe_briefly(server))
        if not lived:
            self._crash(server)
            return
        if len(server.timers_ns) > restarts:
            self._set_timer(server)

    def _set_timer(self, server: SimulatedServer) -> None:
        timer_ns = server.timers_ns[-1]
        server.deadline_ns = self.now_ns + timer_ns
        self.later(timer_ns, self._if_alive(server, self._timer_rang))

    def _timer_rang(self, server: SimulatedServer) -> None:
        if self.now_ns >= server.deadline_ns:
            self._wake(server)

    def _crash(self, server: SimulatedServer) -> None:
        self._tell(f"node {server.id} crashes")
        server.crash()
        self.later(self.draw_ns(0, 2 * SECOND), lambda: self._restart(server))

    def _restart(self, server: SimulatedServer) -> None:
        if not server.alive and server.id not in self._switched_off:
            self._tell(f"node {server.id} begins a new life")
            server.begin()
            if server.id in self._back.intersection(self.removed()):
                server.node.join()
            self.properties.check(server)
            self._set_timer(server)

    # -- network -----------------------------------------------------------------------

    def _send(self, messages: Iterable[Message]) -> None:
        weather, draw = self.weather, self.random.random
        for message in messages:
            if (message.sender, message.to) in self._cut:
                copies = 0
            else:
                copies = 0 if draw() < weather.drop else 2 if draw() < weather.duplicate else 1
            if type(message) is InstallSnapshot:
                self.counts["pieces sent"] += 1
                self.counts["pieces lost"] += copies == 0
                self.counts["pieces after the first"] += message.offset > 0
            for _ in range(copies):
                self.later(self.draw_ns(*weather.delay_ns), partial(self._arrive, message))

    def _arrive(self, message: Message) -> None:
        server = self.servers[message.to]
        if server.alive:
            server.inbox.append(message)
            self._wake(server)

    def _interfere(self) -> None:
        """Cut the network, heal it, pause a node or crash one."""
        if self.weather.interference_ns is None:
            return
        choice = self.random.random()
        ways = list(itertools.permutations(self.servers, 2))
        server = self.random.choice(list(self.servers.values()))
        if choice < 0.3:
            groups = self.random.choice((2, 2, 3))
            group = {n: self.random.randrange(groups) for n in self.servers}
            self._cut = {(a, b) for a, b in ways if group[a] != group[b]}
        elif choice < 0.4:
            self._cut = {way for way in ways if self.random.random() < 0.3}
        elif choice < 0.65:
            self._cut = set()
        elif choice < 0.8:
            self._tell(f"node {server.id} is paused")
            server.resumes_ns = self.now_ns + self.draw_ns(0, SECOND)
        elif server.alive:
            self._crash(server)
        self.later(self.draw_ns(0, 2 * self.weather.interference_ns), self._interfere)

    def clear_up(self) -> None:
        """All faults stop: the network is whole, and every node is up and runs."""
        self._tell("all faults stop")
        self.weather = Weather()
        self._cut = set()
        for server in self.servers.values():
            server.resumes_ns = self.now_ns
            self._restart(server)

    # -- the operator ------------------------------------------------------------------

    def _administer(self) -> None:
        """Transfer the leadership, compact a log, add a server or remove one."""
        if self.weather.administration_ns is None:
            return
        leader = self.leader()
        choice = self.random.random()
        if choice < 0.2:
            server = self.random.choice(list(self.servers.values()))
            self._ask(server, partial(self._compact, server))
        elif leader is None:
            pass
        elif choice < 0.45:
            to = self.random.choice(leader.node.log.configuration.members)
            self._ask(leader, partial(self._transfer, leader, to))
        elif choice < 0.75:
            self._add()
        else:
            self._remove()
        self.later(self.draw_ns(0, 2 * self.weather.administration_ns), self._administer)

    def _ask(self, server: SimulatedServer, request: Callable[[], None]) -> None:
        if server.alive:
            server.requests.append(request)
            self._wake(server)

    def _compact(self, server: SimulatedServer) -> None:
        # Only what is applied is compacted, and that is what the step before left applied.
        self._tell(f"node {server.id} compacts its log")
        server.node.take_snapshot(server.machine.items(), keep_tail=False)
        self.properties.check(server)

    def _transfer(self, leader: SimulatedServer, to: int) -> None:
        term = leader.node.term
        accepted = leader.node.transfer(to)
        self._tell(f"node {leader.id} is to hand over to {to}: {accepted}")
        if accepted:
            self.later(SECOND, partial(self._count_transfer, term, to))

    def _count_transfer(self, term: int, to: int) -> None:
        done = self.properties.leaders.get(term + 1) == to
        self.counts["transfers done" if done else "transfers aborted"] += 1

    def _add(self) -> None:
        members = self.configuration.members
        if len(members) >= MOST_MEMBERS:
            return
        joining = [n for n in self.servers if n not in self.properties.members]
        removed = self.removed()
        if joining:
            server = self.servers[joining[0]]
        else:
            back = removed and self.random.random() < 0.5
            server = self._come_back(self.random.choice(removed)) if back else self.join()
            self._set_timer(server)
        self.propose(self.proposal(Command(ADD_SERVER, str(server.id))))

    def _come_back(self, n: int) -> SimulatedServer:
        self._tell(f"node {n} comes back")
        self._switched_off.discard(n)
        self._back.add(n)
        self.counts["servers come back"] += 1
        return self.come_back(n)

    def _remove(self) -> None:
        server = self.random.choice(self.configuration.members)
        self.propose(self.proposal(Command(REMOVE_SERVER, str(server))))

    def _switch_removed_off(self) -> None:
        """Servers that were removed go, unless the others are safe from them (thesis §4.2.3)."""
        if not (self.settings.pre_vote or self.settings.check_quorum):
            self._back.intersection_update(self.removed())
            for n in self._back.symmetric_difference(self.removed()):
                self._switched_off.add(n)
                if self.servers[n].alive:
                    self._tell(f"node {n} is switched off")
                    self.servers[n].crash()
        self.later(500 * MILLISECOND, self._switch_removed_off)

    # -- what a test asks --------------------------------------------------------------

    def has_settled(self) -> bool:
        """Whether one node leads voters alone, and all have applied all that it has."""
        leader = self.leader()
        if leader is None or leader.node.log.configuration.learners:
            return False
        end = leader.node.log.last_index
        members = [self.servers[n] for n in leader.node.log.configuration.voters]
        return all(
            server.alive
            and server.node.leader == leader.id
            and server.machine.applied_index == server.node.log.last_index == end
            and server.node.log.configuration == leader.node.log.configuration
            for server in members
        )


def describe_briefly(server: SimulatedServer) -> str:
    """A server, in a trace."""
    node, log = server.node, server.node.log
    return (
        f"node {server.id} is {node.role.value} of term {node.term}, leader {node.leader}, log"
        f" {log.first_index} to {log.last_index}, commit {node.commit_index},"
        f" {log.configuration}"
    )
