"""The network's faults, as a node's outgoing links have them: partitions, loss, delay."""

import heapq
import itertools
from collections.abc import Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from raftmark.raft.draws import Draws, node_links

T = TypeVar("T")

MAX_HELD = 8192
"""How many messages wait for a paused node, or on slow links to a node; more are lost."""


class Faults(NamedTuple):
    """What is wrong with every link: probabilities, and a range of nanoseconds."""

    drop: float = 0.0
    duplicate: float = 0.0
    delay_ns: tuple[int, int] = (0, 0)


PERFECT = Faults()


class LinkState(NamedTuple):
    """What is wrong with a node's links; `reachable` is None where no partition cuts any."""

    reachable: frozenset[int] | None = None
    blocked: frozenset[int] = frozenset()
    faults: Faults = PERFECT


class Links:
    """One node's outgoing links. `perfect` is the fast path: nothing is wrong at all.

    An operator's thread may change them while the node's own sends: the state is one value,
    so that the node sees it as it was before or as it is after, and never half of each.
    """

    def __init__(self, node_id: int, seed: int) -> None:
        self._id = node_id
        self._random = Draws(seed, node_links(node_id))
        self._state = LinkState()
        self.perfect = True

    def partition(self, groups: Iterable[Iterable[int]] | None) -> None:
        """Cut the links out of this node's group, and no others; None heals every cut."""
        reachable = None
        if groups is not None:
            own = (g for g in map(frozenset, groups) if self._id in g)
            reachable = next(own, frozenset[int]())
        self._change(self._state._replace(reachable=reachable, blocked=frozenset()))

    def block(self, ways: Iterable[tuple[int, int]]) -> None:
        """Cut these links, each from one node to another, and no others."""
        blocked = frozenset(to for sender, to in ways if sender == self._id)
        self._change(self._state._replace(reachable=None, blocked=blocked))

    def degrade(self, faults: Faults) -> None:
        """Give every link these faults from now on."""
        self._change(self._state._replace(faults=faults))

    def delays_ns(self, to: int) -> Iterator[int]:
        """The delay of each copy of a message that arrives: none, one or two of them."""
        reachable, blocked, (drop, duplicate, (low, high)) = self._state
        if to in blocked or (reachable is not None and to not in reachable):
            return
        draw = self._random.random
        if draw() < drop:
            return
        yield low + int((high - low) * draw())
        if draw() < duplicate:
            yield low + int((high - low) * draw())

    def _change(self, state: LinkState) -> None:
        self._state = state
        self.perfect = state == LinkState()


class DelayLine(Generic[T]):
    """Messages on their way, for runtimes whose own wait has a deadline."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, T]] = []
        self._order = itertools.count()

    def push(self, due_ns: int, message: T) -> None:
        """Hold a message until `due_ns` of the monotonic clock, or lose it if too many are."""
        if len(self._heap) < MAX_HELD:
            heapq.heappush(self._heap, (due_ns, next(self._order), message))

    @property
    def next_due_ns(self) -> int | None:
        """When the first one is due, None where none is on its way."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now_ns: int) -> list[T]:
        """Take out all that is due."""
        due = []
        while self._heap and self._heap[0][0] <= now_ns:
            due.append(heapq.heappop(self._heap)[2])
        return due
