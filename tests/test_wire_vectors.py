"""The bytes between node programs are the same in every language: vectors that all must speak.

The vectors are what the Python modules wrote when they were made; Go's tests read them too.
`python -m tests.test_wire_vectors` writes the file anew, for a deliberate change of format.
"""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest

from raftmark.raft.handshake import HELLO, PROOF, Dialler, Identity, Listener, Refused, frame
from raftmark.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    Command,
    Configuration,
    Entry,
    InstallSnapshot,
    InstallSnapshotReply,
    Item,
    Message,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from raftmark.raft.wire import HEADER, MAX_BODY, MAX_LISTED, TAGS, FrameError, encode

VECTORS = Path(__file__).with_name("vectors") / "wire.json"

SET = Command("set", "k", "v")
PAIR = Configuration((1, 2))
LARGEST = 2**63 - 1

MESSAGES: dict[str, tuple[int, Message]] = {
    "a vote is asked for": (0, RequestVote(3, 1, 2, 7, 2)),
    "a pre-vote": (0, RequestVote(4, 1, 2, 7, 2, True)),
    "a transfer": (0, RequestVote(4, 1, 2, 7, 2, False, True)),
    "a vote": (0, RequestVoteReply(3, 1, 2, True)),
    "no pre-vote": (0, RequestVoteReply(3, 1, 2, False, True)),
    "a heartbeat": (0, AppendEntries(3, 1, 2, 7, 2, (), 6, 12)),
    "a heartbeat on a slow link": (12_345_678_901, AppendEntries(3, 1, 2, 7, 2, (), 6, 12)),
    "entries": (
        0,
        AppendEntries(
            3,
            1,
            2,
            7,
            2,
            (
                Entry(2, Command("noop")),
                Entry(2, SET),
                Entry(2, Command("get", "ключ 鍵 \0\n")),
                Entry(3, Command("cas", "k", "new", "v", "client-0", 300)),
                Entry(3, Command("cas", "k", None, None)),
                Entry(3, Command("add_server", "4")),
                Entry(3, Command("promote_server", "4")),
                Entry(3, Command("remove_server", "1")),
            ),
            6,
            70_000,
        ),
    ),
    "as many entries as a short array has not": (
        0,
        AppendEntries(3, 1, 2, 7, 2, (Entry(3, SET),) * 16, 6),
    ),
    "a long value": (
        0,
        AppendEntries(3, 1, 2, 7, 2, (Entry(3, SET._replace(value="é" * 200)),), 6),
    ),
    "an answer": (0, AppendEntriesReply(3, 1, 2, True, 2**40, round=2**33)),
    "a refusal": (0, AppendEntriesReply(3, 1, 2, False, 300, 200, 2, 12)),
    "a piece of a snapshot": (
        0,
        InstallSnapshot(
            3,
            1,
            2,
            40,
            2,
            Configuration((1, 2, 300), (4,)),
            128,
            (Item("k", "v", 0), Item("", None, 0), Item("c", True, 258), Item("d", "é", 1)),
            True,
            5,
        ),
    ),
    "a piece was taken": (0, InstallSnapshotReply(3, 1, 2, 40, 129)),
    "a handover": (0, TimeoutNow(3, 1, 2)),
    "the largest numbers": (
        60_000_000_000,
        AppendEntriesReply(LARGEST, 1, 2, True, LARGEST, LARGEST, LARGEST, LARGEST),
    ),
}


def raw(tag: int, *fields: Any, delay_ns: int = 0) -> bytes:
    """Return the frame of a message that need be none."""
    body = msgspec.msgpack.encode(fields)
    return HEADER.pack(len(body), delay_ns, tag) + body


def of_body(tag: int, body: bytes) -> bytes:
    return HEADER.pack(len(body), 0, tag) + body


def entry(*fields: Any, term: Any = 3) -> bytes:
    """Return AppendEntries in term 3 after one of term 2, with this entry's command."""
    return raw(2, 3, 1, 2, 7, 2, [[term, fields]], 6, 1)


def snapshot(configuration: Any, *items: Any) -> bytes:
    return raw(4, 3, 1, 2, 40, 2, configuration, 0, items, True, 0)


