"""Messages within one event loop: a list a node, and an event that says it is not empty."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from raftmark.raft.links import Links
from raftmark.raft.messages import Message


class Mailbox:
    """What waits for a node's task."""

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._arrived = asyncio.Event()
        self.wake: Callable[[], None] = self._arrived.set

    def put(self, item: Any) -> None:
        """Add an item and wake the task."""
        self._items.append(item)
        self._arrived.set()

    async def drain(self) -> list[Any]:
        """All that waits, once something does or `wake` was called."""
        await self._arrived.wait()
        return self.take()

    def take(self) -> list[Any]:
        """All that waits now."""
        self._arrived.clear()
        items, self._items = self._items, []
        return items


class Transport:
    """A node's sending side."""

    def __init__(self, mailboxes: Mapping[int, Mailbox], links: Links) -> None:
        self._mailboxes = mailboxes
        self._links = links
        self._loop = asyncio.get_running_loop()
        self.messages = 0

    def send(self, messages: Iterable[Message]) -> None:
        """Put each message into its receiver's mailbox, as far as the links let it."""
        for message in messages:
            self.messages += 1
            mailbox = self._mailboxes.get(message.to)
            if mailbox is None:
                continue  # A member that was never started here.
            put = mailbox.put
            if self._links.perfect:
                put(message)
                continue
            for delay_ns in self._links.delays_ns(message.to):
                if delay_ns:
                    self._hold(time.monotonic_ns() + delay_ns, put, message)
                else:
                    put(message)

    def _hold(self, due_ns: int, put: Callable[[Message], None], message: Message) -> None:
        """Put a message when it is due; uvloop may call up to a millisecond early."""
        remaining_ns = due_ns - time.monotonic_ns()
        if remaining_ns > 0:
            self._loop.call_later(remaining_ns / 1e9, self._hold, due_ns, put, message)
        else:
            put(message)
