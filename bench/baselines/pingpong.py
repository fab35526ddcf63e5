"""What a message and its answer cost in each Python model: two parties, 64 bytes, no work.

A pyperf script: each value is the time of one round trip, measured in a worker process of its
own. Nothing is started at import, because every worker imports this file again.

- threads: two threads, a `SimpleQueue` each;
- asyncio: two tasks of one loop, an `Event` each, as a node's task waits for its mailbox;
- processes: two processes and a pair of connected sockets.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import threading
from queue import SimpleQueue
from time import perf_counter

import pyperf

_MESSAGE = b"x" * 64


def threads(loops: int) -> float:
    """Return the seconds of `loops` round trips between two threads."""
    there: SimpleQueue[bytes | None] = SimpleQueue()
    back: SimpleQueue[bytes] = SimpleQueue()

    def answer() -> None:
        while (message := there.get()) is not None:
            back.put(message)

    other = threading.Thread(target=answer)
    other.start()
    started = perf_counter()
    for _ in range(loops):
        there.put(_MESSAGE)
        back.get()
    elapsed = perf_counter() - started
    there.put(None)
    other.join()
    return elapsed


def tasks(loops: int) -> float:
    """Return the seconds of `loops` round trips between two asyncio tasks."""

    async def exchange() -> float:
        there, back = asyncio.Event(), asyncio.Event()

        async def answer() -> None:
            for _ in range(loops):
                await there.wait()
                there.clear()
                back.set()

        other = asyncio.create_task(answer())
        started = perf_counter()
        for _ in range(loops):
            there.set()
            await back.wait()
            back.clear()
        elapsed = perf_counter() - started
        await other
        return elapsed

    return asyncio.run(exchange())


def processes(loops: int) -> float:
    """Return the seconds of `loops` round trips between two processes."""
    here, there = socket.socketpair()
    other = multiprocessing.get_context("fork").Process(target=_echo, args=(here, there))
    other.start()
    there.close()
    with here:
        # The clock starts when the other process is there.
        here.sendall(_MESSAGE)
        here.recv(len(_MESSAGE))
        started = perf_counter()
        for _ in range(loops):
            here.sendall(_MESSAGE)
            here.recv(len(_MESSAGE))
        elapsed = perf_counter() - started
    other.join()
    return elapsed


def _echo(parents_end: socket.socket, end: socket.socket) -> None:
    parents_end.close()
    while message := end.recv(len(_MESSAGE)):
        end.sendall(message)


def main() -> None:
    """Measure the three."""
    runner = pyperf.Runner()
    runner.bench_time_func("threading", threads)
    runner.bench_time_func("asyncio", tasks)
    runner.bench_time_func("multiprocessing", processes)


if __name__ == "__main__":
    main()
