"""A node from its start to its crash: the thread in which the library's object ticks.

It does what the library's own thread does, and between two ticks what this protocol asks for. So
all but `submit`, which the library lets any thread do, is done in that thread.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple, TypeVar

from pysyncobj import FAIL_REASON

from raftmark.peers.pysyncobj.store import ROLES, Store, View
from raftmark.raft.client import Applied, Done, Proposal, Reading, Value
from raftmark.raft.cluster import Counters, RoleChange
from raftmark.raft.errors import BadRequest, Lost, NotLeader, OutcomeUnknown, RaftError, Unavailable
from raftmark.raft.node import Role
from raftmark.raft.state_machine import Result, StaleSerial

T = TypeVar("T")

FIRST_TICK_S = 0.1
"""The library's own thread waits for so long, in which the others' begin to listen."""

logger = logging.getLogger(__name__)


class Call(NamedTuple):
    """A function for the node's thread, and what came of it."""

    function: Callable[[Store], Any]
    outcome: "Future[Any]"


class Life:
    """One life of node `number`, on a store that was just made; `announce` hears of its roles."""

    def __init__(
        self, number: int, store: Store, period_s: float, announce: Callable[[RoleChange], None]
    ) -> None:
        self._number = number
        self._store = store
        self._period_s = period_s
        self._announce = announce
        self._calls: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self._waiting: dict[int, Done] = {}
        self._numbers = iter(range(1 << 62))
        self._awaited: list[tuple[int, Reading]] = []
        self._told: View | None = None
        self._paused = False
        self._lives = True
        self._appended_before = store.last_index
        store.conf.onStateChanged = self._changed
        self._thread = threading.Thread(target=self._run, name=f"node-{number}")

    def start(self) -> None:
        """Start its thread. RuntimeError where there is none."""
        self._tell(self._store.view, time.monotonic_ns())
        self._thread.start()

    # -- what others ask -----------------------------------------------------------------

    def call(self, function: Callable[[Store], T]) -> T:
        """Call a function in its thread. Unavailable if its life is over."""
        outcome: Future[T] = Future()
        self._calls.put(Call(function, outcome))
        if not self._lives:
            self._refuse_calls()
        return outcome.result()

    def submit(self, proposal: Proposal) -> None:
        """Hand a command to the library, if this node leads as far as is known."""
        command, done = proposal
        store = self._store
        if not store.leads:
            leader = store.leader
            done(NotLeader(leader if leader != self._number else None))
            return
        number = next(self._numbers)
        self._waiting[number] = done
        store.put(*command, callback=partial(self._answer, number))
        if not self._lives:
            self._abandon()

    def _answer(
        self, number: int, applied: tuple[int, Result | StaleSerial] | None, reason: int
    ) -> None:
        done = self._waiting.pop(number, None)
        if done is None:
            return
        if applied is None or reason != FAIL_REASON.SUCCESS:
            done(refused(reason))
            return
        index, result = applied
        if isinstance(result, StaleSerial):
            done(BadRequest("the session has used a higher serial; not applied again"))
        else:
            done(Applied(index, self._store.term_at(index), result))

    def await_applied(self, index: int, done: Reading) -> None:
        """Tell, once the entry at this index is applied."""

        def wait(store: Store) -> None:
            self._awaited.append((index, done))
            self._tell_applied(store)

        self.call(wait)

    def counters(self) -> Counters:
        """What it has sent and appended; the library tells no bytes, and waits for no save."""
        store = self._store
        entries = store.last_index - self._appended_before
        return Counters(store.transport.messages, None, entries, 0, entries)

    def pause(self, look: Callable[[Store], T]) -> T:
        """Hang: its thread waits for `resume` or `end`. What `look` sees at that moment."""

        def hang(store: Store) -> T:
            self._paused = True
            return look(store)

        return self.call(hang)

    def resume(self) -> None:
        """Go on."""

        def go_on(_store: Store) -> None:
            self._paused = False

        self.call(go_on)

    def end(self) -> int:
        """End its thread, and let the library close what it has; when (ns) it ceased."""

        def cease(_store: Store) -> int:
            self._lives = False
            return time.monotonic_ns()

        ceased_ns = self.call(cease)
        self._thread.join()
        self._store.destroy()
        self._refuse_calls()
        self._abandon()
        return ceased_ns

    # -- its thread ----------------------------------------------------------------------

    def _run(self) -> None:
        first_tick = time.monotonic() + FIRST_TICK_S
        while self._lives:
            if self._paused:
                self._serve(None)
            elif (early_s := first_tick - time.monotonic()) > 0:
                self._serve(early_s)
            elif not self._calls.empty():
                self._serve(0)
            else:
                self._tick()

    def _serve(self, wait_s: float | None) -> None:
        """Do what is asked next, if anything is by then."""
        try:
            call = self._calls.get(timeout=wait_s)
        except queue.Empty:
            return
        try:
            call.outcome.set_result(call.function(self._store))
        except Exception as error:  # noqa: BLE001 - whoever asked is to have it
            call.outcome.set_exception(error)

    def _tick(self) -> None:
        store = self._store
        try:
            store.transport.send_due()
            store.doTick(store.transport.wait_s(self._period_s))
        except Exception:
            # As its own thread does: log, wait a little and retry.
            logger.exception("node %d: failed tick", self._number)
            self._serve(self._period_s)
        self._tell(store.view, time.monotonic_ns())
        self._tell_applied(store)

    def _tell_applied(self, store: Store) -> None:
        applied = store.applied_index
        due = [done for index, done in self._awaited if index <= applied]
        self._awaited = [each for each in self._awaited if each[0] > applied]
        for done in due:
            done(Value(applied, None))

    # -- what it tells -------------------------------------------------------------------

    def _changed(self, _old: int, new: int) -> None:
        """Tell of a role that it has from now on: it may have another before the tick ends."""
        role = ROLES[new]
        term, leader = self._store.view[1:]
        if role is Role.CANDIDATE:
            # Its new term comes after its new role.
            term, leader = term + 1, None
        elif role is Role.FOLLOWER and leader == self._number:
            leader = None
        self._tell(View(role, term, leader), time.monotonic_ns())

    def _tell(self, view: View, at_ns: int) -> None:
        if view != self._told:
            self._told = view
            self._announce(RoleChange(self._number, *view, at_ns))

    # -- its end -------------------------------------------------------------------------

    def _refuse_calls(self) -> None:
        """Nobody serves them any more: each finds that this life is over."""
        self._thread.join()
        while True:
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                return
            call.outcome.set_exception(Unavailable(f"node {self._number} is down"))

    def _abandon(self) -> None:
        error = OutcomeUnknown(f"node {self._number} crashed")
        for number in list(self._waiting):
            done = self._waiting.pop(number, None)
            if done is not None:
                done(error)
        awaited, self._awaited = self._awaited, []
        for _, waiting in awaited:
            waiting(Unavailable(f"node {self._number} is down"))


REFUSALS: dict[int, Callable[[], RaftError]] = {
    FAIL_REASON.QUEUE_FULL: lambda: Unavailable("too many commands wait"),
    FAIL_REASON.MISSING_LEADER: lambda: Unavailable("no leader is known"),
    FAIL_REASON.DISCARDED: lambda: Lost("another leader's entry took the command's index"),
    FAIL_REASON.NOT_LEADER: lambda: NotLeader(None),
    FAIL_REASON.LEADER_CHANGED: lambda: OutcomeUnknown("the leader changed meanwhile"),
    FAIL_REASON.REQUEST_DENIED: lambda: Unavailable("the library refused the command"),
    FAIL_REASON.UNKNOWN_OUTCOME: lambda: OutcomeUnknown("the library does not know the outcome"),
}


def refused(reason: int) -> RaftError:
    """What the library's reason for a failure is called here."""
    known: Any = REFUSALS.get(reason)
    return OutcomeUnknown(f"reason {reason} of the library's") if known is None else known()
