"""What a client and a node say to each other: the handshake, the share, and what is refused."""

from __future__ import annotations

import hmac
import struct
from typing import Any

import msgspec
import pytest

from raftmark.raft.client import Applied
from raftmark.raft.client_port import (
    MAX_BODY,
    MAX_HANDSHAKE_BODY,
    MAX_IN_FLIGHT,
    Conversation,
    Port,
)
from raftmark.raft.errors import NotLeader, Unavailable
from raftmark.raft.messages import MAX_KEY_BYTES, MAX_VALUE_BYTES, Command
from raftmark.raft.wire import FrameError

NONCE = b"n" * 16
SET = (2, 1, "set", "k", "v", None)


def frame(*message: Any) -> bytes:
    body = msgspec.msgpack.encode(message)
    return struct.pack("<I", len(body)) + body


def said(conversation: Conversation) -> list[Any]:
    """What it has to say, as the client reads it."""
    data, found = conversation.take_output(), []
    while data:
        (length,) = struct.unpack_from("<I", data)
        found.append(msgspec.msgpack.decode(data[4 : 4 + length]))
        data = data[4 + length :]
    return found


def hello(session: str = "me", version: int = 1) -> bytes:
    return frame(0, "raftmark-client", version, session, NONCE)


def greeted(port: Port | None = None) -> Conversation:
    conversation = Conversation(port or Port(2, b"", {}))
    conversation.feed(hello())
    assert conversation.next() is None
    assert said(conversation) == [[3, 2, b""]]
    return conversation


def commands(conversation: Conversation) -> list[int]:
    """The serials of all that it gives out now."""
    found = []
    while (command := conversation.next()) is not None:
        found.append(command.serial)
    return found


def test_a_client_that_says_who_it_is_may_command() -> None:
    conversation = greeted()
    conversation.feed(frame(*SET) + frame(2, 2, "get", "k", None, None))
    assert conversation.next() == Command("set", "k", "v", None, "me", 1)
    assert conversation.next() == Command("get", "k", None, None, "me", 2)
    assert conversation.next() is None
    conversation.answer(2, Applied(8, 3, "v"))
    conversation.answer(1, Applied(7, 3, None))
    assert said(conversation) == [[5, 2, 8, 3, "v"], [5, 1, 7, 3, None]]


def test_it_comes_in_any_pieces() -> None:
    conversation = Conversation(Port(2, b"", {}))
    found = []
    for byte in hello() + frame(*SET) + frame(2, 2, "cas", "k", "w", "v"):
        conversation.feed(bytes([byte]))
        found += commands(conversation)
    assert found == [1, 2]


def test_the_leader_is_named_with_its_address() -> None:
    port = Port(2, b"", {})
    conversation = greeted(port)
    port.tell({3: "127.0.0.1:4003"})
    conversation.feed(frame(*SET) * 3)
    assert commands(conversation) == [1, 1, 1]
    conversation.answer(1, NotLeader(3))
    conversation.answer(1, NotLeader(None))
    conversation.answer(1, Unavailable("node 2 is down"))
    assert said(conversation) == [
        [6, 1, "not_leader", "node 3 is the leader", 3, "127.0.0.1:4003"],
        [6, 1, "not_leader", "not the leader", None, None],
        [6, 1, "unavailable", "node 2 is down", None, None],
    ]


def test_who_sends_much_has_no_more_than_a_share_under_way() -> None:
    conversation = greeted()
    for serial in range(1, 1001):
        conversation.feed(frame(2, serial, "set", "k", "v", None))
    taken = commands(conversation)
    assert taken == list(range(1, MAX_IN_FLIGHT + 1))
    assert conversation.full
    while taken:
        conversation.answer(taken.pop(0), Applied(1, 1, None))
        taken += commands(conversation)
        assert len(taken) == conversation.in_flight <= MAX_IN_FLIGHT
    assert len(said(conversation)) == 1000


def proof(role: str, secret: bytes, asked: bytes) -> bytes:
    return hmac.digest(secret, role.encode() + hello()[4:] + asked, "sha256")