# Frames from node 1 to node 2, after their handshake, each of which ends the connection.
BAD_FRAMES: dict[str, bytes] = {
    "no type of message": raw(7, 3, 1, 2),
    "a handshake's type": raw(128, 3, 1, 2),
    "too long": HEADER.pack(MAX_BODY + 1, 0, 2),
    "a gibibyte": HEADER.pack(1 << 30, 0, 2),
    "an empty body": of_body(6, b""),
    "no MessagePack": of_body(6, b"\xc1"),
    "a map": of_body(6, b"\x80"),
    "half a message": of_body(6, b"\x93\x03\x01"),
    "more than a message": of_body(6, b"\x93\x03\x01\x02\x00"),
    "a field too few": raw(6, 3, 1),
    "a field too many": raw(6, 3, 1, 2, 4),
    "another's name": raw(6, 3, 3, 2),
    "to another": raw(6, 3, 1, 3),
    "a negative term": raw(6, -1, 1, 2),
    "a term too large": raw(6, 2**63, 1, 2),
    "a term that is a text": raw(6, "3", 1, 2),
    "a term that is a fraction": raw(6, 3.5, 1, 2),
    "a term that is nothing": raw(6, None, 1, 2),
    "a negative index": raw(3, 3, 1, 2, True, -1, 0, 0, 0),
    "an index too large": raw(3, 3, 1, 2, True, 2**63, 0, 0, 0),
    "a number for a truth": raw(1, 3, 1, 2, 1, False),
    "held for too long": raw(6, 3, 1, 2, delay_ns=60_000_000_001),
    "entries that are none": raw(2, 3, 1, 2, 7, 2, 5, 6, 1),
    "an array that announces four thousand million entries": of_body(
        2, b"\x98\x03\x01\x02\x07\x02\xdd\xff\xff\xff\xff"
    ),
    "nested deeply": of_body(2, b"\x98\x03\x01\x02\x07\x02" + b"\x91" * 2000),
    "a text that announces four gibibytes": of_body(
        2, b"\x98\x03\x01\x02\x07\x02\x91\x92\x03\x96\xdb\xff\xff\xff\xff"
    ),
    "a text that is no UTF-8": of_body(
        2, b"\x98\x03\x01\x02\x07\x02\x91\x92\x03\x96\xa3set\xa1\xff\xa1v\xc0\xc0\x00\x06\x01"
    ),
    "half a surrogate": of_body(
        2,
        b"\x98\x03\x01\x02\x07\x02\x91\x92\x03\x96\xa3set\xa3\xed\xa0\x80\xa1v\xc0\xc0\x00\x06\x01",
    ),
    "bytes for a text": entry("set", b"k", "v", None, None, 0),
    "no operation": entry("put", "k", "v", None, None, 0),
    "a key that is nothing": entry("set", None, "v", None, None, 0),
    "a negative serial": entry("set", "k", "v", None, "c", -1),
    "a serial too large": entry("set", "k", "v", None, "c", 2**63),
    "no field of a command": entry(),
    "no server": entry("add_server", "four", None, None, None, 0),
    "a server without a number": entry("add_server", "", None, None, None, 0),
    "a server with a sign": entry("add_server", "-4", None, None, None, 0),
    "a server's number in other digits": entry("add_server", "٤", None, None, None, 0),
    "an entry of a later term": entry(*SET, term=4),
    "an entry of a term before the one it follows": entry(*SET, term=1),
    "terms that fall": raw(2, 3, 1, 2, 7, 2, [[3, SET], [2, SET]], 6, 1),
    "no voters": snapshot([[], [1]]),
    "a voter twice": snapshot([[1, 1], []]),
    "a voter and learner": snapshot([[1, 2], [2]]),
    "a voter that is none": snapshot([[0, 1], []]),
    "a key with a truth": snapshot(PAIR, ["k", True, 0]),
    "an item with a negative serial": snapshot(PAIR, ["c", "v", -1]),
    "an item with a number": snapshot(PAIR, ["k", 5, 0]),
}

NONCE, OTHER_NONCE = bytes(range(16)), bytes(range(16, 32))
ONE, TWO = Identity(1, "c-1"), Identity(2, "c-1")
SECRET, OTHER_SECRET = b"a secret", b"another \xff"

