"""Clients that set, get and compare-and-set a few keys, and note what they saw."""

from __future__ import annotations

import collections
import itertools
import random
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from raftmark.bench.contenders.contender import ContenderError

from .history import History

Asked = dict[str, Any]

# Nothing was proposed, or what was will never be applied.
WITHOUT_EFFECT = ("not_leader", "unavailable", "lost")
# One value in so many is long enough that a few of them are more than one message may hold.
LONG_VALUES = 50
LONG = "x" * 65_536
# How long the keys of one epoch are in use. A command without an answer stays pending for as long
# as its key, and what is pending makes the check slow.
EPOCH_S = 2.0
_LETTERS = "abc"


class Service(Protocol):
    """Whatever answers requests as a contender does."""

    def call(self, op: str, /, *, reply_timeout: float = ..., **fields: Any) -> dict[str, Any]:
        """Return the answer, or raise the error, as `Contender.call` does."""


class Keys:
    """The keys in use: a few at a time, and others in every epoch."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def _epoch(self) -> int:
        return int((time.monotonic() - self._started) / EPOCH_S)

    def draw(self, chance: random.Random) -> str:
        """Return a key of this epoch."""
        return f"{chance.choice(_LETTERS)}{self._epoch()}"

    def all(self) -> list[str]:
        """Return every key that was in use."""
        return [f"{letter}{epoch}" for epoch in range(self._epoch() + 1) for letter in _LETTERS]


class Habit(NamedTuple):
    """How often a client asks for what, and asks any node rather than the present leader.

    Any node may take itself for the leader, long after another one was elected.
    """

    ops: dict[str, int]
    any_node: float
    sessions: float


def habits(features: Collection[str]) -> list[Habit]:
    """Return the habits of a few clients: some do everything, some look everywhere."""
    read = "read" if "read" in features else "get"
    writer = Habit({"set": 3, "cas": 3, "get": 1, read: 2}, any_node=0.2, sessions=0.3)
    looker = Habit({"get": 1, read: 4}, any_node=0.9, sessions=0)
    return [writer] * 4 + [looker] * 3


class Client:
    """One client: asks, waits for the answer, notes it, and asks again.

    A command that has a session is repeated until it is answered.
    """

    def __init__(
        self,
        name: str,
        service: Service,
        history: History,
        keys: Keys,
        nodes: Sequence[int],
        habit: Habit,
        seed: str,
    ) -> None:
        self.outcomes: collections.Counter[str] = collections.Counter()
        self._name = name
        self._service = service
        self._history = history
        self._keys = keys
        self._nodes = nodes
        self._habit = habit
        self._chance = random.Random(f"{seed}/{name}")
        self._number = history.new_client()
        self._values = itertools.count(1)
        self._serials = itertools.count(1)
        self._seen: dict[str, str | None] = {}

    def work(self, stopping: threading.Event) -> None:
        """Ask until told to stop."""
        while not stopping.is_set():
            asked = self._draw()
            if asked["op"] != "read" and self._chance.random() < self._habit.sessions:
                self._insist(asked, stopping)
            else:
                self._try(asked)
            stopping.wait(0.005 * self._chance.random())

    def ask_until_answered(self, asked: Asked, tries: Iterator[None]) -> None:
        """Repeat an operation, each time as another one, until one is answered."""
        for _ in tries:
            if self._try(asked):
                return
        raise AssertionError(f"{asked} was never answered, though all nodes and links were well")

    def _draw(self) -> Asked:
        chance = self._chance
        key = self._keys.draw(chance)
        [op] = chance.choices(list(self._habit.ops), list(self._habit.ops.values()))
        asked: Asked = {"op": op, "key": key}
        if op in ("set", "cas"):
            asked["value"] = f"{self._name}.{next(self._values)}"
            if chance.randrange(LONG_VALUES) == 0:
                asked["value"] += LONG
        if op == "cas":
            asked["expect"] = self._seen.get(key)
        return asked

    def _try(self, asked: Asked) -> bool:
        """Ask once, without a session; return whether there was an answer."""
        call_ns = time.monotonic_ns()
        code, result = self._ask(asked)
        if code is None:
            self._answered(asked, call_ns, result)
        elif code not in WITHOUT_EFFECT:
            self._unanswered(asked, call_ns)
        return code is None

    def _insist(self, asked: Asked, stopping: threading.Event) -> None:
        """Ask in a session, again and again: all that is one operation."""
        session = {"client": f"session-{self._name}", "serial": next(self._serials)}
        call_ns = time.monotonic_ns()
        while not stopping.is_set():
            code, result = self._ask(asked, **session)
            if code is None:
                self._answered(asked, call_ns, result)
                return
            stopping.wait(0.005 * self._chance.random())
        self._unanswered(asked, call_ns)

    def _ask(self, asked: Asked, **session: Any) -> tuple[str | None, Any]:
        """Send a request; return the code of its error, or None and the result."""
        chance = self._chance
        fields: dict[str, Any] = {"timeout_ms": chance.choice((50, 150, 400)), **session}
        if chance.random() < self._habit.any_node:
            fields["node"] = chance.choice(self._nodes)
        try:
            if asked["op"] == "read":
                result = self._service.call("read", key=asked["key"], **fields)["value"]
            else:
                result = self._service.call("submit", command=asked, **fields)["result"]
        except ContenderError as error:
            code = error.code
            if code == "bad_request" and "node" in fields:
                code = "unavailable"  # That node was removed.
            if code != "timeout" and code not in WITHOUT_EFFECT:
                raise
            self.outcomes[code] += 1
            return code, None
        self.outcomes["answered"] += 1
        return None, result

    def _answered(self, asked: Asked, call_ns: int, result: Any) -> None:
        self._history.note(self._number, asked, call_ns, time.monotonic_ns(), result)
        if asked["op"] in ("get", "read"):
            self._seen[asked["key"]] = result
        elif asked["op"] == "set" or result:
            self._seen[asked["key"]] = asked["value"]
        else:
            # Expecting the same again would fail again.
            self._seen.pop(asked["key"], None)

    def _unanswered(self, asked: Asked, call_ns: int) -> None:
        if asked["op"] in ("set", "cas"):
            self._history.note(self._number, asked, call_ns)
            self._number = self._history.new_client()


class Crowd:
    """Clients at work, each in its thread, from `with` to the end of the block.

    `failed` is set as soon as something went wrong with one of them.
    """

    def __init__(self, clients: Sequence[Client]) -> None:
        self.clients = clients
        self.failed = threading.Event()
        self._stopping = threading.Event()
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._work, args=(client,), name=f"client-{number}")
            for number, client in enumerate(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        if error is None:
            self.check()

    def check(self) -> None:
        """Raise what went wrong with a client."""
        if self._errors:
            raise self._errors[0]

    def outcomes(self) -> collections.Counter[str]:
        """Return how often what was answered."""
        return sum((client.outcomes for client in self.clients), collections.Counter())

    def _work(self, client: Client) -> None:
        try:
            client.work(self._stopping)
        except BaseException as error:  # noqa: BLE001 (raised where the clients are awaited)
            self._errors.append(error)
            self.failed.set()
