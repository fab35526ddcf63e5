"""What a client and a node say to each other over the node's client port; no I/O here.

A frame is its body's length (unsigned 32-bit, little-endian) and the body, a MessagePack array
that begins with its type:

    HELLO      client  [0, "raftmark-client", version, session, nonce]
    PROOF      client  [1, HMAC-SHA256(secret, "client" + body of HELLO + node's nonce)]
    COMMAND    client  [2, serial, op, key, value, expect]
    WELCOME    node    [3, node, HMAC-SHA256(secret, "service" + the same)], or [3, node, empty]
    CHALLENGE  node    [4, nonce]      only where the node has a secret
    APPLIED    node    [5, serial, index, term, result]
    REFUSED    node    [6, serial, code, why, leader, the leader's address]
    CLOSING    node    [7, why], and the connection is closed

A session has one connection at a time as a rule, and its serials rise by one: whoever has no answer
sends the command again with the same serial, here or to another node, and it is applied once.
"""

import hmac
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from raftmark.raft.client import Applied, Outcome
from raftmark.raft.errors import NotLeader
from raftmark.raft.messages import MAX_KEY_BYTES, MAX_VALUE_BYTES, Command, size_of_text
from raftmark.raft.wire import LENGTH, FrameError

MAGIC, VERSION = "raftmark-client", 1
HELLO, PROOF, COMMAND, WELCOME, CHALLENGE, APPLIED, REFUSED, CLOSING = range(8)
NONCE_BYTES = 16
MAX_SESSION_BYTES = 64
MAX_HANDSHAKE_BODY = 4096
MAX_BODY = MAX_KEY_BYTES + 2 * MAX_VALUE_BYTES + 1024
MAX_SERIAL = 2**53 - 1
MAX_IN_FLIGHT = 32
"""A connection's commands that wait for their answers: its share, however much it sends.

What it sends besides waits in its own buffers, so that a step of the node has no more of it.
"""

encode_body = msgspec.msgpack.Encoder().encode
decode_hello = msgspec.msgpack.Decoder(tuple[int, str, int, str, bytes]).decode
decode_proof = msgspec.msgpack.Decoder(tuple[int, bytes]).decode
decode_command = msgspec.msgpack.Decoder(tuple[int, int, str, str, str | None, str | None]).decode

FORMS = {"set": (True, False), "get": (False, False), "cas": (True, None)}
"""Whether an operation has a value, and whether something that it expects; None: it may."""


class Port(NamedTuple):
    """Whose client port it is, and where those of all nodes are, as far as that is known."""

    node: int
    secret: bytes
    addresses: dict[int, str]

    def tell(self, addresses: Mapping[int, str]) -> None:
        """All nodes' client ports are here from now on."""
        self.addresses.clear()
        self.addresses.update(addresses)


