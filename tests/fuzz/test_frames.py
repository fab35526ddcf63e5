"""Whatever comes from another node is a message, or said to be none."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from raftmark.raft.handshake import (
    MAX_HANDSHAKE_BODY,
    Dialler,
    Identity,
    Listener,
    Refused,
    frame,
)
from raftmark.raft.messages import Message
from raftmark.raft.wire import HEADER, MAX_BODY, TYPES, FrameError, Incoming, encode

from .damage import Damage, damages, values_of

messages = st.one_of(*map(values_of, TYPES))
delays = st.integers(0, 2**64 - 1)
streams = st.lists(st.tuples(delays, messages), max_size=5)


def pieces_of(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Return the bytes in pieces, cut at these places modulo what there is."""
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def received(data: bytes, cuts: Sequence[int] = ()) -> list[tuple[int, Message]]:
    """Return the messages in bytes that come in these pieces."""
    incoming = Incoming()
    heard: list[tuple[int, Message]] = []
    for piece in pieces_of(data, cuts):
        incoming.feed(piece)
        heard += incoming.messages()
        assert len(incoming._received) <= len(data)
    return heard


@given(streams, st.lists(st.integers(0, 2**16), max_size=5))
def test_every_message_arrives_however_the_stream_is_cut(
    stream: list[tuple[int, Message]], cuts: list[int]
) -> None:
    data = b"".join(encode(message, delay_ns) for delay_ns, message in stream)
    assert received(data, cuts) == stream


@given(streams, st.lists(damages(), min_size=1, max_size=3))
def test_a_damaged_stream_brings_messages_or_a_frame_error(
    stream: list[tuple[int, Message]], done: list[Damage]
) -> None:
    data = b"".join(encode(message, delay_ns) for delay_ns, message in stream)
    for damage in done:
        data = damage.done_to(data)
    check_received(data)


bodies = st.binary(max_size=64) | st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=8),
).map(msgspec.msgpack.encode)


@given(st.lists(st.tuples(delays, st.integers(0, 255), bodies), max_size=3))
@example([(0, 2, b"\x98\x01\x01\x01\x01\x01\xdd\xff\xff\xff\xff")])  # 2³² - 1 entries, all missing
@example([(0, 2, b"\x98" + b"\x91" * 100_000)])
@example([(0, 0, b"\xdb\xff\xff\xff\xff")])
@example([(0, 0, b"\xc1")])
def test_any_body_is_a_message_or_a_frame_error(frames: list[tuple[int, int, bytes]]) -> None:
    check_received(
        b"".join(HEADER.pack(len(body), delay, tag) + body for delay, tag, body in frames)
    )


@pytest.mark.parametrize(
    ("length", "tag"), [(2**32 - 1, 0), (MAX_BODY + 1, 0), (1, len(TYPES)), (0, 255)]
)
def test_what_no_node_sends_is_refused_before_it_has_come(length: int, tag: int) -> None:
    with pytest.raises(FrameError, match=f"no frame: type {tag}, {length} bytes"):
        received(HEADER.pack(length, 0, tag))


def check_received(data: bytes) -> None:
    try:
        heard = received(data)
    except FrameError:
        return
    for delay_ns, message in heard:
        [[again_ns, again]] = received(encode(message, delay_ns))
        assert (again_ns, again, type(again)) == (delay_ns, message, type(message))


# -- with a handshake before them --------------------------------------------------------------

ONE, TWO = Identity(1, "a cluster"), Identity(2, "a cluster")
HELLO = Dialler(ONE, 2, nonce=bytes(16)).take_output()
answers = st.tuples(st.integers(126, 134), st.lists(st.text(max_size=3) | st.binary(max_size=32)))
streams_of_answers = st.lists(answers, max_size=3).map(
    lambda frames: b"".join(frame(tag, msgspec.msgpack.encode(body)) for tag, body in frames)
)


@given(st.lists(damages(), min_size=1, max_size=3), st.lists(st.integers(0, 2**16), max_size=5))
def test_a_damaged_hello_is_welcomed_waited_for_or_refused_in_words(
    done: list[Damage], cuts: list[int]
) -> None:
    data = HELLO
    for damage in done:
        data = damage.done_to(data)
    check_listener(data, cuts)


@given(st.binary(max_size=256), st.lists(st.integers(0, 2**16), max_size=5))
@example(HEADER.pack(5000, 0, 128) + bytes(5000), [])
@example(HEADER.pack(4000, 0, 128) + b"\x91" * 4000, [])
@example(HEADER.pack(4000, 0, 128) + b"\x96\xa8raftmark\x01" + b"\x91" * 3989, [])
def test_a_listener_takes_any_bytes(data: bytes, cuts: list[int]) -> None:
    check_listener(data, cuts)


@given(streams, st.lists(damages(), max_size=3), st.lists(st.integers(0, 2**16), max_size=5))
def test_what_a_listener_hands_on_is_from_its_dialler_to_its_node(
    stream: list[tuple[int, Message]], done: list[Damage], cuts: list[int]
) -> None:
    stream = [(delay_ns, message._replace(sender=1, to=2)) for delay_ns, message in stream]
    data = b"".join(encode(message, delay_ns) for delay_ns, message in stream)
    for damage in done:
        data = damage.done_to(data)
    for _, message in check_listener(HELLO + data, cuts):
        assert (message.sender, message.to) == (1, 2)


@given(st.binary(max_size=256) | streams_of_answers, st.lists(st.integers(0, 2**16), max_size=5))
def test_a_dialler_takes_any_bytes(data: bytes, cuts: list[int]) -> None:
    dialler = Dialler(ONE, 2)
    refusal = ""
    try:
        for piece in pieces_of(data, cuts):
            dialler.receive(piece)
    except FrameError as error:
        refusal = str(error)
    assert refusal.isprintable()
    assert len(dialler._incoming._received) <= HEADER.size + MAX_HANDSHAKE_BODY


def check_listener(data: bytes, cuts: Sequence[int]) -> list[tuple[int, Message]]:
    """Give these bytes to a listener; what it hands on. Only a FrameError is raised."""
    listener = Listener(TWO, lambda node: node == 1)
    heard: list[tuple[int, Message]] = []
    refusal = ""
    try:
        for piece in pieces_of(data, cuts):
            heard += listener.receive(piece)
    except FrameError as error:
        refusal = str(error)
        assert isinstance(error, Refused) == (listener.peer is None)  # noqa: PT017 (either)
    if refusal and listener.peer is None:
        assert msgspec.msgpack.encode(refusal) in listener.take_output()
    assert len(listener._incoming._received) <= len(data)
    return heard
