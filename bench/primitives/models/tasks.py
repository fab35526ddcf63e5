"""Primitives of an event loop: tasks and callbacks."""

from __future__ import annotations

import asyncio
import functools
import sys
import time
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any

from raftmark.bench.primitives.models import (
    ASKED,
    AWAITED,
    MESSAGE,
    SLICE_S,
    TIMER_S,
    Ticking,
    Timed,
)

NewLoop = Callable[[], asyncio.AbstractEventLoop]


async def nothing() -> None:
    """Be a task that ends at once."""


async def spawn_join(loops: int) -> float:
    """Create a task and await it."""
    started = perf_counter()
    for _ in range(loops):
        await asyncio.create_task(nothing())
    return perf_counter() - started


async def spawn_join_eagerly(loops: int) -> float:
    """Create a task that runs at once, before the loop hears of it (Python 3.12)."""
    if sys.version_info >= (3, 12):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    return await spawn_join(loops)


async def one_way(loops: int) -> float:
    """Put messages that another task takes."""
    inbox: asyncio.Queue[bytes] = asyncio.Queue()

    async def receive() -> float:
        for _ in range(loops):
            await inbox.get()
        return perf_counter()

    other = asyncio.create_task(receive())
    started = perf_counter()
    for _ in range(loops):
        await inbox.put(MESSAGE)
    return await other - started


async def one_way_by_callback(loops: int) -> float:
    """Have the loop call the receiver with each message."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[float] = loop.create_future()
    missing = loops

    def receive(_message: bytes) -> None:
        nonlocal missing
        missing -= 1
        if not missing:
            ended.set_result(perf_counter())

    started = perf_counter()
    for _ in range(loops):
        loop.call_soon(receive, MESSAGE)
    return await ended - started


async def ping_pong(loops: int) -> float:
    """Exchange messages with another task."""
    there: asyncio.Queue[bytes] = asyncio.Queue()
    back: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer() -> None:
        for _ in range(loops):
            await back.put(await there.get())

    other = asyncio.create_task(answer())
    started = perf_counter()
    for _ in range(loops):
        await there.put(MESSAGE)
        await back.get()
    elapsed = perf_counter() - started
    await other
    return elapsed


async def ping_pong_by_callback(loops: int) -> float:
    """Have the loop call each side in turn."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[float] = loop.create_future()
    missing = loops

    def answer(message: bytes) -> None:
        loop.call_soon(receive, message)

    def receive(message: bytes) -> None:
        nonlocal missing
        missing -= 1
        if missing:
            loop.call_soon(answer, message)
        else:
            ended.set_result(perf_counter())

    started = perf_counter()
    loop.call_soon(answer, MESSAGE)
    return await ended - started


async def majority(loops: int) -> float:
    """Send a round's number to all, and wait until enough of them have sent it back."""
    answers: asyncio.Queue[int] = asyncio.Queue()
    inboxes: list[asyncio.Queue[int | None]] = [asyncio.Queue() for _ in range(ASKED)]

    async def answer(inbox: asyncio.Queue[int | None]) -> None:
        while (number := await inbox.get()) is not None:
            await answers.put(number)

    others = [asyncio.create_task(answer(inbox)) for inbox in inboxes]
    started = perf_counter()
    for number in range(loops):
        for inbox in inboxes:
            await inbox.put(number)
        missing = AWAITED
        while missing:
            # What comes late, for an earlier round, counts no more.
            missing -= await answers.get() == number
    elapsed = perf_counter() - started
    for inbox in inboxes:
        await inbox.put(None)
    await asyncio.gather(*others)
    return elapsed


