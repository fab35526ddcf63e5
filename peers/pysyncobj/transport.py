"""The library's transport, whose messages can be lost and late on purpose, and its nodes."""

import time
from collections.abc import Mapping
from typing import Any

from pysyncobj.node import Node, TCPNode
from pysyncobj.transport import TCPTransport

from raftmark.raft.deployed import Address
from raftmark.raft.links import DelayLine, Links


class Member(TCPNode):  # type: ignore[misc]
    """A node by its name, wherever it listens: the library's own are their addresses.

    So a node whose program is another one by now, at another port, is the same node. The name has
    the cluster's in it, so that none is taken for another cluster's.
    """

    def __init__(self, cluster: str, number: int, places: Mapping[int, Address]) -> None:
        Node.__init__(self, f"{cluster}/{number}")
        self.number = number
        self._places = places

    @property
    def address(self) -> str:
        """What it is called in handshakes, and in the journal where it got a vote."""
        return str(self.id)

    @property
    def ip(self) -> str | None:
        """Where it is dialled, None while that is not known."""
        place = self._places.get(self.number)
        return None if place is None else place.host

    @property
    def port(self) -> int:
        """Where it is dialled, 0 while that is not known."""
        place = self._places.get(self.number)
        return 0 if place is None else place.port


def number_of(name: str | None) -> int | None:
    """The number of the node that has this name, None without one."""
    return None if name is None else int(name.rpartition("/")[2])


class LinkedTransport(TCPTransport):  # type: ignore[misc]
    """Sends over a node's links, which may cut, lose, repeat or hold what is sent."""

    def __init__(self, store: Any, own: Member, others: set[Member], links: Links) -> None:
        super().__init__(store, own, others)
        self._links = links
        self._line: DelayLine[tuple[Member, dict[str, Any]]] = DelayLine()
        self.messages = 0

    def send(self, node: Member, message: dict[str, Any]) -> bool:
        """Send a message, as the link to the node lets it; whether it may arrive."""
        self.messages += 1
        if self._links.perfect:
            return bool(super().send(node, message))
        for delay_ns in self._links.delays_ns(node.number):
            if delay_ns:
                self._line.push(time.monotonic_ns() + delay_ns, (node, message))
            else:
                super().send(node, message)
        return True

    def send_due(self) -> None:
        """Send what was held for long enough."""
        for node, message in self._line.pop_due(time.monotonic_ns()):
            super().send(node, message)

    def wait_s(self, longest_s: float) -> float:
        """For how long there is nothing to send, though not for longer than that."""
        due_ns = self._line.next_due_ns
        if due_ns is None:
            return longest_s
        return min(longest_s, max(0.0, (due_ns - time.monotonic_ns()) / 1e9))