def test_who_has_the_secret_is_welcome_and_sees_that_the_node_has_it() -> None:
    conversation = Conversation(Port(2, b"secret", {}), nonce=b"N" * 16)
    conversation.feed(hello())
    assert conversation.next() is None
    assert said(conversation) == [[4, b"N" * 16]]
    conversation.feed(frame(1, proof("client", b"secret", b"N" * 16)) + frame(*SET))
    assert commands(conversation) == [1]
    assert said(conversation) == [[3, 2, proof("service", b"secret", b"N" * 16)]]


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (frame(1, b""), "a secret is wanted"),
        (frame(1, proof("client", b"other", b"N" * 16)), "the secret is wrong"),
        (frame(1, proof("service", b"secret", b"N" * 16)), "the secret is wrong"),
        (frame(*SET), "no handshake"),
    ],
)
def test_who_has_not_is_refused(shown: bytes, why: str) -> None:
    conversation = Conversation(Port(2, b"secret", {}), nonce=b"N" * 16)
    conversation.feed(hello() + shown)
    with pytest.raises(FrameError, match=why):
        conversation.next()
    assert why in said(conversation)[-1][1]
    assert conversation.session is None


@pytest.mark.parametrize(
    "data",
    [
        frame(*SET),
        frame(0, "raftmark", 1, "me", NONCE),
        frame(0, "raftmark-client", 1, "me", NONCE[1:]),
        frame(0, "raftmark-client", 1, "me"),
        frame(3, "raftmark-client", 1, "me", NONCE),
        hello(version=2),
        hello(""),
        hello("x" * 65),
        struct.pack("<I", MAX_HANDSHAKE_BODY + 1),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_who_is_no_client_is_refused(data: bytes) -> None:
    conversation = Conversation(Port(2, b"", {}))
    conversation.feed(data)
    with pytest.raises(FrameError):
        conversation.next()
    [[kind, why]] = said(conversation)
    assert kind == 7
    assert why


@pytest.mark.parametrize(
    "data",
    [
        frame(2, 0, "set", "k", "v", None),
        frame(2, -1, "set", "k", "v", None),
        frame(2, 2**53, "set", "k", "v", None),
        frame(2, 1.0, "set", "k", "v", None),
        frame(2, 1, "noop", "k", None, None),
        frame(2, 1, "remove_server", "1", None, None),
        frame(2, 1, "set", "k", None, None),
        frame(2, 1, "set", "k", "v", "w"),
        frame(2, 1, "get", "k", "v", None),
        frame(2, 1, "cas", "k", None, "w"),
        frame(2, 1, "set", "k" * (MAX_KEY_BYTES + 1), "v", None),
        frame(2, 1, "set", "é" * (MAX_KEY_BYTES // 2 + 1), "v", None),
        frame(2, 1, "set", "k", "v" * (MAX_VALUE_BYTES + 1), None),
        frame(2, 1, "cas", "k", "v", "v" * (MAX_VALUE_BYTES + 1)),
        frame(2, 1, "set", "k", "v"),
        frame(2, 1, "set", "k", "v", None, None),
        frame(9, 1, "set", "k", "v", None),
        frame("set"),
        struct.pack("<I", MAX_BODY + 1),
        struct.pack("<I", 2**32 - 1),
        struct.pack("<I", 3) + b"\xc1\xc1\xc1",
        struct.pack("<I", 0),
        struct.pack("<I", 12) + b"\x96\x02\x01\xa3set\xa1\xff\xa1v\xc0",
    ],
)
def test_what_is_no_command_ends_the_connection(data: bytes) -> None:
    conversation = greeted()
    conversation.feed(data)
    with pytest.raises(FrameError):
        conversation.next()
    assert said(conversation)[0][0] == 7


def test_the_largest_command_is_taken() -> None:
    conversation = greeted()
    value = "v" * MAX_VALUE_BYTES
    conversation.feed(frame(2, 2**53 - 1, "cas", "k" * MAX_KEY_BYTES, value, value))
    command = conversation.next()
    assert command is not None
    assert command.expect == command.value == value
