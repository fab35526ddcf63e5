"""The seminar paper's programs: `python -m raftmark.bench.primitives.models.races threads lost`.

Each is run many times, and how often it came to each outcome is printed as a JSON object.

- *unsynchronised*: with a = 1 and b = 2, one side does b = a * b while the other does a = b * b
  and at once says what a and b are;
- *channel*: the other side waits for a message that the first has done its part;
- *joined*: eight, started and joined one after the other, each count up to their number; what they
  say is in order or mixed.

(L. Kiederle, "Compare Go Parallel Programming with Python", section "Parallel processing".)
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import multiprocessing
import threading
from collections import Counter
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

COUNTERS = 8
IN_ORDER = [number for each in range(COUNTERS) for number in range(each)]
FORK = multiprocessing.get_context("fork")

Program = Callable[[], str]


class Pair:
    """The two variables."""

    def __init__(self) -> None:
        self.a = 1
        self.b = 2

    def __str__(self) -> str:
        return f"a = {self.a}, b = {self.b}"


class SharedPair:
    """The two variables in memory that two processes share."""

    def __init__(self) -> None:
        self._a: Any = FORK.RawValue("i", 1)
        self._b: Any = FORK.RawValue("i", 2)

    a = property(lambda self: self._a.value, lambda self, value: setattr(self._a, "value", value))
    b = property(lambda self: self._b.value, lambda self, value: setattr(self._b, "value", value))

    def __str__(self) -> str:
        return f"a = {self.a}, b = {self.b}"


def ordered(said: list[int]) -> str:
    """Whether the counters have counted one after the other."""
    return "in order" if said == IN_ORDER else "mixed"


def threads_unsynchronised() -> str:
    """Two threads, and nothing between them."""
    pair = Pair()

    def multiply() -> None:
        pair.b = pair.a * pair.b

    other = threading.Thread(target=multiply)
    other.start()
    pair.a = pair.b * pair.b
    outcome = str(pair)
    other.join()
    return outcome


def threads_channel() -> str:
    """Two threads, and a queue between them."""
    pair = Pair()
    done: SimpleQueue[bool] = SimpleQueue()

    def multiply() -> None:
        pair.b = pair.a * pair.b
        done.put(True)

    other = threading.Thread(target=multiply)
    other.start()
    done.get()
    pair.a = pair.b * pair.b
    outcome = str(pair)
    other.join()
    return outcome


def threads_joined() -> str:
    """Threads, each started when the one before has been joined."""
    said: list[int] = []

    def count(limit: int) -> None:
        for number in range(limit):
            said.append(number)  # noqa: PERF402 (one at a time, so that they could mix)

    for limit in range(COUNTERS):
        counter = threading.Thread(target=count, args=(limit,))
        counter.start()
        counter.join()
    return ordered(said)


async def tasks_unsynchronised() -> str:
    """Two tasks, and nothing between them: the loop changes tasks where one awaits."""
    pair = Pair()

    async def multiply() -> None:
        pair.b = pair.a * pair.b

    other = asyncio.create_task(multiply())
    pair.a = pair.b * pair.b
    outcome = str(pair)
    await other
    return outcome


async def tasks_channel() -> str:
    """Two tasks, and a queue between them."""
    pair = Pair()
    done: asyncio.Queue[bool] = asyncio.Queue()

    async def multiply() -> None:
        pair.b = pair.a * pair.b
        await done.put(True)

    other = asyncio.create_task(multiply())
    await done.get()
    pair.a = pair.b * pair.b
    outcome = str(pair)
    await other
    return outcome


async def tasks_joined() -> str:
    """Tasks, each created when the one before has been awaited."""
    said: list[int] = []

    async def count(limit: int) -> None:
        for number in range(limit):
            said.append(number)
            await asyncio.sleep(0)

    for limit in range(COUNTERS):
        await asyncio.create_task(count(limit))
    return ordered(said)


def processes_unsynchronised() -> str:
    """Two processes that share memory, and nothing else between them."""
    pair = SharedPair()

    def multiply() -> None:
        pair.b = pair.a * pair.b

    other = FORK.Process(target=multiply)
    other.start()
    pair.a = pair.b * pair.b
    outcome = str(pair)
    other.join()
    return outcome


def processes_channel() -> str:
    """Two processes that share memory, and a pipe between them."""
    pair = SharedPair()
    receiver, sender = FORK.Pipe(duplex=False)

    def multiply() -> None:
        pair.b = pair.a * pair.b
        sender.send(True)

    other = FORK.Process(target=multiply)
    other.start()
    with receiver, sender:
        receiver.recv()
        pair.a = pair.b * pair.b
        outcome = str(pair)
        other.join()
    return outcome


def processes_joined() -> str:
    """Processes, each started when the one before has been joined; they speak by one pipe."""
    receiver, sender = FORK.Pipe(duplex=False)

    def count(limit: int) -> None:
        for number in range(limit):
            sender.send(number)

    with receiver, sender:
        for limit in range(COUNTERS):
            counter = FORK.Process(target=count, args=(limit,))
            counter.start()
            counter.join()
        return ordered([receiver.recv() for _ in IN_ORDER])


PROGRAMS: dict[str, dict[str, Callable[[], Any]]] = {
    "threads": {
        "unsynchronised": threads_unsynchronised,
        "channel": threads_channel,
        "joined": threads_joined,
    },
    "tasks": {
        "unsynchronised": tasks_unsynchronised,
        "channel": tasks_channel,
        "joined": tasks_joined,
    },
    "processes": {
        "unsynchronised": processes_unsynchronised,
        "channel": processes_channel,
        "joined": processes_joined,
    },
}


def count(model: str, program: str, runs: int, event_loop: str = "asyncio") -> dict[str, int]:
    """Run a program `runs` times; return how often it came to each outcome."""
    run = PROGRAMS[model][program]
    if model != "tasks":
        return dict(Counter(run() for _ in range(runs)))
    new_loop = (
        asyncio.new_event_loop
        if event_loop == "asyncio"
        else importlib.import_module("uvloop").new_event_loop
    )
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return dict(Counter(runner.run(run()) for _ in range(runs)))


def main() -> None:
    """Run what the command line names, and print its outcomes."""
    parser = argparse.ArgumentParser(prog="raftmark.bench.primitives.models.races")
    parser.add_argument("model", choices=PROGRAMS)
    parser.add_argument("program", choices=PROGRAMS["threads"])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--event-loop", choices=["asyncio", "uvloop"], default="asyncio")
    arguments = parser.parse_args()
    found = count(arguments.model, arguments.program, arguments.runs, arguments.event_loop)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
