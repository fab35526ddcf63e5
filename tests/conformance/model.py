"""What a log means, written once more and independently of every contender.

The state machine and the hashes of docs/protocol.md in their plainest form. A replica's
`state_hash` and `log_hash` are compared with what this model makes of the replica's `log`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable

from .messages import LogEntry


class Store:
    """Keys, values and client sessions after a log's commands."""

    def __init__(self, entries: Iterable[LogEntry] = ()) -> None:
        self.values: dict[str, str] = {}
        self.sessions: dict[str, int] = {}
        for entry in entries:
            self.apply(entry.command)

    def apply(self, command: dict[str, object]) -> None:
        """Apply a command, unless its session has applied that serial or a higher one."""
        client, serial = command.get("client"), command.get("serial")
        if isinstance(client, str) and isinstance(serial, int):
            if serial <= self.sessions.get(client, 0):
                return
            self.sessions[client] = serial
        key, value = command.get("key"), command.get("value")
        sets = command["op"] == "set" or (
            command["op"] == "cas" and self.values.get(str(key)) == command["expect"]
        )
        if sets:
            assert isinstance(key, str)
            assert isinstance(value, str)
            self.values[key] = value

    def hash(self) -> str:
        """Return the documented `state_hash`."""
        parts = [_integer(len(self.values))]
        for key, value in sorted(self.values.items(), key=lambda item: item[0].encode()):
            parts += [_string(key), _string(value)]
        parts.append(_integer(len(self.sessions)))
        for client, serial in sorted(self.sessions.items(), key=lambda item: item[0].encode()):
            parts += [_string(client), _integer(serial)]
        return hashlib.sha256(b"".join(parts)).hexdigest()


def log_hash(entries: Iterable[LogEntry]) -> str:
    """Return the documented `log_hash` of committed entries."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(_integer(entry.term))
        digest.update(_string(entry.command["op"]))
        digest.update(_string(entry.command.get("key", "")))  # A no-op's key is empty, not null.
        for field in ("value", "expect", "client"):
            digest.update(_string(entry.command.get(field)))
        digest.update(_integer(entry.command.get("serial", 0)))
    return digest.hexdigest()


def _integer(number: int) -> bytes:
    return struct.pack("<Q", number)


def _string(text: str | None) -> bytes:
    if text is None:
        return struct.pack("<I", 2**32 - 1)
    data = text.encode()
    return struct.pack("<I", len(data)) + data