# Who dials whom, and what the listener says to it; None where the dialler refuses.
HANDSHAKES: dict[str, tuple[Identity, int, Identity]] = {
    "without a secret": (ONE, 2, TWO),
    "with a secret": (ONE._replace(secret=SECRET), 2, TWO._replace(secret=SECRET)),
    "another cluster": (ONE._replace(cluster="c-2"), 2, TWO),
    "another node": (ONE, 3, TWO),
    "no such peer": (ONE._replace(node=4), 2, TWO),
    "itself": (ONE._replace(node=2), 2, TWO),
    "a secret is wanted": (ONE, 2, TWO._replace(secret=SECRET)),
    "the secret is wrong": (
        ONE._replace(secret=OTHER_SECRET),
        2,
        TWO._replace(secret=SECRET),
    ),
    "the listener has no secret": (ONE._replace(secret=SECRET), 2, TWO),
}


def hello(*fields: Any) -> bytes:
    return frame(HELLO, msgspec.msgpack.encode(fields))


# First frames that node 2 refuses.
BAD_HELLOS: dict[str, bytes] = {
    "another wire version": hello("raftmark", 2, "c-1", 1, 2, NONCE),
    "another wire version of another form": hello("raftmark", 2, {"cluster": "c-1"}),
    "a version of two bytes": hello("raftmark", 300),
    "no Raftmark": hello("hashicorp", 1, "c-1", 1, 2, NONCE),
    "a field too few": hello("raftmark", 1, "c-1", 1, 2),
    "a field too many": hello("raftmark", 1, "c-1", 1, 2, NONCE, 0),
    "a short nonce": hello("raftmark", 1, "c-1", 1, 2, NONCE[:15]),
    "a text for a nonce": hello("raftmark", 1, "c-1", 1, 2, "0123456789abcdef"),
    "a negative node": hello("raftmark", 1, "c-1", -1, 2, NONCE),
    "an empty body": frame(HELLO, b""),
    "a proof first": frame(PROOF, msgspec.msgpack.encode([bytes(32)])),
    "a message first": encode(TimeoutNow(3, 1, 2)),
    "too long": HEADER.pack(4097, 0, HELLO),
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


def knows(node: int) -> bool:
    return node in (1, 2, 3)


def shake_hands(dials: Identity, to: int, listens: Identity) -> dict[str, Any]:
    """Let two ends speak to each other; what each said, and what came of it."""
    dialler = Dialler(dials, to, nonce=NONCE)
    listener = Listener(listens, knows, nonce=OTHER_NONCE)
    said: list[list[str]] = []
    refused: dict[str, str] = {}
    while not refused:
        data = dialler.take_output()
        if not data:
            break
        said.append(["dialler", data.hex()])
        try:
            list(listener.receive(data))
        except Refused as error:
            refused["listener"] = str(error)
        data = listener.take_output()
        said.append(["listener", data.hex()])
        try:
            dialler.receive(data)
        except Refused as error:
            refused["dialler"] = str(error)
    assert dialler.welcome == (not refused)
    return {"said": said, "refused": refused, "peer": None if refused else listener.peer}


def described(identity: Identity) -> dict[str, Any]:
    return {
        "node": identity.node,
        "cluster": identity.cluster,
        "secret": identity.secret.hex(),
    }


def refusal_of(data: bytes) -> str:
    """Return why node 2 refuses these first bytes."""
    listener = Listener(TWO, knows, nonce=OTHER_NONCE)
    with pytest.raises(Refused) as refusal:
        list(listener.receive(data))
    return str(refusal.value)


def make_vectors() -> dict[str, Any]:
    """Return all vectors, as the Python modules write them."""
    return {
        "messages": [
            {
                "name": name,
                "tag": TAGS[type(message)],
                "delay_ns": delay_ns,
                "fields": message,
                "hex": encode(message, delay_ns).hex(),
            }
            for name, (delay_ns, message) in MESSAGES.items()
        ],
        "bad_frames": [{"name": name, "hex": data.hex()} for name, data in BAD_FRAMES.items()],
        "nonces": {"dialler": NONCE.hex(), "listener": OTHER_NONCE.hex()},
        "known": [1, 2, 3],
        "handshakes": [
            {
                "name": name,
                "dialler": described(dials),
                "to": to,
                "listener": described(listens),
                **shake_hands(dials, to, listens),
            }
            for name, (dials, to, listens) in HANDSHAKES.items()
        ],
        "bad_hellos": [
            {"name": name, "hex": data.hex(), "begins": refusal_of(data).split(":")[0]}
            for name, data in BAD_HELLOS.items()
        ],
    }


VECTORS_READ: dict[str, Any] = json.loads(VECTORS.read_text()) if VECTORS.exists() else {}


def welcomed() -> Listener:
    """Return node 2 when node 1 has dialled it."""
    listener = Listener(TWO, knows)
    list(listener.receive(Dialler(ONE, 2).take_output()))
    assert listener.peer == 1
    return listener


def test_the_vectors_are_those_described_here() -> None:
    assert json.loads(json.dumps(make_vectors())) == VECTORS_READ


@pytest.mark.parametrize("name", MESSAGES)
def test_a_listener_hands_on_what_is_written(name: str) -> None:
    delay_ns, message = MESSAGES[name]
    [[held_ns, heard]] = welcomed().receive(encode(message, delay_ns))
    assert (held_ns, heard, type(heard)) == (delay_ns, message, type(message))


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_bad_frame_ends_the_connection(name: str) -> None:
    with pytest.raises(FrameError):
        list(welcomed().receive(BAD_FRAMES[name]))


def test_what_came_before_a_bad_frame_is_handed_on() -> None:
    _, message = MESSAGES["a vote"]
    heard = welcomed().receive(encode(message) + BAD_FRAMES["no MessagePack"])
    assert next(heard) == (0, message)
    with pytest.raises(FrameError):
        next(heard)


@pytest.mark.parametrize("kind", ["entries", "items", "voters", "learners"])
def test_a_list_that_is_too_long_is_refused_before_any_of_it_is_made(kind: str) -> None:
    def message(count: int) -> bytes:
        if kind == "entries":
            return raw(2, 3, 1, 2, 7, 2, [[3, SET]] * count, 6, 1)
        if kind == "items":
            return snapshot(PAIR, *([["", None, 0]] * count))
        servers = list(range(1, count + 1))
        return snapshot([servers, []] if kind == "voters" else [[count + 1], servers])

    assert list(welcomed().receive(message(MAX_LISTED)))
    listener, data = welcomed(), message(MAX_LISTED + 1)
    tracemalloc.start()
    try:
        with pytest.raises(FrameError, match=f"length <= {MAX_LISTED}"):
            list(listener.receive(data))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2 * len(data) + 100_000, "no more than the bytes that have come"


def test_who_is_removed_during_its_handshake_is_not_welcome() -> None:
    known = {1, 3}
    dialler = Dialler(ONE._replace(secret=SECRET), 2)
    listener = Listener(TWO._replace(secret=SECRET), known.__contains__)
    list(listener.receive(dialler.take_output()))
    dialler.receive(listener.take_output())
    known.remove(1)
    with pytest.raises(Refused, match="no such peer: 1"):
        list(listener.receive(dialler.take_output()))
    with pytest.raises(Refused, match="node 2 refuses: no such peer: 1"):
        dialler.receive(listener.take_output())
    assert listener.peer is None


def test_a_dialler_hears_nothing_after_its_welcome() -> None:
    dialler, listener = Dialler(ONE, 2), Listener(TWO, knows)
    list(listener.receive(dialler.take_output()))
    dialler.receive(listener.take_output())
    with pytest.raises(FrameError, match="node 2 speaks on a connection that is not its own"):
        dialler.receive(encode(TimeoutNow(3, 2, 1)))


def test_a_dialler_shows_no_control_characters() -> None:
    refusal = frame(132, msgspec.msgpack.encode(["\x1b[31mred\n" + "x" * 1000]))
    with pytest.raises(Refused) as error:
        Dialler(ONE, 2).receive(refusal)
    assert str(error.value) == "node 2 refuses: ?[31mred?" + "x" * 191


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(make_vectors(), indent=1, ensure_ascii=True) + "\n")
    print(f"wrote {VECTORS.name}")
