"""What a node must not forget (figure 2, persistent state), in memory or on disk.

The disk form is one append-only file of records. A record begins with its payload's
length, its payload's CRC-32, and the CRC-32 of those two (each an unsigned 32-bit
little-endian integer), so that a damaged length is told from a torn tail. The payload is
a MessagePack array whose first element tells what it is:

    [1, term, voted_for]              the hard state
    [2, first_index, [entry, …]]      entries, appended; entry = [term, command]
    [3, first_index]                  the log's tail from first_index on is deleted

with command = [op, key, value, expect, client, serial]. The file begins with an eight
byte header. One save is one write and one fdatasync. The Go reference writes the same
bytes with the same system calls, and each opens the other's files.
"""

import contextlib
import logging
import os
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from raft.messages import Command, Entry, HardState, Save

HEADER = b"RAFTMK\x00\x01"
FRAME = struct.Struct("<III")

HARD_STATE, ENTRIES, TRUNCATION = 1, 2, 3

log = logging.getLogger(__name__)


class StorageError(Exception):
    """The storage cannot be opened or written; the message names the file and why."""


class Saved(NamedTuple):
    """What an earlier life of the node left."""

    hard_state: HardState
    entries: list[Entry]


class Storage(Protocol):
    """Where a node keeps what it must not forget."""

    def load(self) -> Saved:
        """What was saved; opens the storage for saving. StorageError if it cannot."""

    def save(self, save: Save) -> None:
        """Make a save durable before returning. StorageError if it cannot."""

    def close(self) -> None:
        """Let go of the file; what was saved stays."""


class MemoryStorage:
    """Survives the crash of a node, but not of the process."""

    def __init__(self) -> None:
        self._hard_state = HardState()
        self._entries: list[Entry] = []

    def load(self) -> Saved:
        """A copy of what was saved."""
        return Saved(self._hard_state, list(self._entries))

    def save(self, save: Save) -> None:
        """Keep the save's values."""
        if save.hard_state is not None:
            self._hard_state = save.hard_state
        if save.entries:
            self._entries[save.first_index - 1 :] = save.entries

    def close(self) -> None:
        """Nothing to let go of."""


class DiskStorage:
    """Survives a kill at any moment; see the module for the format.

    A record torn at the end of the file was never acknowledged: it is cut off, and the
    module's logger warns of it. Damage before the end is refused.

    A save that fails is the last one until the next `load`: what it left in the file is
    unknown, and nothing may be written behind it.
    """

    def __init__(self, path: Path) -> None:
        # Only where bytes are needed: free-threaded 3.13 has no build of it.
        import msgspec

        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder().decode
        self._path = path
        self._file: int | None = None
        self._size = 0
        self._last_index = 0

    def load(self) -> Saved:
        """Read the file, cut a torn tail off, and open it for appending."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
            data = self._path.read_bytes()
            saved, self._size = self._replay(data)
            if self._size < len(data):
                log.warning("%s: cut %d torn bytes off", self._path, len(data) - self._size)
                os.ftruncate(self._file, self._size)
            if self._size == 0:
                self._size = append(self._file, HEADER)
            # An earlier life may have been killed before it synced what is read here, and
            # from now on that counts as saved.
            os.fdatasync(self._file)
            sync_directory(self._path.parent)
        except OSError as error:
            self.close()
            raise StorageError(f"{self._path}: {error.strerror}") from error
        except StorageError:
            self.close()
            raise
        self._last_index = len(saved.entries)
        return saved

    def save(self, save: Save) -> None:
        """Append the save's records in one write, and wait until the disk has them."""
        if self._file is None:
            raise StorageError(f"{self._path}: closed")
        records = b""
        if save.hard_state is not None:
            records += frame(self._encode((HARD_STATE, *save.hard_state)))
        if save.entries:
            if save.first_index <= self._last_index:
                records += frame(self._encode((TRUNCATION, save.first_index)))
            records += frame(self._encode((ENTRIES, save.first_index, save.entries)))
            self._last_index = save.first_index + len(save.entries) - 1
        try:
            append(self._file, records)
            os.fdatasync(self._file)
        except OSError as error:
            self._take_back()
            raise StorageError(f"{self._path}: {error.strerror}") from error
        self._size += len(records)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take_back(self) -> None:
        """Remove what a failed save has left, if the disk lets us, and let go of the file.

        What was written but not synced could be read back and still not be on the disk. A
        torn record that stays is cut off by the next `load`.
        """
        assert self._file is not None
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, self._size)
        self.close()

    def _replay(self, data: bytes) -> tuple[Saved, int]:
        """What the whole records say, and where they end: 0 if not even the header is whole."""
        if len(data) < len(HEADER) and HEADER.startswith(data):
            return Saved(HardState(), []), 0
        if not data.startswith(HEADER):
            raise StorageError(f"{self._path}: offset 0: not a node's log of this version")
        hard_state = HardState()
        entries: list[Entry] = []
        offset = len(HEADER)
        while offset < len(data):
            payload = self._payload_at(data, offset)
            if payload is None:
                break
            try:
                match self._decode(payload):
                    case [1, int(term), int() | None as voted_for]:
                        hard_state = HardState(term, voted_for)
                    case [2, int(first), list(raw)] if 1 <= first == len(entries) + 1:
                        entries += [Entry(term, Command(*command)) for term, command in raw]
                    case [3, int(first)] if 1 <= first <= len(entries):
                        del entries[first - 1 :]
                    case record:
                        raise ValueError(f"unexpected record {describe(record)}")
            except (ValueError, TypeError) as error:
                raise StorageError(f"{self._path}: offset {offset}: {error}") from error
            offset += FRAME.size + len(payload)
        return Saved(hard_state, entries), offset

    def _payload_at(self, data: bytes, offset: int) -> bytes | None:
        """The record's payload, None for a torn tail; StorageError for damage before it."""
        start = offset + FRAME.size
        if start > len(data):
            return None
        length, checksum, header_checksum = FRAME.unpack_from(data, offset)
        if zlib.crc32(data[offset : offset + 8]) != header_checksum:
            raise StorageError(f"{self._path}: offset {offset}: damaged record (its length)")
        end = start + length
        if end > len(data):
            return None
        payload = data[start:end]
        if zlib.crc32(payload) == checksum:
            return payload
        if end == len(data):
            return None
        raise StorageError(f"{self._path}: offset {offset}: damaged record (checksum differs)")


def frame(payload: bytes) -> bytes:
    """A record: its payload's length and checksum, their checksum, and the payload."""
    lead = struct.pack("<II", len(payload), zlib.crc32(payload))
    return lead + struct.pack("<I", zlib.crc32(lead)) + payload


def append(file: int, data: bytes) -> int:
    """Write all of `data`: in one write, unless the disk takes less. Returns its length."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
    return len(data)


def sync_directory(path: Path) -> None:
    """Make a new file's name durable."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def describe(record: Any) -> str:
    """A record in a message: its beginning is enough."""
    text = repr(record)
    return text if len(text) <= 60 else text[:57] + "..."


def open_storage(kind: str, data_dir: str | None, node_id: int) -> Storage:
    """The storage of one node: `kind` is "memory" or "disk" (see docs/protocol.md)."""
    if kind == "memory":
        return MemoryStorage()
    assert data_dir is not None
    return DiskStorage(Path(data_dir) / f"node-{node_id}.log")
