"""Primitives of processes.

Whoever is on the other side is forked before anything is sent, and so before any thread is
started; the start method is set explicitly, because Python's default depends on its version. The
clock starts when the other side has answered once: a process is long in coming.
"""

from __future__ import annotations

import multiprocessing
import select
import selectors
import socket
import struct
import time
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from time import perf_counter
from typing import Any

from raftmark.bench.baselines import pingpong
from raftmark.bench.primitives.models import ASKED, AWAITED, MESSAGE, TIMER_S, Ticking, Timed

FORK = multiprocessing.get_context("fork")
FORKSERVER = multiprocessing.get_context("forkserver")
BATCH = 32
NUMBER = struct.Struct("<Q")
READ_SIZE = 1 << 16


def spawn_join(loops: int, context: BaseContext) -> float:
    """Start a process and join it."""
    if context is FORKSERVER:
        forkserver.set_forkserver_preload([__name__])
        forkserver.ensure_running()
    started = perf_counter()
    for _ in range(loops):
        process = context.Process(target=nothing)  # type: ignore[attr-defined]
        process.start()
        process.join()
        if process.exitcode != 0:
            raise RuntimeError(f"a process ended with exit status {process.exitcode}")
    return perf_counter() - started


def nothing() -> None:
    """Be a process that ends at once."""


def one_way(loops: int) -> float:
    """Put messages into a `multiprocessing.Queue` from which another process takes them."""
    inbox: Any = FORK.Queue()
    ended: Any = FORK.SimpleQueue()

    def receive() -> None:
        ended.put(inbox.get())
        for _ in range(loops):
            inbox.get()
        ended.put(perf_counter())

    other = FORK.Process(target=receive)
    other.start()
    inbox.put(MESSAGE)
    ended.get()
    started = perf_counter()
    for _ in range(loops):
        inbox.put(MESSAGE)
    elapsed: float = ended.get() - started
    other.join()
    _close(inbox)
    return elapsed


def one_way_in_batches(loops: int) -> float:
    """Write messages into a socket pair, a batch at a time."""
    here, there = socket.socketpair()
    ended: Any = FORK.SimpleQueue()

    def receive() -> None:
        here.close()
        ended.put(None)
        missing = loops * len(MESSAGE)
        while missing:
            missing -= len(there.recv(READ_SIZE))
        ended.put(perf_counter())

    other = FORK.Process(target=receive)
    other.start()
    there.close()
    ended.get()
    with here:
        started = perf_counter()
        for sent in range(0, loops, BATCH):
            here.sendall(MESSAGE * min(BATCH, loops - sent))
        elapsed: float = ended.get() - started
    other.join()
    return elapsed


def ping_pong(loops: int) -> float:
    """Exchange messages by two `multiprocessing.Queue`; `pingpong.processes` does by sockets."""
    there: Any = FORK.Queue()
    back: Any = FORK.Queue()

    def answer() -> None:
        for _ in range(1 + loops):
            back.put(there.get())

    other = FORK.Process(target=answer)
    other.start()
    there.put(MESSAGE)
    back.get()
    started = perf_counter()
    for _ in range(loops):
        there.put(MESSAGE)
        back.get()
    elapsed = perf_counter() - started
    other.join()
    _close(there, back)
    return elapsed


def majority(loops: int) -> float:
    """Send a round's number to all, and wait until enough of them have sent it back."""
    answers: Any = FORK.Queue()
    inboxes: list[Any] = [FORK.Queue() for _ in range(ASKED)]

    def answer(inbox: Any) -> None:
        while (number := inbox.get()) is not None:
            answers.put(number)

    others = [FORK.Process(target=answer, args=(inbox,)) for inbox in inboxes]
    for other in others:
        other.start()
    for inbox in inboxes:
        inbox.put(-1)
    for _ in inboxes:
        answers.get()
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
    _close(answers, *inboxes)
    return elapsed


