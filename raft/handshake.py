"""Who is at the other end of a connection between two node programs; no I/O here either.

The node that dials says who it is and whom it wants, in frames of `raft.wire` whose types are
the tags below and whose bodies are MessagePack arrays:

    HELLO      dialler   ["raftmark", wire version, cluster, from, to, nonce]
    CHALLENGE  listener  [nonce]      only where the listener has a secret
    PROOF      dialler   [HMAC-SHA256(secret, "dialler" + body of HELLO + listener's nonce)]
    WELCOME    listener  [HMAC-SHA256(secret, "listener" + the same)], or [empty]
    REFUSED    listener  [why, in words], and the connection is closed

Nonces are 16 bytes. After the welcome the dialler sends messages, and the listener nothing.
A secret proves to each that the other has it too; it hides and signs nothing of what follows.
"""

import hmac
import secrets
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from raftmark.raft.messages import Message
from raftmark.raft.wire import HEADER, MAX_INTEGER, FrameError, Incoming, check

HELLO, CHALLENGE, PROOF, WELCOME, REFUSED = range(128, 133)
MAGIC = "raftmark"
WIRE_VERSION = 1
NONCE_BYTES = 16
MAX_HANDSHAKE_BODY = 4096
MAX_REASON = 200

HANDSHAKE_S = 5.0
"""How long a handshake may take; who has a clock sees to it."""
MAX_HANDSHAKES = 64
"""How many connections a listener may have that have not proved who they are."""

encode = msgspec.msgpack.Encoder().encode
decode_hello = msgspec.msgpack.Decoder(tuple[str, int, str, int, int, bytes]).decode
decode_bytes = msgspec.msgpack.Decoder(tuple[bytes]).decode
decode_text = msgspec.msgpack.Decoder(tuple[str]).decode


class Refused(FrameError):
    """The other end is not who should be there, or refuses; `str(error)` says why."""


class Identity(NamedTuple):
    """Who a node is to its peers. An empty secret is none."""

    node: int
    cluster: str
    secret: bytes = b""

    def proof(self, role: str, hello: bytes, nonce: bytes) -> bytes:
        """What shows, for this hello and this nonce, that one has the secret."""
        return hmac.digest(self.secret, role.encode() + hello + nonce, "sha256")


class Dialler:
    """The end that dials `to`, from its hello to the listener's welcome."""

    def __init__(self, own: Identity, to: int, nonce: bytes | None = None) -> None:
        self._own = own
        self._to = to
        nonce = nonce or secrets.token_bytes(NONCE_BYTES)
        self._hello = encode((MAGIC, WIRE_VERSION, own.cluster, own.node, to, nonce))
        self._challenge = b""
        self._incoming = Incoming()
        self._output = frame(HELLO, self._hello)
        self.welcome = False
        """Whether messages may be sent."""

    def take_output(self) -> bytes:
        """What is to be sent now."""
        output, self._output = self._output, b""
        return output

    def receive(self, data: bytes | memoryview) -> None:
        """Take what has come. Refused, or FrameError, if the connection is of no use."""
        self._incoming.feed(data)
        while (received := self._incoming.frame(MAX_HANDSHAKE_BODY)) is not None:
            _, tag, body = received
            if self.welcome:
                raise FrameError(f"node {self._to} speaks on a connection that is not its own")
            if tag == REFUSED:
                (reason,) = fields(decode_text, body)
                raise Refused(f"node {self._to} refuses: {printable(reason)}")
            if tag == CHALLENGE and not self._challenge:
                self._challenge = nonce_of(fields(decode_bytes, body))
                self._output += frame(PROOF, encode((self._prove("dialler"),)))
            elif tag == WELCOME:
                (proof,) = fields(decode_bytes, body)
                self._check(proof)
                self.welcome = True
            else:
                raise FrameError(f"no answer to a hello: type {tag}")

    def _prove(self, role: str) -> bytes:
        # Who has no secret says so: the listener refuses it in words.
        own = self._own
        return own.proof(role, self._hello, self._challenge) if own.secret else b""

    def _check(self, proof: bytes) -> None:
        if not self._own.secret:
            return
        if not self._challenge:
            raise Refused(f"node {self._to} has no secret, and here is one")
        if not hmac.compare_digest(proof, self._prove("listener")):
            raise Refused(f"node {self._to} has another secret")


