"""The interpreter of scripts: a cluster of cores in which only what the script says happens.

The format is defined in tests/scenarios/README.md; the Go twin is
go_reference/raft/script_test.go.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, NoReturn

from raftmark.raft.messages import Command, Entry, HardState, Item, Message, Save
from raftmark.raft.node import Node, Ready, Settings
from raftmark.raft.state_machine import StateMachine
from raftmark.raft.storage import MemoryStorage

from .text import (
    MILLISECOND,
    ScriptError,
    is_number,
    parse_commands,
    runs,
    text_of_entries,
    text_of_message,
    text_of_node,
    text_of_read,
    text_of_result,
    text_of_save,
    text_of_snapshot,
    text_of_time,
    texts_of_followers,
)

OPTIONS = {
    "max_entries": 1024,
    "max_bytes": 256 * 1024,
    "window": 16,
    "pre_vote": False,
    "check_quorum": False,
    "snapshot_entries": 16384,
}
ELECTION_TIMEOUT_NS = (160 * MILLISECOND, 320 * MILLISECOND)
HEARTBEAT_NS = 50 * MILLISECOND
MOST_DELIVERIES = 1000
"""After so many a cluster that still talks does not settle."""

LINK = re.compile(r"(\d+|\*)->(\d+|\*)")


def run(text: str) -> str:
    """A script with what its commands do, in place of what it expects of them."""
    interpreter = Interpreter()
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("> "):
            try:
                said = interpreter.execute(line[2:])
            except ScriptError as error:
                raise ScriptError(f"line {number}: {error}") from error
            lines.append(line)
            lines += [f"  {word}" for word in said]
        elif not line or line.startswith("#"):
            lines.append(line)
        elif not line.startswith("  "):
            raise ScriptError(
                f"line {number}: begin a command with '> ', a comment with '#', "
                "and what is expected with two spaces"
            )
    return "".join(f"{line}\n" for line in lines)


class Member:
    """A server: the core, its storage, its state machine, and what was last said of it."""

    def __init__(self, node_id: int, settings: Settings) -> None:
        self.id = node_id
        self.storage = MemoryStorage()
        self._settings = settings
        self._drawn = 0
        self.begin()

    def begin(self) -> None:
        """Begin a life with what was saved."""
        self.alive = True
        self.node = Node(self.id, self._settings, self._draw, self.storage.load())
        self.machine = StateMachine()
        self.waits = False
        self._shown: dict[int, str] = {}

    def _draw(self) -> float:
        """Sixteenths, in an order that differs from node to node; it goes on after a restart."""
        self._drawn += 1
        return (7 * self._drawn + 5 * self.id) % 16 / 16

    def news(self) -> Iterator[str]:
        """The state, as far as it is not what was shown before."""
        present = self.state()
        for key, text in present.items():
            if self._shown.get(key) != text:
                yield text
        self._shown = present

    def state(self) -> dict[int, str]:
        """The node's line, and by their number those of its followers."""
        node = text_of_node(self.node, self._settings.nodes)
        return {0: node} | texts_of_followers(self.node)