class Conversation:
    """A client's connection, as the node that has accepted it sees it.

    Whoever has the socket feeds it with what comes, takes out commands while there are any, lets it
    put each outcome into words, and sends what it has to say.
    """

    def __init__(self, port: Port, nonce: bytes | None = None) -> None:
        self._port = port
        self._nonce = nonce or secrets.token_bytes(NONCE_BYTES)
        self._received = bytearray()
        self._hello = b""
        self._asking = ""
        self.session: str | None = None
        """Whose it is, once that is shown."""
        self.in_flight = 0
        self._output: list[bytes] = []

    @property
    def full(self) -> bool:
        """Whether it has its share of what is under way, and is not to be read from."""
        return self.in_flight >= MAX_IN_FLIGHT

    @property
    def backlog(self) -> int:
        """Bytes that have come, and were not taken out yet."""
        return len(self._received)

    def take_output(self) -> bytes:
        """What is to be sent now: after an error too, of which it tells the client."""
        output, self._output = self._output, []
        return b"".join(output)

    def feed(self, data: bytes | memoryview) -> None:
        """Take what has come."""
        self._received += data

    def next(self) -> Command | None:
        """The next command; None while there is none, or the connection is full.

        FrameError if the connection is to be closed.
        """
        try:
            while not self.full and (body := self._body()) is not None:
                if self.session is not None:
                    self.in_flight += 1
                    return self._command(self.session, body)
                self._shake_hands(body)
        except FrameError as error:
            self._say((CLOSING, str(error)))
            raise
        return None

    def answer(self, serial: int, outcome: Outcome) -> None:
        """A command that was taken out has come to this."""
        self.in_flight -= 1
        if isinstance(outcome, Applied):
            self._say((APPLIED, serial, *outcome))
            return
        leader = outcome.leader if isinstance(outcome, NotLeader) else None
        address = None if leader is None else self._port.addresses.get(leader)
        self._say((REFUSED, serial, outcome.code, str(outcome), leader, address))

    def _say(self, message: tuple[Any, ...]) -> None:
        body = encode_body(message)
        self._output += (LENGTH.pack(len(body)), body)

    def _body(self) -> bytes | None:
        received = self._received
        if len(received) < LENGTH.size:
            return None
        (length,) = LENGTH.unpack_from(received)
        if length > (MAX_HANDSHAKE_BODY if self.session is None else MAX_BODY):
            raise FrameError(f"no frame: {length} bytes")
        end = LENGTH.size + length
        if len(received) < end:
            return None
        body = bytes(received[LENGTH.size : end])
        del received[:end]
        return body

    def _shake_hands(self, body: bytes) -> None:
        try:
            if not self._hello:
                self._take_hello(body)
            else:
                tag, proof = decode_proof(body)
                if tag != PROOF:
                    raise FrameError(f"no proof: type {tag}")
                if not hmac.compare_digest(proof, self._proof("client")):
                    raise FrameError("the secret is wrong" if proof else "a secret is wanted")
                self._welcome(self._proof("service"))
        except ValueError as error:
            raise FrameError(f"no handshake: {error}") from error

    def _take_hello(self, body: bytes) -> None:
        tag, magic, version, session, nonce = decode_hello(body)
        if tag != HELLO or magic != MAGIC or len(nonce) != NONCE_BYTES:
            raise FrameError("no hello of a client's")
        if version != VERSION:
            raise FrameError(f"another version: only {VERSION} is spoken here")
        if not 0 < size_of_text(session) <= MAX_SESSION_BYTES:
            raise FrameError(f"a session's name has 1 to {MAX_SESSION_BYTES} bytes")
        self._hello, self._asking = body, session
        if self._port.secret:
            self._say((CHALLENGE, self._nonce))
        else:
            self._welcome(b"")

    def _proof(self, role: str) -> bytes:
        said = role.encode() + self._hello + self._nonce
        return hmac.digest(self._port.secret, said, "sha256")

    def _welcome(self, proof: bytes) -> None:
        self.session = self._asking
        self._say((WELCOME, self._port.node, proof))

    def _command(self, session: str, body: bytes) -> Command:
        try:
            tag, serial, op, key, value, expect = decode_command(body)
        except ValueError as error:
            raise FrameError(f"no command: {error}") from error
        if tag != COMMAND or not 0 < serial <= MAX_SERIAL or op not in FORMS:
            raise FrameError("no command: its type, its serial, or what it is to do")
        has_value, expects = FORMS[op]
        if has_value != (value is not None) or expects not in (None, expect is not None):
            raise FrameError(f"no {op}: it has too few fields, or others")
        if len(key) > MAX_KEY_BYTES or size_of_text(key) > MAX_KEY_BYTES:
            raise FrameError(f"a key has at most {MAX_KEY_BYTES} bytes")
        if any(text and size_of_text(text) > MAX_VALUE_BYTES for text in (value, expect)):
            raise FrameError(f"a value has at most {MAX_VALUE_BYTES} bytes")
        return Command(op, key, value, expect, session, serial)
