"""Messages within one event loop: a list a node, and a future that says it is not empty."""

import asyncio
import functools
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from raftmark.raft.links import Links
from raftmark.raft.messages import Message


class Mailbox:
    """What waits for a node's task.

    `put` adds anything, and `deliver` a message: as Raft lets any be lost, while the task does
    not take them out only so many may wait.
    """

    def __init__(self) -> None:
        # Before Python 3.12 whoever asks for it asks the system for its process each time.
        self._loop = asyncio.get_running_loop()
        self._items: list[Any] = []
        self._woken: asyncio.Future[None] = self._loop.create_future()
        self.deliver: Callable[[Message], None] = self.put

    def put(self, item: Any) -> None:
        """Add an item and wake the task."""
        if not self._items:
            self.wake()
        self._items.append(item)

    def wake(self) -> None:
        """Let the task look what there is to do."""
        if not self._woken.done():
            self._woken.set_result(None)

    def bound(self, room: int) -> None:
        """Lose messages from now on while as many items wait."""
        self.deliver = functools.partial(self._deliver_if_room, room)

    def unbound(self) -> None:
        """The task takes out what waits."""
        self.deliver = self.put

    def _deliver_if_room(self, room: int, message: Message) -> None:
        if len(self._items) < room:
            self.put(message)

    async def drain(self) -> list[Any]:
        """All that waits, once something does or `wake` was called."""
        await self._woken
        return self.take()

    def take(self) -> list[Any]:
        """All that waits now."""
        if self._woken.done():
            self._woken = self._loop.create_future()
        items, self._items = self._items, []
        return items


class Receiver(Protocol):
    """What takes messages to a node."""

    @property
    def deliver(self) -> Callable[[Message], None]:
        """Takes a message, or loses it."""


class Transport:
    """A node's sending side."""

    def __init__(self, mailboxes: Mapping[int, Receiver], links: Links) -> None:
        self._mailboxes = mailboxes
        self._links = links
        self._loop = asyncio.get_running_loop()

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
                if delay_ns:
                    self._delay(time.monotonic_ns() + delay_ns, mailbox, message)
                else:
                    mailbox.deliver(message)

    @property
    def sent_bytes(self) -> int | None:
        """None, as messages are passed as objects."""
        return None

    def _delay(self, due_ns: int, mailbox: Receiver, message: Message) -> None:
        """Deliver a message when it is due; uvloop may call up to a millisecond early."""
        remaining_ns = due_ns - time.monotonic_ns()
        if remaining_ns > 0:
            self._loop.call_later(remaining_ns / 1e9, self._delay, due_ns, mailbox, message)
        else:
            mailbox.deliver(message)
