"""Each request has one reply, whoever else would give one too."""

from __future__ import annotations

import threading
import time
from typing import Any

from raftmark.raft.host.replies import Replies, Request

LATE: dict[str, Any] = {"error": "late"}


def test_only_the_first_reply_is_given() -> None:
    given: list[dict[str, Any]] = []
    replies = Replies(given.append)
    request = replies.expect(7)
    replies.give(request, {"ok": 1})
    replies.give(request, {"ok": 2})
    assert given == [{"id": 7, "ok": 1}]


def test_two_requests_of_the_same_id_have_a_reply_each() -> None:
    given: list[dict[str, Any]] = []
    replies = Replies(given.append)
    for number, request in enumerate([replies.expect(7), replies.expect(7)]):
        replies.give(request, {"ok": number})
    assert given == [{"id": 7, "ok": 0}, {"id": 7, "ok": 1}]


def test_a_deadline_is_for_those_who_have_no_reply_yet() -> None:
    given: list[dict[str, Any]] = []
    replies = Replies(given.append)
    now_ns = time.monotonic_ns()
    answered, late, patient = (replies.expect(n) for n in range(3))
    for request, deadline_ns in ((answered, now_ns), (late, now_ns), (patient, now_ns + 10**12)):
        replies.give_at(deadline_ns, request, LATE)
    replies.give(answered, {"ok": 1})
    seconds = replies.expire()
    assert seconds is not None
    assert 900 < seconds <= 1000
    assert given == [{"id": 0, "ok": 1}, {"id": 1, **LATE}]
    replies.give(late, {"ok": 1})
    replies.give(patient, {"ok": 1})
    assert replies.expire() is None
    assert given[2:] == [{"id": 2, "ok": 1}]


def test_of_many_threads_one_replies() -> None:
    given: list[dict[str, Any]] = []
    replies = Replies(given.append)
    waiting = [replies.expect(n) for n in range(2000)]
    together = threading.Barrier(4)

    def give_all(waiting: list[Request]) -> None:
        together.wait()
        for request in waiting:
            replies.give(request, {"ok": {}})

    threads = [threading.Thread(target=give_all, args=(waiting,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reply["id"] for reply in given) == list(range(2000))
