"""Whatever comes from another node's process is a message, or said to be none."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import closing

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from raftmark.impl_multiprocessing.transport import (
    HEADER,
    MAX_BODY,
    TYPES,
    Channel,
    FrameError,
    encode,
)
from raftmark.raft.messages import Message

from .damage import Damage, damages, values_of

messages = st.one_of(*map(values_of, TYPES))
due_times = st.integers(0, 2**64 - 1)
streams = st.lists(st.tuples(due_times, messages), max_size=5)


def received(data: bytes, cuts: Sequence[int] = ()) -> list[tuple[int, Message]]:
    """Return what a channel makes of bytes that come in these pieces."""
    ours, theirs = socket.socketpair()
    channel = Channel(2, ours)
    heard: list[tuple[int, Message]] = []
    with closing(ours), closing(theirs):
        ends = sorted({cut % (len(data) + 1) for cut in cuts} | {len(data)})
        for start, end in zip([0, *ends], ends, strict=False):
            rest = data[start:end]
            while rest:
                # No more than the channel takes at once, so that neither side waits.
                piece, rest = rest[: 1 << 16], rest[1 << 16 :]
                theirs.sendall(piece)
                heard += channel.read()
            assert len(channel._received) <= len(data)
    return heard


@given(streams, st.lists(st.integers(0, 2**16), max_size=5))
def test_every_message_arrives_however_the_stream_is_cut(
    stream: list[tuple[int, Message]], cuts: list[int]
) -> None:
    data = b"".join(encode(message, due_ns) for due_ns, message in stream)
    assert received(data, cuts) == stream


@given(streams, st.lists(damages(), min_size=1, max_size=3))
def test_a_damaged_stream_brings_messages_or_a_frame_error(
    stream: list[tuple[int, Message]], done: list[Damage]
) -> None:
    data = b"".join(encode(message, due_ns) for due_ns, message in stream)
    for damage in done:
        data = damage.done_to(data)
    check_received(data)


bodies = st.binary(max_size=64) | st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=8),
).map(msgspec.msgpack.encode)


@given(st.lists(st.tuples(due_times, st.integers(0, 255), bodies), max_size=3))
@example([(0, 2, b"\x98\x01\x01\x01\x01\x01\xdd\xff\xff\xff\xff")])  # 2³² - 1 entries, all missing
@example([(0, 2, b"\x98" + b"\x91" * 100_000)])
@example([(0, 0, b"\xdb\xff\xff\xff\xff")])
@example([(0, 0, b"\xc1")])
def test_any_body_is_a_message_or_a_frame_error(frames: list[tuple[int, int, bytes]]) -> None:
    check_received(b"".join(HEADER.pack(len(body), due, tag) + body for due, tag, body in frames))


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
    for due_ns, message in heard:
        [[again_ns, again]] = received(encode(message, due_ns))
        assert (again_ns, again, type(again)) == (due_ns, message, type(message))
