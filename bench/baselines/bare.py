"""The bare programs: the same clients, batches and messages as the contenders', without any Raft.

A leader and two followers pass on what clients ask for: a turn's commands are one message to each
follower, which acknowledges it, and the first acknowledgement answers the clients. There is no log,
no save, no state machine, no election and no fault. So what a contender reaches of it is what Raft
leaves of its model. Run as a program it prints one JSON object: `commands` in `seconds`.

- asyncio: a task for each node and for each client, which awaits a future;
- threads: a thread for each node; a client is a callback in the leader's.

Go's is a benchmark, `go_reference/bare_test.go`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count, cycle, repeat
from queue import SimpleQueue
from typing import Any, NamedTuple

FOLLOWERS = 2
_VALUE = "x" * 64
_KEYS = 1000


class Load(NamedTuple):
    """The closed loop: commands outstanding, and the seconds of its two parts."""

    outstanding: int
    warmup_s: float
    duration_s: float


class Tally:
    """What was answered, and when clients are to end."""

    def __init__(self, load: Load) -> None:
        self._begin_ns = time.monotonic_ns() + int(load.warmup_s * 1e9)
        self._end_ns = self._begin_ns + int(load.duration_s * 1e9)
        self._seconds = load.duration_s
        self._latencies_ns: list[int] = []

    def record(self, sent_ns: int, now_ns: int) -> bool:
        """Record an answer; whether its client goes on."""
        if now_ns >= self._begin_ns:
            if now_ns >= self._end_ns:
                return False
            self._latencies_ns.append(now_ns - sent_ns)
        return True

    def result(self) -> dict[str, float]:
        """What is printed."""
        return {"commands": len(self._latencies_ns), "seconds": self._seconds}


class Leader:
    """What the leader keeps: the clients that wait, by the message in which their commands left."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, list[Any]]] = deque()
        self._sent = 0

    def send(self, commands: list[Any], waiting: list[Any]) -> tuple[int, list[Any]]:
        """The message of a turn."""
        self._sent += 1
        self._waiting.append((self._sent, waiting))
        return self._sent, commands

    def acknowledged(self, number: int) -> Iterator[Any]:
        """Who was waiting for this one and those before it."""
        while self._waiting and self._waiting[0][0] <= number:
            yield from self._waiting.popleft()[1]


def commands_of(client: int) -> Iterator[tuple[Any, ...]]:
    """A client's commands."""
    # A client has a session's name, and takes the keys in turn.
    keys = [f"key-{n}" for n in range(_KEYS)]
    fields = repeat("set"), cycle(keys), repeat(_VALUE), repeat(None), repeat(f"client-{client}")
    return zip(*fields, count(1), strict=False)


async def tasks(load: Load) -> dict[str, float]:
    """Measure tasks of one event loop."""
    loop = asyncio.get_running_loop()
    arrived = [asyncio.Event() for _ in range(1 + FOLLOWERS)]
    boxes: list[list[Any]] = [[] for _ in arrived]

    def put(node: int, item: Any) -> None:
        boxes[node].append(item)
        arrived[node].set()

    async def drained(node: int) -> list[Any]:
        await arrived[node].wait()
        arrived[node].clear()
        items, boxes[node] = boxes[node], []
        return items

    async def follow(node: int) -> None:
        while True:
            for number, _ in await drained(node):
                put(0, number)

    async def lead() -> None:
        leader = Leader()
        while True:
            commands, waiting = [], []
            for item in await drained(0):
                if isinstance(item, int):
                    for future in leader.acknowledged(item):
                        future.set_result(None)
                else:
                    commands.append(item[0])
                    waiting.append(item[1])
            if commands:
                message = leader.send(commands, waiting)
                for node in range(1, 1 + FOLLOWERS):
                    put(node, message)

    tally = Tally(load)

    async def client(number: int) -> None:
        sent_ns = time.monotonic_ns()
        for command in commands_of(number):
            future = loop.create_future()
            put(0, (command, future))
            await future
            now_ns = time.monotonic_ns()
            if not tally.record(sent_ns, now_ns):
                return
            sent_ns = now_ns

    nodes = [asyncio.create_task(lead())]
    nodes += [asyncio.create_task(follow(node)) for node in range(1, 1 + FOLLOWERS)]
    async with asyncio.TaskGroup() as clients:
        for number in range(load.outstanding):
            clients.create_task(client(number))
    for node in nodes:
        node.cancel()
    await asyncio.wait(nodes)
    return tally.result()


def threads(load: Load) -> dict[str, float]:
    """Measure threads."""
    to_leader: SimpleQueue[int] = SimpleQueue()
    to_followers: list[SimpleQueue[Any]] = [SimpleQueue() for _ in range(FOLLOWERS)]

    def follow(messages: SimpleQueue[Any]) -> None:
        while (message := messages.get()) is not None:
            to_leader.put(message[0])

    followers = [threading.Thread(target=follow, args=(queue,)) for queue in to_followers]
    for follower in followers:
        follower.start()
    tally, leader = Tally(load), Leader()
    commands: list[Any] = []
    waiting: list[Callable[[], None]] = []
    running = load.outstanding

    def client(number: int) -> Callable[[], None]:
        own = commands_of(number)
        sent_ns = 0

        def answered() -> None:
            nonlocal sent_ns, running
            now_ns = time.monotonic_ns()
            if sent_ns and not tally.record(sent_ns, now_ns):
                running -= 1
                return
            sent_ns = now_ns
            commands.append(next(own))
            waiting.append(answered)

        return answered

    for number in range(load.outstanding):
        client(number)()
    while running:
        if commands:
            message = leader.send(commands, waiting)
            for queue in to_followers:
                queue.put(message)
            commands, waiting = [], []
        for answered in list(leader.acknowledged(to_leader.get())):
            answered()
    for queue in to_followers:
        queue.put(None)
    for follower in followers:
        follower.join()
    return tally.result()


MODELS: dict[str, Callable[[Load], dict[str, float]]] = {
    "asyncio": lambda load: asyncio.run(tasks(load)),
    "threading": threads,
}


def main() -> None:
    """Measure one model at one load."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--outstanding", type=int, default=64)
    parser.add_argument("--warmup", type=float, default=0.3, help="seconds")
    parser.add_argument("--duration", type=float, default=1.0, help="seconds")
    options = parser.parse_args()
    load = Load(options.outstanding, options.warmup, options.duration)
    gc.disable()  # As in the contenders.
    print(json.dumps(MODELS[options.model](load)))


if __name__ == "__main__":
    main()
