"""The bare programs: the same clients, batches and messages as the contenders', without any Raft.

A leader and two followers pass on what clients ask for: a turn's commands are one message to each
follower, which acknowledges it, and the first acknowledgement answers the clients. There is no log,
no save, no state machine, no election and no fault. So what a contender reaches of it is what Raft
leaves of its model. Run as a program it prints one JSON object: `commands` in `seconds`.

- asyncio: a task for each node and for each client, which awaits a future;
- threads: a thread for each node; a client is a callback in the leader's;
- processes: a process for each node, and MessagePack frames over a socket pair to each follower;
  a client is a callback in the leader's.

Go's is a benchmark, `go_reference/bare_test.go`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count, cycle, repeat
from queue import SimpleQueue
from typing import Any, NamedTuple

import msgspec

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


class Callbacks:
    """Clients that are callbacks in the leader's: what they ask for gathers until it is taken."""

    def __init__(self, load: Load) -> None:
        self.running = load.outstanding
        self._tally, self._leader = Tally(load), Leader()
        self._commands: list[Any] = []
        self._waiting: list[Callable[[], None]] = []
        for number in range(load.outstanding):
            self._client(number)()

    def message(self) -> tuple[int, list[Any]] | None:
        """What the clients ask for by now, if anything."""
        if not self._commands:
            return None
        message = self._leader.send(self._commands, self._waiting)
        self._commands, self._waiting = [], []
        return message

    def hear(self, number: int) -> None:
        """Answer whoever waited for this message, or for one before it."""
        for answered in list(self._leader.acknowledged(number)):
            answered()

    def result(self) -> dict[str, float]:
        """What is printed."""
        return self._tally.result()

    def _client(self, number: int) -> Callable[[], None]:
        own = commands_of(number)
        sent_ns = 0

        def answered() -> None:
            nonlocal sent_ns
            now_ns = time.monotonic_ns()
            if sent_ns and not self._tally.record(sent_ns, now_ns):
                self.running -= 1
                return
            sent_ns = now_ns
            self._commands.append(next(own))
            self._waiting.append(answered)

        return answered


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
    clients = Callbacks(load)
    while clients.running:
        if (message := clients.message()) is not None:
            for queue in to_followers:
                queue.put(message)
        clients.hear(to_leader.get())
    for queue in to_followers:
        queue.put(None)
    for follower in followers:
        follower.join()
    return clients.result()


class Frames:
    """One end of a socket pair: values as MessagePack, each with its length before it."""

    _LENGTH = struct.Struct("<I")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._rest = bytearray()
        self._decode = msgspec.msgpack.Decoder().decode

    def fileno(self) -> int:
        """For whoever waits for several."""
        return self.sock.fileno()

    def send(self, frame: bytes) -> None:
        """Send what `frame` has made."""
        self.sock.sendall(frame)

    @classmethod
    def frame(cls, value: Any) -> bytes:
        """A value's frame."""
        body = msgspec.msgpack.encode(value)
        return cls._LENGTH.pack(len(body)) + body

    def read(self) -> list[Any]:
        """The values that have come whole, once something has. EOFError at the end."""
        rest = self._rest
        data = self.sock.recv(1 << 16)
        if not data:
            raise EOFError
        rest += data
        values, start = [], 0
        while len(rest) - start >= self._LENGTH.size:
            begin = start + self._LENGTH.size
            end = begin + self._LENGTH.unpack_from(rest, start)[0]
            if len(rest) < end:
                break
            values.append(self._decode(rest[begin:end]))
            start = end
        del rest[:start]
        return values


def processes(load: Load) -> dict[str, float]:
    """Measure processes; the leader is this one."""
    context = multiprocessing.get_context("fork")
    ours: list[Frames] = []
    followers = []
    for _ in range(FOLLOWERS):
        mine, theirs = socket.socketpair()
        ours.append(Frames(mine))
        # A fork has what was open: an end that it kept would hide that the leader is gone.
        followers.append(context.Process(target=_follow, args=(theirs, [*ours])))
        followers[-1].start()
        theirs.close()
    clients = Callbacks(load)
    while clients.running:
        if (message := clients.message()) is not None:
            frame = Frames.frame(message)
            for follower in ours:
                follower.send(frame)
        for follower in select.select(ours, (), ())[0]:
            for number in follower.read():
                clients.hear(number)
    for channel in ours:
        channel.sock.close()
    for process in followers:
        process.join()
    return clients.result()


def _follow(sock: socket.socket, leaders: Sequence[Frames]) -> None:
    for each in leaders:
        each.sock.close()
    leader = Frames(sock)
    try:
        while True:
            for number, _ in leader.read():
                leader.send(Frames.frame(number))
    except (EOFError, OSError):
        sock.close()


MODELS: dict[str, Callable[[Load], dict[str, float]]] = {
    "asyncio": lambda load: asyncio.run(tasks(load)),
    "threading": threads,
    "multiprocessing": processes,
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
