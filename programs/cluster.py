"""A cluster of node programs: starts and ends them, introduces them, and asks each for its part."""

import secrets
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any

from raftmark.programs import replies
from raftmark.programs.clocks import Relation, lasting
from raftmark.programs.launcher import Children, Command, Launcher
from raftmark.programs.program import ANSWER_S, BEGIN_S, START_S, Program, end_all, ignore
from raftmark.raft.client import Done, Query, Reading
from raftmark.raft.cluster import (
    ClockRelated,
    Cluster,
    ClusterConfig,
    Counters,
    Events,
    LogSlice,
    NodeStatus,
)
from raftmark.raft.deployed import Address
from raftmark.raft.errors import OutcomeUnknown, Unavailable
from raftmark.raft.host.answers import describe
from raftmark.raft.links import Faults
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.messages import Command as ClientCommand

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MOMENTS = ("started_ns", "ended_ns")
"""What in the result of a load beside a leader is by its host's clock; the rest are durations."""


class ProgramCluster(Cluster):
    """Every node is a program, node n the n-th of `commands`, which repeat in turn.

    A program lives through its node's lives, so that memory storage does. One that ends by
    itself, or is killed, is a crash of its node, and the next life has a new program.

    Programs on other hosts have clocks of their own. What they tell of moments is given as this
    host's clock had shown them, by an offset that a program keeps: so what lies between two moments
    of one host is exact.
    """

    def __init__(
        self,
        config: ClusterConfig,
        events: Events,
        commands: Sequence[Command],
        launcher: Launcher | None = None,
    ) -> None:
        self._config = config
        self._events = events
        self._commands = commands
        self._launcher = launcher or Children()
        # Whoever listens where a node of another cluster did is not taken for it.
        self._name = f"raftmark-{secrets.token_hex(8)}"
        self._programs: dict[int, Program] = {}
        self._addresses: dict[int, str] = {}
        self._services: dict[int, str] | None = None
        self._links: dict[str, tuple[str, dict[str, Any]]] = {}
        self._replaced: dict[int, Command] = {}
        self._stopping = False

    # -- programs ------------------------------------------------------------------------

    def start(self) -> None:
        """Start every node's program, introduce them to each other, and let all begin."""
        nodes = self._config.nodes
        try:
            self._provide(nodes)
            self._each("begin", [self._living(n) for n in nodes])
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every node's program."""
        self._stopping = True
        for program in self._programs.values():
            if not (program.gone or program.hangs) and (after := program.look_at_clock()):
                self._tell_clock(program, lasting(program.clock, after))
        end_all(self._programs.values())

    def replace(self, node: int, command: Command) -> None:
        """Let another program be a crashed node's from its next life on; its data stays."""
        self._replaced[node] = command
        end_all([self._programs[node]])

    def _provide(self, nodes: Sequence[int]) -> None:
        """Start the nodes' programs, which listen, and let all know where."""
        try:
            self._launcher.place(nodes)
        except OSError as error:
            raise Unavailable(f"no place for the nodes: {error}") from error
        for n in nodes:
            command = self._replaced.get(n) or self._commands[(n - 1) % len(self._commands)]
            self._programs[n] = Program(n, command, self._launcher, self._heard, self._ended)
        programs = [self._programs[n] for n in nodes]
        try:
            for program in programs:
                self._relate(program)
            self._let_listen(programs)
            for op, setting in self._links.values():
                self._each(op, programs, **setting)
        except BaseException:
            for program in programs:
                program.kill()
            raise
        if self._services is not None:
            self._let_serve(programs)
        # A copy: whoever hears of a program's end takes out its address meanwhile.
        peers = {str(n): address for n, address in self._addresses.copy().items()}
        self._tell_all("peers", peers=peers)

    def _relate(self, program: Program) -> None:
        """Relate the clock of a program's host to this one's, for as long as it runs."""
        if (relation := program.look_at_clock()) is not None:
            program.clock = relation
            self._tell_clock(program, relation)

    def _tell_clock(self, program: Program, relation: Relation) -> None:
        host = program.host or ""
        self._events.clock_related(ClockRelated(program.node, host, *relation))

    def _let_listen(self, programs: Sequence[Program]) -> None:
        answers = [
            program.begin(
                "listen",
                replies.decode_listening,
                node=program.node,
                cluster=self._name,
                address=self._launcher.address(program.node),
                **self._settings(program.node),
            )
            for program in programs
        ]
        for program, answer in zip(programs, answers, strict=True):
            self._addresses[program.node] = where(program, answer)

    def serve(self) -> dict[int, str]:
        """Let every program listen for clients: those that do not yet."""
        if self._services is None:
            self._services = {}
        self._let_serve([p for n, p in self._programs.items() if n not in self._services])
        return dict(self._services)

    def _let_serve(self, programs: Sequence[Program]) -> None:
        assert self._services is not None
        answers = [
            program.begin(
                "serve", replies.decode_listening, address=self._launcher.address(program.node)
            )
            for program in programs
        ]
        for program, answer in zip(programs, answers, strict=True):
            self._services[program.node] = where(program, answer)
        self._tell_all("services", addresses={str(n): at for n, at in self._services.items()})

    def _settings(self, node: int) -> dict[str, Any]:
        settings = settings_of(self._config)
        if self._config.data_dir is not None:
            try:
                settings["data_dir"] = self._launcher.directory(node, self._config.data_dir)
            except OSError as error:
                raise Unavailable(f"no place for node {node}'s data: {error}") from error
        return settings

    def _each(self, op: str, programs: Sequence[Program], **fields: Any) -> None:
        """Ask these programs, all at once, and wait for their answers, which may take long."""
        answers = [program.begin(op, replies.decode_object, **fields) for program in programs]
        for program, answer in zip(programs, answers, strict=True):
            program.finish(answer, BEGIN_S)

    def _tell_all(self, op: str, **fields: Any) -> None:
        """Ask every program, side by side; one that hangs hears it as soon as it goes on.

        All of them together are waited for no longer than one is. Those that hang are asked last:
        where their pipes are full, they have the time that the others leave.
        """
        deadline_s = time.monotonic() + ANSWER_S
        programs = sorted(self._programs.values(), key=lambda program: program.hangs)
        answers = [
            (program, program.begin(op, replies.decode_object, deadline_s=deadline_s, **fields))
            for program in programs
        ]
        awaited = [(program, answer) for program, answer in answers if not program.hangs]
        wait([answer for _, answer in awaited], max(0.0, deadline_s - time.monotonic()))
        for program, answer in awaited:
            program.hangs = not answer.done()

    def _living(self, node: int) -> Program:
        """A node's program, which is to have a life: that may end as soon as it has begun."""
        program = self._programs[node]
        program.lives = True
        return program

    def _ended(self, program: Program, how: str) -> None:
        """A program has ended, and with it the life of its node, if it had one."""
        self._addresses.pop(program.node, None)
        if self._services is not None:
            self._services.pop(program.node, None)
        if program.lives and not self._stopping:
            program.lives = False
            self._events.failed(program.node, Unavailable(how))

    def _heard(self, program: Program, event: str, line: bytes) -> None:
        events = self._events
        match event:
            case "role":
                change = replies.decode_role(line)
                events.role_changed(change._replace(at_ns=program.clock.here(change.at_ns)))
            case "entries_lost":
                lost = replies.decode_lost(line)
                events.entries_lost(lost._replace(at_ns=program.clock.here(lost.at_ns)))
            case "members":
                events.members_committed(replies.decode_members(line))
            case "message":
                if events.sent is not None:
                    sent = replies.decode_object(line)
                    events.sent([{**sent, "at_ns": program.clock.here(sent["at_ns"])}])
            case "refused":
                refusal = replies.decode_refusal(line)
                events.refused(refusal._replace(at_ns=program.clock.here(refusal.at_ns)))
            case "fault":
                program.lives = False
                events.failed(program.node, Unavailable(replies.decode_fault(line).message))

    # -- lives ---------------------------------------------------------------------------

    def crash(self, node: int) -> int:
        """Let the program drop the node's life; one that hangs is killed, and its memory lost."""
        program = self._programs[node]
        program.lives = False
        try:
            return program.clock.here(program.call("crash", replies.decode_ceased).at_ns)
        except Unavailable:
            if not program.gone:
                program.kill()
            return time.monotonic_ns()

    def restart(self, node: int) -> bool:
        """Let the program begin a new life on what the old one saved, or start another one."""
        return self._begin(node)

    def join(self, node: int, *, joins: bool) -> None:
        """Start a program for a new node."""
        if node not in self._programs:
            self._provide([node])
        self._begin(node, join=joins)

    def _begin(self, node: int, **fields: Any) -> bool:
        """Let the node have a life; whether its storage was lost with a program.

        One that hangs is killed, as it is when its node crashes, and another one started.
        """
        gone = self._programs[node].gone or not self._programs[node].answers()
        if gone:
            end_all([self._programs[node]])
            self._provide([node])
        program = self._living(node)
        try:
            self._each("begin", [program], **fields)
        except BaseException:
            program.lives = False
            if program.hangs:
                program.kill()  # It would begin when it goes on, and nobody know of that life.
            raise
        return gone and self._config.storage == "memory"

    def pause(self, node: int) -> NodeStatus:
        """Let the program listen to nothing but its host."""
        program = self._programs[node]
        try:
            return program.call("pause", replies.decode_status)
        except Unavailable:
            # It may hang now, and obey later: then it is not to stay so.
            program.ask("resume", replies.decode_object, ignore)
            raise

    def resume(self, node: int) -> None:
        """Let the program go on."""
        self._programs[node].call("resume", replies.decode_object)

    # -- links ---------------------------------------------------------------------------

    def partition(self, groups: Sequence[Sequence[int]] | None) -> None:
        """Tell every program."""
        if groups is None:
            self._set("cut", "heal")
        else:
            self._set("cut", "partition", groups=groups)

    def block(self, ways: Sequence[tuple[int, int]]) -> None:
        """Tell every program."""
        self._set("cut", "partition", blocked=ways)

    def degrade(self, faults: Faults) -> None:
        """Tell every program."""
        delay_ms = [delay_ns / MILLISECOND for delay_ns in faults.delay_ns]
        self._set(
            "faults", "links", drop=faults.drop, duplicate=faults.duplicate, delay_ms=delay_ms
        )

    def _set(self, what: str, op: str, **fields: Any) -> None:
        """Say something of the links, now and to every program to come."""
        self._links[what] = op, fields
        self._tell_all(op, **fields)

    # -- what a node is asked ------------------------------------------------------------

    def submit(self, node: int, command: ClientCommand, done: Done) -> None:
        """Send the command to the node's program."""
        self._programs[node].ask(
            "submit", replies.decode_applied, done, OutcomeUnknown, **proposal_of(command)
        )

    def read(self, node: int, query: Query) -> None:
        """Send the key to the node's program."""
        self._programs[node].ask("read", replies.decode_value, query.done, key=query.key)

    def when_applied(self, node: int, index: int, done: Reading) -> None:
        """Let the node's program wait for the entry."""
        self._programs[node].ask("when_applied", replies.decode_reached, done, index=index)

    def status(self, node: int) -> NodeStatus:
        """Ask the node's program.

        What it tells may follow from another node's messages, which a trace is to tell of before:
        so the others, whose pipes are their own, are heard out.
        """
        status = self._programs[node].call("status", replies.decode_status)
        if self._config.trace:
            self._tell_all("hello")
        return status

    def counters(self, node: int) -> Counters:
        """Ask the node's program."""
        return self._programs[node].call("counters", replies.decode_counters)

    def log(self, node: int, first: int, last: int) -> LogSlice:
        """Ask the node's program."""
        fields = {"from": first, "to": last, "columns": True}
        return self._programs[node].call("log", replies.decode_slice, **fields)

    def transfer(self, node: int, to: int) -> bool:
        """Ask the leader's program."""
        return self._programs[node].call("transfer", replies.decode_handed, to=to).handed

    def compact(self, node: int) -> tuple[int, int]:
        """Ask the node's program."""
        program = self._programs[node]
        made = program.finish(program.begin("compact", replies.decode_compacted), BEGIN_S)
        return made.index, made.term

    def heartbeat(self, node: int) -> None:
        """Let the leader send one."""
        self._programs[node].call("heartbeat", replies.decode_object)

    def replicate(self, node: int, spec: ReplicateSpec) -> dict[str, Any]:
        """Run the closed loop in the leader's program."""
        return self._run(node, "replicate", spec._asdict())

    def offered(self, node: int, spec: OfferedSpec) -> dict[str, Any]:
        """Run the open loop in the leader's program."""
        return self._run(node, "offered", spec._asdict())

    def _run(self, node: int, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        program = self._programs[node]
        workload = {"name": name, **in_units(spec)}
        answer = program.begin("run", replies.decode_object, workload=workload)
        result = program.finish(answer, None)
        moments = {each: program.clock.here(result[each]) for each in MOMENTS}
        return {**result, **moments}


def where(program: Program, answer: Future[replies.Listening]) -> str:
    """The address at which a program says that it listens. Unavailable if that is none."""
    text: str = program.finish(answer, START_S).address
    try:
        Address.parse(text)
    except ValueError as error:
        raise Unavailable(f"{program} listens nowhere: {text!r:.60}") from error
    return text


# -- what requests say --------------------------------------------------------------------


def settings_of(config: ClusterConfig) -> dict[str, Any]:
    """A cluster's settings, as `listen` takes them."""
    settings = config.settings
    directory = {} if config.data_dir is None else {"data_dir": config.data_dir}
    return {
        "voters": settings.nodes,
        "election_timeout_ms": [each / MILLISECOND for each in settings.election_timeout_ns],
        "heartbeat_ms": settings.heartbeat_ns / MILLISECOND,
        "storage": config.storage,
        "seed": config.seed,
        "pre_vote": settings.pre_vote,
        "check_quorum": settings.check_quorum,
        "snapshot_entries": settings.snapshot_entries,
        "trace": config.trace,
        **directory,
    }


def proposal_of(command: ClientCommand) -> dict[str, Any]:
    """A command, as `submit` takes it."""
    plain = describe(command._replace(client=None))
    if command.client is None:
        return {"command": plain}
    return {"command": plain, "client": command.client, "serial": command.serial}


def in_units(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A workload's fields, whose durations requests have in seconds or milliseconds."""
    units = {
        "warmup_ns": ("warmup_s", SECOND),
        "duration_ns": ("duration_s", SECOND),
        "slice_ns": ("slice_ms", MILLISECOND),
    }
    fields = {}
    for name, value in spec.items():
        unit, size = units.get(name, (name, None))
        fields[unit] = value if size is None else value / size
    return fields
