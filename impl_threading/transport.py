"""Messages between threads: each node has a queue, and a send is a put."""

import functools
import queue
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from raftmark.raft.links import Links
from raftmark.raft.messages import Message


class Delayed(NamedTuple):
    """A message that a slow link holds until `due_ns`."""

    due_ns: int
    message: Message


class Mailbox:
    """What waits for a node's thread, which alone takes it out.

    `put` adds anything, and `deliver` a message: as Raft lets any be lost, while the thread does
    not take them out only so many may wait.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.put: Callable[[Any], None] = self._queue.put
        self.deliver: Callable[[Message | Delayed], None] = self.put

    def bound(self, room: int) -> None:
        """Lose messages from now on while as many items wait."""
        self.deliver = functools.partial(self._deliver_if_room, room)

    def unbound(self) -> None:
        """The thread takes out what waits."""
        self.deliver = self.put

    def _deliver_if_room(self, room: int, message: Message | Delayed) -> None:
        if self._queue.qsize() < room:
            self.put(message)

    def drain(self, timeout_s: float) -> list[Any]:
        """All that waits; if nothing does, what comes first within `timeout_s`."""
        get = self._queue.get
        items = []
        if timeout_s and self._queue.empty():
            try:
                items.append(get(timeout=timeout_s))
            except queue.Empty:
                return items
        items += [get() for _ in range(self._queue.qsize())]
        return items


class Receiver(Protocol):
    """Where a message goes."""

    @property
    def deliver(self) -> Callable[[Message | Delayed], None]:
        """Take a message, or lose it; never blocks."""


class Transport:
    """A node's sending side."""

    def __init__(self, mailboxes: Mapping[int, Receiver], links: Links) -> None:
        self._mailboxes = mailboxes
        self._links = links

    @property
    def sent_bytes(self) -> int | None:
        """Of all that was sent; None where messages are objects."""
        return None

    def send(self, messages: Iterable[Message]) -> None:
        """Put each message into its receiver's mailbox, as far as the links let it."""
        for message in messages:
            mailbox = self._mailboxes.get(message.to)
            if mailbox is None:
                continue  # A member that was never started here.
            if self._links.perfect:
                mailbox.deliver(message)
                continue
            for delay_ns in self._links.delays_ns(message.to):
                due_ns = time.monotonic_ns() + delay_ns
                mailbox.deliver(Delayed(due_ns, message) if delay_ns else message)