class Listener:
    """The end that was dialled: a handshake, and then the dialler's messages.

    `knows` says whether a node may be a peer.
    """

    def __init__(
        self, own: Identity, knows: Callable[[int], bool], nonce: bytes | None = None
    ) -> None:
        self._own = own
        self._knows = knows
        self._nonce = nonce or secrets.token_bytes(NONCE_BYTES)
        self._hello = b""
        self._dialler = 0
        self._incoming = Incoming()
        self._output = b""
        self.peer: int | None = None
        """Who it is, once that is shown."""

    def take_output(self) -> bytes:
        """What is to be sent now: also after a refusal, which it tells the other end."""
        output, self._output = self._output, b""
        return output

    def receive(self, data: bytes | memoryview) -> Iterator[tuple[int, Message]]:
        """Take what has come: messages, each with the nanoseconds to hold it.

        FrameError, now or from the iterator, if the connection is to be closed; of a Refused
        `take_output` has what tells the dialler so.
        """
        self._incoming.feed(data)
        if self.peer is None:
            self._shake_hands()
        return iter(()) if self.peer is None else self._messages(self.peer)

    def _messages(self, peer: int) -> Iterator[tuple[int, Message]]:
        for delay_ns, message in self._incoming.messages():
            check(message, delay_ns, peer, self._own.node)
            yield delay_ns, message

    def _shake_hands(self) -> None:
        try:
            while self.peer is None:
                received = self._incoming.frame(MAX_HANDSHAKE_BODY)
                if received is None:
                    return
                _, tag, body = received
                if tag == HELLO and not self._hello:
                    self._take_hello(body)
                elif tag == PROOF and self._hello:
                    self._take_proof(body)
                else:
                    raise Refused(f"no handshake: type {tag}")
        except FrameError as error:
            self._output += frame(REFUSED, encode((str(error),)))
            raise Refused(str(error)) from error

    def _take_hello(self, body: bytes) -> None:
        # Any version begins with these two, whatever it has after them.
        if body[1:10] != encode(MAGIC):
            raise Refused("no hello of Raftmark's")
        if body[10:11] != encode(WIRE_VERSION):
            raise Refused(f"another wire version: only {WIRE_VERSION} is spoken here")
        own = self._own
        _, _, cluster, dialler, to, nonce = fields(decode_hello, body)
        nonce_of((nonce,))
        if cluster != own.cluster:
            raise Refused("another cluster")
        if to != own.node:
            raise Refused(f"this is node {own.node}, not node {to}")
        if dialler == own.node or not 0 < dialler <= MAX_INTEGER or not self._knows(dialler):
            raise no_peer(dialler)
        self._hello, self._dialler = body, dialler
        if own.secret:
            self._output += frame(CHALLENGE, encode((self._nonce,)))
        else:
            self._welcome(b"")

    def _take_proof(self, body: bytes) -> None:
        (proof,) = fields(decode_bytes, body)
        if not self._knows(self._dialler):
            raise no_peer(self._dialler)  # Not any more.
        if not proof:
            raise Refused("a secret is wanted")
        if not hmac.compare_digest(proof, self._proof("dialler")):
            raise Refused("the secret is wrong")
        self._welcome(self._proof("listener"))

    def _proof(self, role: str) -> bytes:
        return self._own.proof(role, self._hello, self._nonce)

    def _welcome(self, proof: bytes) -> None:
        self._output += frame(WELCOME, encode((proof,)))
        self.peer = self._dialler


def frame(tag: int, body: bytes) -> bytes:
    """A frame of the handshake."""
    return HEADER.pack(len(body), 0, tag) + body


def fields(decode: Callable[[bytes], Any], body: bytes) -> Any:
    """The fields of a body. FrameError if it has others."""
    try:
        return decode(body)
    except ValueError as error:
        raise FrameError(f"no handshake: {error}") from error


def nonce_of(values: tuple[bytes]) -> bytes:
    """The one value, which is to have a nonce's length. FrameError if it has not."""
    (nonce,) = values
    if len(nonce) != NONCE_BYTES:
        raise FrameError(f"no nonce: {len(nonce)} bytes")
    return nonce


def no_peer(node: int) -> Refused:
    """Who dials is none of those that may."""
    return Refused(f"no such peer: {node}")


def printable(text: str) -> str:
    """What another end says, so that it may be shown."""
    return "".join(c if c.isprintable() else "?" for c in text[:MAX_REASON])
