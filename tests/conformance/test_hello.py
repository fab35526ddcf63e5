"""Framing and introductions: what every exchange with a contender rests on."""

from __future__ import annotations

import json

import pytest

from raftmark.bench.contenders.contender import Contender

from .cluster import LIVELY
from .conftest import Launch, StartCluster
from .messages import Hello, read
from .processes import memory_bytes
from .waiting import DEADLINE_S

pytestmark = pytest.mark.level("elects")

MIB = 2**20
LARGEST_ID = 2**53 - 1


def no_other_reply(contender: Contender) -> None:
    """Check that nothing but what was asked for has been answered."""
    contender.call("hello")
    with pytest.raises(TimeoutError):
        contender.next_unmatched(0)


def test_hello_tells_who_answers(contender: Contender, contender_name: str) -> None:
    hello = read(Hello, contender.call("hello"))
    assert hello.contender == contender_name.partition("@")[0]
    assert "memory" in hello.features
    assert len(hello.features) == len(set(hello.features))
    assert isinstance(hello.runtime["name"], str)
    assert isinstance(hello.runtime["version"], str)
    if hello.language == "Python":
        assert type(hello.runtime["gil"]) is bool
        assert type(hello.runtime["free_threaded"]) is bool
        assert type(hello.runtime["gc"]) is bool
    if hello.language == "Go":
        assert type(hello.runtime["gomaxprocs"]) is int


def test_hello_is_answered_beside_a_running_cluster(
    contender: Contender, start: StartCluster
) -> None:
    before = contender.call("hello")
    start(**LIVELY)
    assert contender.call("hello") == before


@pytest.mark.level("survives")
def test_every_request_gets_exactly_one_reply(contender: Contender, start: StartCluster) -> None:
    start(**LIVELY)
    replies = [contender.send(op) for _ in range(200) for op in ("hello", "status", "heal")]
    for reply in replies:
        reply.result(DEADLINE_S)
    no_other_reply(contender)


@pytest.mark.parametrize("number", [0, 1234567, LARGEST_ID])
def test_the_id_is_echoed(contender: Contender, number: int) -> None:
    # None that the suite gives out itself, or the reply would be taken for that request's.
    contender.send_line(json.dumps({"op": "hello", "id": number}).encode())
    reply = contender.next_unmatched(DEADLINE_S)
    assert reply["id"] == number
    read(Hello, reply["ok"])


def test_empty_lines_are_ignored(contender: Contender) -> None:
    contender.send_line(b"\n\n")
    no_other_reply(contender)


def test_white_space_and_the_order_of_fields_mean_nothing(contender: Contender) -> None:
    contender.send_line(b' {\t"op" :"hello" , "id": 9007199254740991 } \r')
    assert contender.next_unmatched(DEADLINE_S)["id"] == LARGEST_ID


def padded_hello(size: int) -> bytes:
    """Return a request that is a line of `size` bytes with its newline."""
    request = json.dumps({"id": LARGEST_ID, "op": "hello"}).encode()
    return request + b" " * (size - len(request) - 1)


def test_a_line_of_one_mebibyte_is_read(contender: Contender) -> None:
    contender.send_line(padded_hello(MIB))
    reply = contender.next_unmatched(DEADLINE_S)
    assert reply["id"] == LARGEST_ID
    read(Hello, reply["ok"])


@pytest.mark.level("survives")
@pytest.mark.parametrize("size", [MIB + 1, MIB + 4096, 3 * MIB])
def test_a_longer_line_is_refused_and_the_next_one_read(contender: Contender, size: int) -> None:
    contender.send_line(padded_hello(size))
    reply = contender.next_unmatched(DEADLINE_S)
    assert reply["id"] is None
    assert reply["error"]["code"] == "bad_request"
    no_other_reply(contender)


@pytest.mark.level("survives")
def test_a_line_without_end_takes_no_memory(launch: Launch) -> None:
    contender = launch()
    contender.call("hello")
    before = memory_bytes(contender.pid)
    contender.send_line(b"x" * (256 * MIB))
    assert contender.next_unmatched(DEADLINE_S)["error"]["code"] == "bad_request"
    assert memory_bytes(contender.pid) - before < 64 * MIB
