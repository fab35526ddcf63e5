"""Primitives of threads."""

from __future__ import annotations

import _thread
import queue
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from time import perf_counter
from typing import Any, Protocol

from raftmark.bench.baselines import pingpong
from raftmark.bench.primitives.models import ASKED, AWAITED, MESSAGE, TIMER_S, Ticking, Timed


class Queue(Protocol):
    """What `queue.Queue` and `queue.SimpleQueue` have in common."""

    def put(self, item: Any) -> None:
        """Add an item."""

    def get(self) -> Any:
        """Take the oldest item, once there is one."""


NewQueue = Callable[[], Queue]


def spawn_join(loops: int) -> float:
    """Start a thread and join it."""
    started = perf_counter()
    for _ in range(loops):
        thread = threading.Thread(target=nothing)
        thread.start()
        thread.join()
    return perf_counter() - started


def spawn_join_bare(loops: int) -> float:
    """Start a thread without its object; a lock that it releases last tells of its end."""
    done = _thread.allocate_lock()
    done.acquire()
    started = perf_counter()
    for _ in range(loops):
        _thread.start_new_thread(done.release, ())
        done.acquire()
    return perf_counter() - started


def nothing() -> None:
    """Be a thread that ends at once."""


def one_way(loops: int, new_queue: NewQueue) -> float:
    """Put messages that another thread takes."""
    inbox = new_queue()
    ended = 0.0

    def receive() -> None:
        nonlocal ended
        for _ in range(loops):
            inbox.get()
        ended = perf_counter()

    other = threading.Thread(target=receive)
    other.start()
    started = perf_counter()
    for _ in range(loops):
        inbox.put(MESSAGE)
    other.join()
    return ended - started


def ping_pong(loops: int) -> float:
    """Exchange messages by `queue.Queue`; `pingpong.threads` does by `SimpleQueue`."""
    there: queue.Queue[bytes] = queue.Queue()
    back: queue.Queue[bytes] = queue.Queue()

    def answer() -> None:
        for _ in range(loops):
            back.put(there.get())

    other = threading.Thread(target=answer)
    other.start()
    started = perf_counter()
    for _ in range(loops):
        there.put(MESSAGE)
        back.get()
    elapsed = perf_counter() - started
    other.join()
    return elapsed


def majority(loops: int, new_queue: NewQueue) -> float:
    """Send a round's number to all, and wait until enough of them have sent it back."""
    answers = new_queue()
    inboxes = [new_queue() for _ in range(ASKED)]

    def answer(inbox: Queue) -> None:
        while (number := inbox.get()) is not None:
            answers.put(number)

    others = [threading.Thread(target=answer, args=(inbox,)) for inbox in inboxes]
    for other in others:
        other.start()
    started = perf_counter()
    for number in range(loops):
        for inbox in inboxes:
            inbox.put(number)
        missing = AWAITED
        while missing:
            # What comes late, for an earlier round, counts no more.
            missing -= answers.get() == number
    elapsed = perf_counter() - started
    for inbox in inboxes:
        inbox.put(None)
    for other in others:
        other.join()
    return elapsed


def condition_hand_over(loops: int) -> float:
    """Take turns under a `Condition`: a bare `Lock` does not hand over, but may be taken again."""
    condition = threading.Condition()
    turn = 0

    def take_turns(mine: int, times: int) -> None:
        nonlocal turn
        for _ in range(times):
            with condition:
                while turn != mine:
                    condition.wait()
                turn = 1 - mine
                condition.notify()

    return _by_two(take_turns, loops)


def baton_hand_over(loops: int) -> float:
    """Take turns by two locks: each thread waits for its own, which the other releases."""
    batons = [_thread.allocate_lock(), _thread.allocate_lock()]
    batons[1].acquire()

    def take_turns(mine: int, times: int) -> None:
        wait, hand_over = batons[mine].acquire, batons[1 - mine].release
        for _ in range(times):
            wait()
            hand_over()

    return _by_two(take_turns, loops)


def _by_two(take_turns: Callable[[int, int], None], loops: int) -> float:
    """Let another thread and this one take turns, this one first."""
    other = threading.Thread(target=take_turns, args=(1, loops // 2))
    other.start()
    started = perf_counter()
    take_turns(0, loops - loops // 2)
    other.join()
    return perf_counter() - started


def lateness_ns(count: int) -> list[int]:
    """Wait for a queue that stays empty, as a node's thread waits for its mailbox."""
    empty: SimpleQueue[None] = SimpleQueue()
    found = []
    for _ in range(count):
        due_ns = time.monotonic_ns() + int(TIMER_S * 1e9)
        try:
            empty.get(timeout=TIMER_S)
        except queue.Empty:
            found.append(time.monotonic_ns() - due_ns)
    return found


def lateness_beside_work_ns(count: int) -> list[int]:
    """Do the same while another thread computes without a pause."""
    stopped = False

    def compute() -> None:
        while not stopped:
            sum(range(100))

    other = threading.Thread(target=compute)
    other.start()
    found = lateness_ns(count)
    stopped = True
    other.join()
    return found


CASES: dict[str, Timed | Ticking] = {
    "spawn_join/usual": Timed("threading.Thread", spawn_join),
    "spawn_join/fastest": Timed("_thread.start_new_thread", spawn_join_bare),
    "one_way/usual": Timed("queue.Queue", lambda loops: one_way(loops, queue.Queue)),
    "one_way/fastest": Timed("queue.SimpleQueue", lambda loops: one_way(loops, SimpleQueue)),
    "ping_pong/usual": Timed("queue.Queue", ping_pong),
    "ping_pong/fastest": Timed("queue.SimpleQueue", pingpong.threads),
    "majority/usual": Timed("queue.Queue", lambda loops: majority(loops, queue.Queue)),
    "majority/fastest": Timed("queue.SimpleQueue", lambda loops: majority(loops, SimpleQueue)),
    "lock_hand_over/usual": Timed("threading.Condition", condition_hand_over),
    "lock_hand_over/fastest": Timed("two locks", baton_hand_over),
    "timer_lateness/idle": Ticking("SimpleQueue.get(timeout)", lateness_ns),
    "timer_lateness/busy": Ticking("SimpleQueue.get(timeout)", lateness_beside_work_ns),
}
