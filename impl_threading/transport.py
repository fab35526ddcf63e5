"""Messages between threads: each node has a queue, and a send is a put."""

import math
import queue
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from raftmark.raft.links import Links
from raftmark.raft.messages import Message


class Delayed(NamedTuple):
    """A message that a slow link holds until `due_ns`."""

    due_ns: int
    message: Message


class Mailbox:
    """What waits for a node's thread, which alone takes it out.

    `room` is how much may wait before messages are lost: any while the thread takes them out.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.put = self._queue.put
        self.room = math.inf

    def deliver(self, message: Message | Delayed) -> None:
        """Add a message, or lose it, as Raft lets any be lost."""
        if self._queue.qsize() < self.room:
            self.put(message)

    def drain(self, timeout_s: float) -> list[Any]:
        """All that waits; if nothing does, what comes first within `timeout_s`."""
        get = self._queue.get
        try:
            first = get(timeout=timeout_s)
        except queue.Empty:
            return []
        return [first, *(get() for _ in range(self._queue.qsize()))]


class Transport:
    """A node's sending side."""

    def __init__(self, mailboxes: Mapping[int, Mailbox], links: Links) -> None:
        self._mailboxes = mailboxes
        self._links = links

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
