"""Replies: each request has one, from whoever knows it first."""

import heapq
import itertools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from raftmark.raft.host.requests import SECOND


class Request(NamedTuple):
    """A request under way. Two may have the same `id`, which is their client's."""

    id: int
    number: int


class Replies:
    """Who still waits for a reply, and until when.

    Any thread may reply: whoever comes first takes the request out, and the others find
    nobody who waits.
    """

    def __init__(self, put: Callable[[dict[str, Any]], None]) -> None:
        self._put = put
        self._numbers = itertools.count()
        self._waiting: dict[int, Request] = {}
        self._deadlines: list[tuple[int, Request, dict[str, Any]]] = []

    def expect(self, request_id: int) -> Request:
        """A request has come."""
        request = Request(request_id, next(self._numbers))
        self._waiting[request.number] = request
        return request

    def give(self, request: Request, reply: dict[str, Any]) -> None:
        """Reply to a request, unless that was done."""
        if self._waiting.pop(request.number, None) is not None:
            self._put({"id": request.id, **reply})

    def give_at(self, deadline_ns: int, request: Request, reply: dict[str, Any]) -> None:
        """Let `expire` give a reply, if there is none by then."""
        heapq.heappush(self._deadlines, (deadline_ns, request, reply))

    def expire(self) -> float | None:
        """Give the replies whose deadline has passed; seconds to the next one."""
        now_ns = time.monotonic_ns()
        while self._deadlines:
            deadline_ns, request, reply = self._deadlines[0]
            if deadline_ns > now_ns and request.number in self._waiting:
                return (deadline_ns - now_ns) / SECOND
            heapq.heappop(self._deadlines)
            self.give(request, reply)
        return None