class Interpreter:
    """A cluster, its network and its clients. `execute` returns what a command made happen.

    `arrivals` counts the messages by their type and the role of the node they reached.
    """

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        self.under_way: list[Message] = []
        self.arrivals: Counter[tuple[str, str]] = Counter()
        self._settings = Settings((), ELECTION_TIMEOUT_NS, HEARTBEAT_NS)
        self._groups: list[list[int]] = []
        self._said: list[str] = []

    def execute(self, command: str) -> list[str]:
        """Let a command happen; the lines that tell what it did."""
        self._said = []
        name, *words = command.split() or [""]
        if name == "quietly":
            return outcome_of(self.execute(" ".join(words)))
        handler = self._COMMANDS.get(name)
        if handler is None:
            raise ScriptError(f"{name} is no command; known are {', '.join(self._COMMANDS)}")
        if not self.members and name != "cluster":
            raise ScriptError("a script begins with the command cluster")
        handler(self, words)
        return self._said

    def _say(self, line: str) -> None:
        self._said.append(line)

    # -- the cluster -------------------------------------------------------------------

    def _cluster(self, words: Sequence[str]) -> None:
        if not words or self.members:
            usage("cluster SIZE [OPTION=N | OPTION]…, once")
        options: dict[str, Any] = dict(OPTIONS)
        for word in words[1:]:
            name, _, value = word.partition("=")
            default = OPTIONS.get(name)
            if default is None or isinstance(default, bool) != (value == ""):
                raise ScriptError(f"cluster has no option {word}; known are {', '.join(OPTIONS)}")
            options[name] = number(value) if value else True
        nodes = tuple(range(1, number(words[0]) + 1))
        self._settings = Settings(nodes, ELECTION_TIMEOUT_NS, HEARTBEAT_NS, **options)
        for n in nodes:
            self.members[n] = Member(n, self._settings)
            self._perform(self.members[n])

    def _join(self, words: Sequence[str]) -> None:
        """A server begins that is no member yet, or no more, but knows the first voters."""
        n = number(words[0]) if len(words) == 1 else 0
        if n == len(self.members) + 1:
            self.members[n] = Member(n, self._settings)
        elif n in self.members and not self.members[n].alive:
            self.members[n].begin()
        else:
            usage(f"join {len(self.members) + 1}, the next server's number, or one that is down")
        self.members[n].node.join()
        self._perform(self.members[n])

    def _log(self, words: Sequence[str]) -> None:
        """The node has lived before: it begins with a log whose entries have these terms."""
        member = self._member(words)
        terms: list[int] = []
        for word in words[1:]:
            term, _, times = word.partition("x")
            terms += [number(term)] * number(times or "1")
        entries = tuple(
            Entry(term, Command("set", f"k{index}", f"t{term}"))
            for index, term in enumerate(terms, 1)
        )
        member.storage.save(Save(HardState(max(terms, default=0), None), 1, entries))
        member.begin()
        self._perform(member)

    def _damage(self, words: Sequence[str]) -> None:
        """The storage of a node that is down has lost its log from an index on."""
        member = self._member(words)
        if len(words) != 2 or member.alive:
            usage("damage NODE INDEX, of a node that is down")
        state, entries, snapshot, voters = member.storage.load()
        first = snapshot.last_index + 1 if snapshot else 1
        member.storage = MemoryStorage()
        kept = tuple(entries[: max(0, number(words[1]) - first)])
        member.storage.save(Save(state, first, kept, snapshot, voters))

    def _status(self, _: Sequence[str]) -> None:
        for member in self.members.values():
            if member.alive:
                self._said += member.state().values()
            else:
                self._say(f"node {member.id} is down")

    # -- events ------------------------------------------------------------------------

    def _timeout(self, words: Sequence[str]) -> None:
        def happen(member: Member, _: Sequence[str]) -> None:
            member.node.timeout()

        self._event(words, happen)

    def _propose(self, words: Sequence[str]) -> None:
        def happen(member: Member, words: Sequence[str]) -> None:
            commands = [command for word in words for command in parse_commands(word)]
            if not commands:
                usage("propose NODE COMMAND… [wait]")
            if member.node.propose(commands) is None:
                self._say(f"refused {member.id}")

        self._event(words, happen)

    def _read(self, words: Sequence[str]) -> None:
        def happen(member: Member, _: Sequence[str]) -> None:
            asked = member.node.read()
            self._say(
                f"refused {member.id}" if asked is None else f"asked {member.id} round={asked}"
            )

        self._event(words, happen)

    def _transfer(self, words: Sequence[str]) -> None:
        def happen(member: Member, words: Sequence[str]) -> None:
            if len(words) != 1:
                usage("transfer NODE TO [wait]")
            if not member.node.transfer(number(words[0])):
                self._say(f"refused {member.id}")

        self._event(words, happen)

    def _snapshot(self, words: Sequence[str]) -> None:
        """A node does its duties, and then hands its state machine's state to the core."""
        member = self._member(words)
        if words[1:] not in ([], ["keep_tail"]):
            usage("snapshot NODE [keep_tail]")
        if self._is_up(member):
            self._perform(member)
            items = sorted(member.machine.items(), key=order_of_item)
            member.node.take_snapshot(items, keep_tail=words[1:] == ["keep_tail"])
            self._perform(member)

    def _ready(self, words: Sequence[str]) -> None:
        self._event(words, lambda member, _: None)

    def _event(self, words: Sequence[str], happen: Callable[[Member, Sequence[str]], None]) -> None:
        """Something happens to a node, which then does its duties, unless they are to wait."""
        member = self._member(words)
        wait = words[-1] == "wait"
        if self._is_up(member):
            happen(member, words[1 : -1 if wait else None])
            self._finish(member, wait)

    def _finish(self, member: Member, wait: bool) -> None:
        if wait:
            member.waits = True
            self._said += member.news()
        else:
            self._perform(member)

    def _perform(self, member: Member) -> None:
        """All duties of a node, in their order."""
        ready = member.node.ready()
        self._save(member, ready)
        self._send(ready.messages)
        if ready.snapshot is not None:
            self._say(f"restore {member.id} {text_of_snapshot(ready.snapshot)}")
            member.machine.restore(ready.snapshot)
        self._apply(member, ready)
        for lost in ready.lost:
            self._say(f"forgot {member.id}->{lost.node} {lost.first}..{lost.last}")
        for read in ready.reads:
            self._say(f"read {member.id} {text_of_read(read)}")
        if ready.timer_ns is not None:
            self._say(f"timer {member.id} {text_of_time(ready.timer_ns)}")
        member.waits = False
        self._said += member.news()

    def _save(self, member: Member, ready: Ready) -> None:
        if ready.save is not None:
            self._say(f"save {member.id} {text_of_save(ready.save)}")
            member.storage.save(ready.save)

    def _send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if self._connected(message.sender, message.to):
                self._say(f"send {text_of_message(message)}")
                self.under_way.append(message)
            else:
                self._lose([message])

    def _apply(self, member: Member, ready: Ready) -> None:
        if not ready.committed:
            return
        first = member.machine.applied_index + 1
        line = f"apply {member.id} from={first} {text_of_entries(ready.committed)}"
        results = member.machine.apply(ready.committed)
        if any(result is not None for result in results):
            line += f" results={runs(map(text_of_result, results), str, '*')}"
        self._say(line)

    # -- the network -------------------------------------------------------------------

    def _deliver(self, words: Sequence[str]) -> None:
        wait = words[-1:] == ["wait"]
        for message in self._take(words[: -1 if wait else None], "deliver"):
            self._arrive(message, wait)

    def _drop(self, words: Sequence[str]) -> None:
        self._lose(self._take(words, "drop"))

    def _duplicate(self, words: Sequence[str]) -> None:
        for at in self._matching(words, "duplicate"):
            self.under_way.append(self.under_way[at])
            self._say(f"again {text_of_message(self.under_way[at])}")

    def _settle(self, words: Sequence[str]) -> None:
        for _ in range(MOST_DELIVERIES):
            if not self.under_way:
                return
            self._arrive(self.under_way.pop(0), wait=False)
        self._say(f"not settled after {MOST_DELIVERIES} messages")

    def _partition(self, words: Sequence[str]) -> None:
        groups = " ".join(words).split("|")
        self._groups = [[self._member([n]).id for n in group.split()] for group in groups]
        before, self.under_way = self.under_way, []
        for message in before:
            if self._connected(message.sender, message.to):
                self.under_way.append(message)
            else:
                self._lose([message])

    def _heal(self, _: Sequence[str]) -> None:
        self._groups = []

    def _connected(self, sender: int, to: int) -> bool:
        return to in self.members and (
            not self._groups or any(sender in group and to in group for group in self._groups)
        )

    def _lose(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self._say(f"lost {text_of_message(message)}")

    def _take(self, words: Sequence[str], command: str) -> list[Message]:
        """Take the messages that `words` name from the network."""
        positions = self._matching(words, command)
        taken = [self.under_way[at] for at in positions]
        for at in reversed(positions):
            del self.under_way[at]
        return taken

    def _matching(self, words: Sequence[str], command: str) -> list[int]:
        """Where messages on a link are, oldest first: all, or for one link the oldest or n-th."""
        link = LINK.fullmatch(words[0]) if words else None
        if link is None or len(words) > 2:
            usage(f"{command} FROM->TO [N-TH], where * is any node")
        matching = [
            at
            for at, m in enumerate(self.under_way)
            if link[1] in ("*", str(m.sender)) and link[2] in ("*", str(m.to))
        ]
        if "*" not in link.groups():
            nth = number(words[1]) if len(words) == 2 else 1
            matching = matching[nth - 1 : nth]
        if not matching:
            self._say(f"nothing on {' '.join(words)}")
        return matching

    def _arrive(self, message: Message, wait: bool) -> None:
        member = self.members[message.to]
        if not member.alive:
            self._lose([message])
            return
        self._say(f"arrive {text_of_message(message)}")
        self.arrivals[type(message).__name__, member.node.role.value] += 1
        member.node.step(message)
        self._finish(member, wait)

    # -- crashes -----------------------------------------------------------------------

    def _crash(self, words: Sequence[str]) -> None:
        """A node loses what it has not saved, at a boundary between two of its duties."""
        member = self._member(words)
        if not self._is_up(member):
            return
        match words[1:]:
            case []:
                pass
            case ["before", "save"]:
                member.node.ready()
            case ["after", "save"]:
                self._save(member, member.node.ready())
            case ["after", "sending", count]:
                ready = member.node.ready()
                self._save(member, ready)
                self._send(ready.messages[: number(count)])
            case ["before", "apply"]:
                ready = member.node.ready()
                self._save(member, ready)
                self._send(ready.messages)
            case _:
                usage("crash NODE [before save | after save | after sending N | before apply]")
        member.alive = False
        member.waits = False
        self._say(f"node {member.id} is down")

    def _restart(self, words: Sequence[str]) -> None:
        member = self._member(words)
        if member.alive:
            self._say(f"node {member.id} is up")
            return
        member.begin()
        self._perform(member)

    # -- reading commands --------------------------------------------------------------

    def _member(self, words: Sequence[str]) -> Member:
        member = self.members.get(number(words[0])) if words else None
        if member is None:
            raise ScriptError(f"name a node from 1 to {len(self.members)}")
        return member

    def _is_up(self, member: Member) -> bool:
        if not member.alive:
            self._say(f"node {member.id} is down")
        return member.alive

    _COMMANDS: ClassVar[dict[str, Callable[[Interpreter, Sequence[str]], None]]] = {
        "cluster": _cluster,
        "join": _join,
        "log": _log,
        "damage": _damage,
        "status": _status,
        "timeout": _timeout,
        "propose": _propose,
        "read": _read,
        "transfer": _transfer,
        "snapshot": _snapshot,
        "ready": _ready,
        "deliver": _deliver,
        "drop": _drop,
        "duplicate": _duplicate,
        "settle": _settle,
        "partition": _partition,
        "heal": _heal,
        "crash": _crash,
        "restart": _restart,
    }


def number(word: str) -> int:
    """A word that is a number."""
    if not is_number(word):
        raise ScriptError(f"{word or 'nothing'} where a number is expected")
    return int(word)


def outcome_of(said: Sequence[str]) -> list[str]:
    """Of all that was said only where each node came to."""
    last = {line.split()[1]: line for line in said if line.startswith("node ")}
    return list(last.values())


def order_of_item(item: Item) -> tuple[bool, str]:
    """Keys before sessions, each by name: the cores leave the order to those who ask them."""
    return item.serial > 0, item.name


def usage(text: str) -> NoReturn:
    """Say how a command is written."""
    raise ScriptError(f"write it as: {text}")