async def majority_by_callback(loops: int) -> float:
    """Have the loop call all, and each of them the one who counts their answers."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[float] = loop.create_future()
    current = 0
    missing = AWAITED

    def ask() -> None:
        for _ in range(ASKED):
            loop.call_soon(answer, current)

    def answer(number: int) -> None:
        loop.call_soon(count, number)

    def count(number: int) -> None:
        nonlocal current, missing
        if number != current or ended.done():
            return
        missing -= 1
        if missing:
            return
        current, missing = current + 1, AWAITED
        if current == loops:
            ended.set_result(perf_counter())
        else:
            ask()

    started = perf_counter()
    ask()
    return await ended - started


async def lock_hand_over(loops: int) -> float:
    """Take turns by an `asyncio.Lock`, which goes to whom has waited longest."""
    lock = asyncio.Lock()
    await lock.acquire()

    async def take_turns(times: int) -> None:
        for _ in range(times):
            async with lock:
                pass

    tasks = [asyncio.create_task(take_turns(n)) for n in (loops - loops // 2, loops // 2)]
    await asyncio.sleep(0)  # Both wait for the lock now, and one will whenever it is released.
    started = perf_counter()
    lock.release()
    await asyncio.gather(*tasks)
    return perf_counter() - started


async def future_hand_over(loops: int) -> float:
    """Take turns by futures: each task awaits its own, which the other resolves."""
    new_future = asyncio.get_running_loop().create_future
    batons: list[asyncio.Future[None]] = [new_future(), new_future()]

    async def take_turns(mine: int, times: int) -> None:
        for _ in range(times):
            await batons[mine]
            batons[mine] = new_future()
            if not batons[1 - mine].done():
                batons[1 - mine].set_result(None)

    tasks = [
        asyncio.create_task(take_turns(mine, times))
        for mine, times in enumerate((loops - loops // 2, loops // 2))
    ]
    started = perf_counter()
    batons[0].set_result(None)
    await asyncio.gather(*tasks)
    return perf_counter() - started


async def lateness_ns(count: int) -> list[int]:
    """Have the loop call back, as a node's timer does."""
    loop = asyncio.get_running_loop()
    found = []
    for _ in range(count):
        called: asyncio.Future[None] = loop.create_future()
        due_ns = time.monotonic_ns() + int(TIMER_S * 1e9)
        loop.call_later(TIMER_S, called.set_result, None)
        await called
        found.append(time.monotonic_ns() - due_ns)
    return found


async def lateness_beside_work_ns(count: int) -> list[int]:
    """Do the same while another task computes, and lets the loop go on once a slice."""
    stopped = False

    async def compute() -> None:
        while not stopped:
            until = perf_counter() + SLICE_S
            while perf_counter() < until:
                sum(range(100))
            await asyncio.sleep(0)

    other = asyncio.create_task(compute())
    found = await lateness_ns(count)
    stopped = True
    await other
    return found


def cases(new_loop: NewLoop) -> dict[str, Timed | Ticking]:
    """Return the cases on one kind of event loop."""

    def run(work: Callable[[int], Coroutine[Any, Any, Any]]) -> Callable[[int], Any]:
        def measure(loops: int) -> Any:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                return runner.run(work(loops))

        return functools.wraps(work)(measure)

    eager = "an eager task" if sys.version_info >= (3, 12) else "create_task"
    return {
        "spawn_join/usual": Timed("create_task", run(spawn_join)),
        "spawn_join/fastest": Timed(eager, run(spawn_join_eagerly)),
        "one_way/usual": Timed("asyncio.Queue", run(one_way)),
        "one_way/fastest": Timed("call_soon", run(one_way_by_callback)),
        "ping_pong/usual": Timed("asyncio.Queue", run(ping_pong)),
        "ping_pong/fastest": Timed("call_soon", run(ping_pong_by_callback)),
        "majority/usual": Timed("asyncio.Queue", run(majority)),
        "majority/fastest": Timed("call_soon", run(majority_by_callback)),
        "lock_hand_over/usual": Timed("asyncio.Lock", run(lock_hand_over)),
        "lock_hand_over/fastest": Timed("two futures", run(future_hand_over)),
        "timer_lateness/idle": Ticking("call_later", run(lateness_ns)),
        "timer_lateness/busy": Ticking(
            "call_later; the other task yields every ms", run(lateness_beside_work_ns)
        ),
    }
