"""The state machine that the log replicates: a key-value store with client sessions (§8)."""

import functools
import hashlib
from collections.abc import Iterable
from itertools import chain, islice
from operator import itemgetter
from typing import Final, TypeAlias

from raftmark.raft.messages import MEMBERSHIP, Entry, Item, Snapshot, command_of

Result: TypeAlias = str | bool | None


class StaleSerial:
    """The result of a command whose session has moved on: it was not applied again."""

    def __repr__(self) -> str:
        return "STALE_SERIAL"


STALE_SERIAL: Final = StaleSerial()
NO_SERIAL: Final = (0, None)
"""What a session begins with."""

HASHED_AT_A_TIME: Final = 256
"""Entries: their values may be large, and all that are hashed at a time are put together."""

# Fields by their place: without a call of Python's for each entry.
term_of = itemgetter(0)
op_and_key_of = itemgetter(0, 1)
values_and_client_of = itemgetter(2, 3, 4)
serial_of = itemgetter(5)


class StateMachine:
    """Keys with values, and for each client session its last serial and result.

    A command is applied once however often it is retried: a session's repeated serial
    gets the first one's result, a lower one `STALE_SERIAL` (§8).
    """

    def __init__(self) -> None:
        self.applied_index = 0
        self._data: dict[str, str | None] = {}
        self._sessions: dict[str, tuple[int, Result]] = {}

    def apply(self, entries: Iterable[Entry]) -> list[Result | StaleSerial]:
        """Apply the entries after `applied_index`, in order; their results, one each."""
        data, sessions = self._data, self._sessions
        results: list[Result | StaleSerial] = []
        for op, key, value, expect, client, serial in map(command_of, entries):
            if client is not None and serial <= (last := sessions.get(client, NO_SERIAL))[0]:
                results.append(last[1] if serial == last[0] else STALE_SERIAL)
                continue
            result: Result = None
            if op == "set":
                data[key] = value
            elif op == "get":
                result = data.get(key)
            elif op == "cas":
                result = data.get(key) == expect
                if result:
                    data[key] = value
            elif op in MEMBERSHIP:
                # One that may not be made does not get into the log.
                result = True
            if client is not None:
                sessions[client] = (serial, result)
            results.append(result)
        self.applied_index += len(results)
        return results

    def get(self, key: str) -> str | None:
        """A key's value, None if it does not exist."""
        return self._data.get(key)

    def items(self) -> tuple[Item, ...]:
        """All of the state, for a snapshot."""
        keys = [Item(key, value, 0) for key, value in self._data.items()]
        sessions = [
            Item(client, result, serial) for client, (serial, result) in self._sessions.items()
        ]
        return (*keys, *sessions)

    def restore(self, snapshot: Snapshot) -> None:
        """Become what the snapshot says."""
        self.applied_index = snapshot.last_index
        self._data = {}
        self._sessions = {}
        for name, value, serial in snapshot.items:
            if serial:
                self._sessions[name] = (serial, value)
            else:
                assert not isinstance(value, bool)
                self._data[name] = value

    def copy(self) -> "StateMachine":
        """A state machine of its own in the same state."""
        other = StateMachine()
        other.applied_index = self.applied_index
        other._data = self._data.copy()
        other._sessions = self._sessions.copy()
        return other

    def state_hash(self) -> str:
        """SHA-256 of keys, values and sessions, as docs/protocol.md defines it."""
        digest = hashlib.sha256()
        digest.update(len(self._data).to_bytes(8, "little"))
        # Strings sort by code point, which is the order of their UTF-8 bytes too.
        for key in sorted(self._data):
            digest.update(encode_string(key) + encode_string(self._data[key]))
        digest.update(len(self._sessions).to_bytes(8, "little"))
        for client in sorted(self._sessions):
            digest.update(encode_string(client))
            digest.update(self._sessions[client][0].to_bytes(8, "little"))
        return digest.hexdigest()


def log_hash(entries: Iterable[Entry]) -> str:
    """SHA-256 of log entries, as docs/protocol.md defines it."""
    digest = hashlib.sha256()
    # Commands repeat what is in them, and a log is long.
    integer, texts = functools.cache(_encode_integer), functools.cache(_encode_strings)
    rest = iter(entries)
    while stretch := tuple(islice(rest, HASHED_AT_A_TIME)):
        commands = tuple(map(command_of, stretch))
        encoded = zip(
            map(integer, map(term_of, stretch)),
            map(texts, map(op_and_key_of, commands)),
            map(texts, map(values_and_client_of, commands)),
            map(integer, map(serial_of, commands)),
            strict=True,
        )
        digest.update(b"".join(chain.from_iterable(encoded)))
    return digest.hexdigest()


def _encode_integer(number: int) -> bytes:
    return number.to_bytes(8, "little")


def _encode_strings(texts: tuple[str | None, ...]) -> bytes:
    return b"".join(map(encode_string, texts))


def encode_string(text: str | None) -> bytes:
    """A string's bytes for hashing: its length and its UTF-8, or the mark of null."""
    if text is None:
        return b"\xff\xff\xff\xff"
    data = text.encode()
    return len(data).to_bytes(4, "little") + data