def majority_by_sockets(loops: int) -> float:
    """Do the same by a socket pair for each, and a selector that tells who has answered."""
    pairs = [socket.socketpair() for _ in range(ASKED)]

    def answer(mine: socket.socket) -> None:
        for here, there in pairs:
            here.close()
            if there is not mine:
                there.close()
        while message := mine.recv(NUMBER.size):
            mine.sendall(message)

    others = [FORK.Process(target=answer, args=(there,)) for _, there in pairs]
    for other in others:
        other.start()
    with selectors.DefaultSelector() as selector:
        for here, there in pairs:
            there.close()
            selector.register(here, selectors.EVENT_READ)
            here.sendall(NUMBER.pack(0))
            here.recv(READ_SIZE)
        started = perf_counter()
        for number in range(1, 1 + loops):
            message = NUMBER.pack(number)
            for here, _ in pairs:
                here.sendall(message)
            missing = AWAITED
            while missing > 0:
                for key, _ in selector.select():
                    # Several answers may have come from one who was late.
                    received: bytes = key.fileobj.recv(READ_SIZE)  # type: ignore[union-attr]
                    missing -= received.endswith(message)
        elapsed = perf_counter() - started
    for here, _ in pairs:
        here.close()
    for other in others:
        other.join()
    return elapsed


def condition_hand_over(loops: int) -> float:
    """Take turns under a `Condition`: a bare `Lock` does not hand over, but may be taken again."""
    condition = FORK.Condition()
    turn: Any = FORK.RawValue("i", 0)

    def take_turns(mine: int, times: int) -> None:
        for _ in range(times):
            with condition:
                while turn.value != mine:
                    condition.wait()
                turn.value = 1 - mine
                condition.notify()

    return _by_two(take_turns, loops)


def baton_hand_over(loops: int) -> float:
    """Take turns by two semaphores: each process waits for its own, which the other releases."""
    batons = [FORK.Semaphore(1), FORK.Semaphore(0)]

    def take_turns(mine: int, times: int) -> None:
        wait, hand_over = batons[mine].acquire, batons[1 - mine].release
        for _ in range(times):
            wait()
            hand_over()

    return _by_two(take_turns, loops)


def _by_two(take_turns: Callable[[int, int], None], loops: int) -> float:
    """Let another process and this one take turns, this one first."""
    ready: Any = FORK.SimpleQueue()

    def take_other_turns() -> None:
        ready.put(None)
        take_turns(1, loops // 2)

    other = FORK.Process(target=take_other_turns)
    other.start()
    ready.get()
    started = perf_counter()
    take_turns(0, loops - loops // 2)
    elapsed = perf_counter() - started
    other.join()
    return elapsed


def lateness_ns(count: int) -> list[int]:
    """Wait with `select`, as a node's process waits for its sockets."""
    found = []
    for _ in range(count):
        due_ns = time.monotonic_ns() + int(TIMER_S * 1e9)
        select.select([], [], [], TIMER_S)
        found.append(time.monotonic_ns() - due_ns)
    return found


def lateness_beside_work_ns(count: int) -> list[int]:
    """Do the same while another process computes without a pause."""
    stopped: Any = FORK.RawValue("b", 0)

    def compute() -> None:
        while not stopped.value:
            sum(range(100))

    other = FORK.Process(target=compute)
    other.start()
    found = lateness_ns(count)
    stopped.value = 1
    other.join()
    return found


def _close(*queues: Any) -> None:
    for each in queues:
        each.close()
        each.join_thread()


CASES: dict[str, Timed | Ticking] = {
    "spawn_join/usual": Timed("forkserver", lambda loops: spawn_join(loops, FORKSERVER)),
    "spawn_join/fastest": Timed("fork", lambda loops: spawn_join(loops, FORK)),
    "one_way/usual": Timed("multiprocessing.Queue", one_way),
    "one_way/fastest": Timed(f"a socket pair, {BATCH} messages a write", one_way_in_batches),
    "ping_pong/usual": Timed("multiprocessing.Queue", ping_pong),
    "ping_pong/fastest": Timed("a socket pair", pingpong.processes),
    "majority/usual": Timed("multiprocessing.Queue", majority),
    "majority/fastest": Timed("socket pairs and a selector", majority_by_sockets),
    "lock_hand_over/usual": Timed("multiprocessing.Condition", condition_hand_over),
    "lock_hand_over/fastest": Timed("two semaphores", baton_hand_over),
    "timer_lateness/idle": Ticking("select(timeout)", lateness_ns),
    "timer_lateness/busy": Ticking("select(timeout)", lateness_beside_work_ns),
}
