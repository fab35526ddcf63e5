"""The nemesis: harms a cluster in ever new ways, and makes good what it did.

What it does, for how long and to whom follows from its random numbers alone, except for who leads.
"""

from __future__ import annotations

import collections
import random
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

import psutil

from raftmark.bench.contenders.contender import Contender, ContenderError
from tests.conformance.waiting import DEADLINE_S, looks

KILL = "kill a process"
# What a request may be answered with while leaders and members change.
UNSETTLED = ("unavailable", "timeout", "not_leader", "lost")
Fault = Callable[[], AbstractContextManager[None]]
Way = tuple[int, int]


class Deck:
    """Draws kinds of faults so that each has its turn before any has the next."""

    def __init__(self, chance: random.Random, kinds: Sequence[str]) -> None:
        self._chance = chance
        self._kinds = kinds
        self._left: list[str] = []

    def __len__(self) -> int:
        return len(self._kinds)

    def draw(self) -> str:
        """Return the next kind."""
        if not self._left:
            self._left = self._chance.sample(self._kinds, len(self._kinds))
        return self._left.pop()


class Nemesis:
    """Harms one cluster after the other.

    `done` counts the faults by kind; `diary` tells what was done, and when (ns). What is `spared`
    it does not do.
    """

    def __init__(
        self,
        contender: Contender,
        nodes: Sequence[int],
        features: Sequence[str],
        seed: str,
        spared: Collection[str] = (),
    ) -> None:
        self.done: collections.Counter[str] = collections.Counter()
        self.diary: list[str] = []
        self._contender = contender
        self._nodes = nodes
        self._chance = random.Random(f"nemesis/{seed}")
        self._first_event = 0
        self._on_disk = False
        self._members_change = False
        to_nodes: dict[str, Fault] = {
            "crash the leader": lambda: self._crash([self._leader()]),
            "crash a minority": lambda: self._crash(self._sample(2)),
            "crash all": lambda: self._crash(self._sample(len(nodes))),
            "pause the leader": lambda: self._pause([self._leader()]),
            "pause a minority": lambda: self._pause(self._sample(2)),
        }
        if "transfer" in features:
            to_nodes["transfer"] = self._transfer
        if "snapshot" in features:
            to_nodes["snapshot"] = self._snapshot
        if "membership" in features:
            to_nodes["remove in vain"] = self._remove_in_vain
            to_nodes["restart without one"] = self._restart_without_one
        if psutil.Process(contender.pid).children():
            to_nodes[KILL] = self._kill  # What it started is what forks its nodes.
        to_groups: dict[str, Fault] = {
            "isolate the leader": lambda: self._partition(groups=self._around_leader(1)),
            "leader in the minority": lambda: self._partition(groups=self._around_leader(2)),
            "leader in the majority": lambda: self._partition(groups=self._around_leader(3)),
            "ring": lambda: self._partition(blocked=self._beyond_neighbours()),
            "bridge": lambda: self._partition(blocked=self._but_for_a_bridge()),
            "deaf leader": lambda: self._partition(blocked=self._ways_to(self._leader())),
            "mute leader": lambda: self._partition(blocked=self._ways_from(self._leader())),
            "one-way cuts": lambda: self._partition(blocked=self._some_ways()),
        }
        to_links: dict[str, Fault] = {"bad links": self._bad_links}
        families = [
            {kind: fault for kind, fault in family.items() if kind not in spared}
            for family in (to_nodes, to_groups, to_links)
        ]
        self._faults = {kind: fault for family in families for kind, fault in family.items()}
        self._families = [Deck(self._chance, list(family)) for family in families if family]

    # What it is told

    def face_a_new_cluster(self, *, on_disk: bool) -> None:
        """Forget who led the one before; call this before the next one starts.

        A node's process is only killed where its storage outlives it: no cluster need survive
        the loss of a vote.
        """
        self._first_event = len(self._contender.events.all())
        self._on_disk = on_disk

    def strike(self, failed: threading.Event) -> None:
        """Do one or two things at once, wait a little, undo them, and wait again.

        Members who left come back when all else is undone: who cannot be reached cannot be one.
        Once there is a failure, waiting ends. AssertionError if the cluster makes no progress
        although all is made good.
        """
        chance = self._chance
        [first] = chance.choices(self._families, [len(family) for family in self._families])
        second = chance.choice([family for family in self._families if family is not first])
        families = (first, second) if chance.random() < 1 / 3 else (first,)
        with ExitStack() as harm:
            for family in families:
                kind = family.draw()
                # It may be the last of one deck and the first of the next.
                while kind == KILL and not self._on_disk:
                    kind = family.draw()
                self._tell(kind)
                harm.enter_context(self._faults[kind]())
                self.done[kind] += 1
            failed.wait(chance.choice((0.05, 0.4, 0.8, 1.2)))
            self._tell("heal")
        if not failed.is_set():
            if self._members_change:
                self._bring_all_back()
            self._check_progress()
        failed.wait(chance.uniform(0.05, 0.4))

    def untried(self) -> set[str]:
        """Return the kinds of faults that had no turn yet."""
        return self._faults.keys() - self.done.keys()

    def leaders(self) -> list[tuple[int, int]]:
        """Return the terms that had a leader, and their leaders, in the order of the terms."""
        events = self._contender.events.all()[self._first_event :]
        return sorted(
            (event["term"], event["node"])
            for event in events
            if event.get("event") == "role" and event["role"] == "leader"
        )

    def _check_progress(self) -> None:
        command = {"op": "set", "key": "progress", "value": ""}
        refusal = "nothing was asked"
        for _ in looks():
            try:
                self._contender.call("submit", command=command, timeout_ms=1000)
            except ContenderError as error:
                if error.code not in UNSETTLED:
                    raise
                refusal = str(error)
            else:
                return
        raise AssertionError(f"no progress within {DEADLINE_S:g} s of healing: {refusal}")

    def _tell(self, what: str) -> None:
        self.diary.append(f"{time.monotonic_ns()} {what}")

    # Whom it harms

    def _leader(self) -> int:
        """Return the latest leader, or before there is one the first node."""
        leaders = self.leaders()
        return leaders[-1][1] if leaders else self._nodes[0]

    def _sample(self, number: int) -> list[int]:
        return self._chance.sample(self._nodes, number)

    def _others(self, *nodes: int) -> list[int]:
        others = [node for node in self._nodes if node not in nodes]
        return self._chance.sample(others, len(others))

    def _present(self) -> list[int]:
        return [node["id"] for node in self._contender.call("status")["nodes"]]

    # Nodes

    @contextmanager
    def _crash(self, nodes: Sequence[int]) -> Iterator[None]:
        with self._each(nodes, "crash", "restart"):
            yield

    @contextmanager
    def _pause(self, nodes: Sequence[int]) -> Iterator[None]:
        with self._each(nodes, "pause", "resume"):
            yield

    @contextmanager
    def _each(self, nodes: Sequence[int], harm: str, mend: str) -> Iterator[None]:
        self._tell(f"{harm} {nodes}")
        for node in nodes:
            self._contender.call(harm, node=node)
        yield
        for node in nodes:
            self._contender.call(mend, node=node)

    @contextmanager
    def _kill(self) -> Iterator[None]:
        """Kill a node's process, whichever node that is: an event tells of it."""
        faults = self._faults_told()
        victim = self._chance.choice(processes_of_nodes(self._contender))
        victim.kill()
        for _ in looks():
            if len(told := self._faults_told()) > len(faults):
                break
        else:
            raise AssertionError(f"nobody tells that {victim} was killed")
        node = told[-1]
        self._tell(f"kill the process of node {node}")
        yield
        answer = self._contender.call("restart", node=node)
        assert answer == {}, "what is on disk outlives its process"

    def _faults_told(self) -> list[int]:
        events = self._contender.events.all()[self._first_event :]
        return [event["node"] for event in events if event.get("event") == "fault"]

    @contextmanager
    def _transfer(self) -> Iterator[None]:
        self._attempt("transfer", timeout_ms=300)
        yield

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        self._attempt("snapshot")
        yield

    def _attempt(self, op: str, **fields: int) -> None:
        """Ask for what may be refused, as there is no leader, say."""
        try:
            self._contender.call(op, node=self._sample(1)[0], **fields)
        except ContenderError as error:
            if error.code not in UNSETTLED:
                raise
            self._tell(str(error))

    # Members

    @contextmanager
    def _remove_in_vain(self) -> Iterator[None]:
        """Ask a leader that hears no answers for a removal, and give up before it is made."""
        self._members_change = True
        with self._partition(blocked=self._ways_to(self._leader())):
            self._attempt("remove_server", timeout_ms=50)
        yield

    @contextmanager
    def _restart_without_one(self) -> Iterator[None]:
        """Remove a node, and let all others go through a crash."""
        self._members_change = True
        self._attempt("remove_server", timeout_ms=400)
        present = self._present()
        self._tell(f"crash {present}")
        for node in present:
            self._tolerantly("crash", node)
        yield
        for node in present:
            self._tolerantly("restart", node)

    def _bring_all_back(self) -> None:
        refusal = "nothing was asked"
        for _ in looks():
            try:
                missing = sorted({*self._nodes} - self._voters())
                self._tell(f"add {missing}")
                for node in missing:
                    self._contender.call("add_server", node=node, timeout_ms=2000)
            except ContenderError as error:
                if error.code not in (*UNSETTLED, "bad_request"):
                    raise
                refusal = str(error)
            else:
                if not missing:
                    self._members_change = False
                    return
        raise AssertionError(
            f"not all are members again within {DEADLINE_S:g} s: {refusal}; "
            f"they are {self._contender.call('status')['nodes']}"
        )

    def _voters(self) -> set[int]:
        """Return the voters whom the cluster runs, as the latest leader has them."""
        nodes = self._contender.call("status")["nodes"]
        leading = [node for node in nodes if node["role"] == "leader"]
        if not leading:
            return set()
        latest = max(leading, key=lambda node: node["term"])
        return {*latest["voters"]} & {node["id"] for node in nodes}

    def _tolerantly(self, op: str, node: int) -> None:
        """Ask of a node what is refused where that was removed since."""
        try:
            self._contender.call(op, node=node)
        except ContenderError as error:
            if error.code != "bad_request":
                raise
            self._tell(str(error))

    # Links

    @contextmanager
    def _partition(
        self,
        *,
        groups: Sequence[Sequence[int]] | None = None,
        blocked: Sequence[Way] | None = None,
    ) -> Iterator[None]:
        how = {"groups": groups} if blocked is None else {"blocked": blocked}
        self._tell(str(how))
        try:
            self._contender.call("partition", **how)
        except ContenderError as error:
            # It may name a node that was removed since.
            if error.code != "bad_request" or not self._members_change:
                raise
            self._tell(str(error))
        yield
        self._contender.call("heal")

    @contextmanager
    def _bad_links(self) -> Iterator[None]:
        chance = self._chance
        self._contender.call(
            "links",
            drop=chance.choice((0.0, 0.1, 0.3)),
            duplicate=chance.choice((0.0, 0.3)),
            delay_ms=[0, chance.choice((1, 20, 80))],
        )
        yield
        self._contender.call("links")

    def _around_leader(self, size: int) -> list[list[int]]:
        leader = self._leader()
        others = self._others(leader)
        return [[leader, *others[: size - 1]], others[size - 1 :]]

    def _beyond_neighbours(self) -> list[Way]:
        """Each node reaches the two beside it in a ring, and no others."""
        ring = self._others()
        beside = {(node, ring[place - 1]) for place, node in enumerate(ring)}
        return [(a, b) for a, b in self._ways() if (a, b) not in beside and (b, a) not in beside]

    def _but_for_a_bridge(self) -> list[Way]:
        """One node reaches everyone; the others are two groups."""
        _, *rest = self._others()
        left = rest[: len(rest) // 2]
        return [
            (a, b) for a, b in self._ways() if {a, b} <= set(rest) and (a in left) != (b in left)
        ]

    def _ways_to(self, node: int) -> list[Way]:
        return [(other, node) for other in self._others(node)]

    def _ways_from(self, node: int) -> list[Way]:
        return [(node, other) for other in self._others(node)]

    def _some_ways(self) -> list[Way]:
        ways = self._ways()
        return self._chance.sample(ways, len(ways) // 3)

    def _ways(self) -> list[Way]:
        return [(a, b) for a in self._nodes for b in self._nodes if a != b]


def processes_of_nodes(contender: Contender) -> list[psutil.Process]:
    """Return the nodes' processes, of a contender that has a server fork one for each."""
    return [node for child in psutil.Process(contender.pid).children() for node in child.children()]
