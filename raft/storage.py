"""What a node must not forget (figure 2, persistent state), in memory or on disk.

The disk form is one append-only file of records. A record begins with its payload's
length, its payload's CRC-32, and the CRC-32 of those two (each an unsigned 32-bit
little-endian integer), so that a damaged length is told from a torn tail. The payload is
a MessagePack array whose first element tells what it is:

    [1, term, voted_for]              the hard state
    [2, first_index, [entry, …]]      entries, appended; entry = [term, command]
    [3, first_index]                  the log's tail from first_index on is deleted
    [4, index, term, [voters, learners], [item, …]]
                                      a snapshot; item = [name, value, serial]
    [5, [voter, …]]                   the first voters, with which the log begins

with command = [op, key, value, expect, client, serial]. The file begins with an eight
byte header. One save is one write and one fdatasync. A snapshot begins a new file, which
takes the old one's name once it is durable, so that the space is given back. The Go
reference writes the same bytes with the same system calls, and each opens the other's
files.
"""

import contextlib
import fcntl
import logging
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Any, Protocol

from raftmark.raft.messages import (
    Entry,
    HardState,
    Save,
    Saved,
    Snapshot,
)

HEADER = b"RAFTMK\x00\x01"
FRAME = struct.Struct("<III")

HARD_STATE, ENTRIES, TRUNCATION, SNAPSHOT, FIRST_VOTERS = 1, 2, 3, 4, 5

log = logging.getLogger(__name__)


class StorageError(Exception):
    """The storage cannot be opened or written; the message names the file and why."""


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
        self._snapshot: Snapshot | None = None
        self._entries: list[Entry] = []
        self._first_voters: tuple[int, ...] | None = None

    def load(self) -> Saved:
        """A copy of what was saved."""
        return Saved(self._hard_state, list(self._entries), self._snapshot, self._first_voters)

    def save(self, save: Save) -> None:
        """Keep the save's values."""
        if save.first_voters is not None:
            self._first_voters = save.first_voters
        if save.hard_state is not None:
            self._hard_state = save.hard_state
        if save.snapshot is not None:
            self._snapshot = save.snapshot
            self._entries = list(save.entries)
        elif save.entries:
            compacted = 0 if self._snapshot is None else self._snapshot.last_index
            self._entries[save.first_index - compacted - 1 :] = save.entries

    def close(self) -> None:
        """Nothing to let go of."""


class DiskStorage:
    """Survives a kill at any moment; see the module for the format.

    A record torn at the end of the file was never acknowledged: it is cut off, and the
    module's logger warns of it. So are zeros to the end of the file, which a filesystem
    leaves where a file had grown but its data was not yet written. Damage before the end is
    refused.

    From `load` to `close` the file is locked (flock): it has one writer at a time. The
    lock ends with the process, however that ends.

    A save that fails is the last one until the next `load`: what it left in the file is
    unknown, and nothing may be written behind it.
    """

    def __init__(self, path: Path) -> None:
        # Only where bytes are needed: free-threaded 3.13 has no build of it.
        import msgspec

        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder().decode
        self._convert = msgspec.convert
        self._path = path
        self._file: int | None = None
        self._size = 0
        self._last_index = 0

    def load(self) -> Saved:
        """Read the file, cut a torn tail off, and open it for appending."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open_locked(self._path)
            data = self._path.read_bytes()
            saved, self._size = self._replay(data)
            if self._size < len(data):
                log.warning("%s: cut %d torn bytes off", self._path, len(data) - self._size)
                os.ftruncate(self._file, self._size)
            if self._size == 0:
                self._size = append(self._file, HEADER)
            # An earlier life may have been killed before it synced what is read here, and
            # from now on that counts as saved.
            sync_data(self._file)
            sync_directory(self._path.parent)
        except BlockingIOError as error:
            self.close()
            raise StorageError(f"{self._path}: in use by another process") from error
        except OSError as error:
            self.close()
            raise StorageError(f"{self._path}: {error.strerror}") from error
        except StorageError:
            self.close()
            raise
        compacted = 0 if saved.snapshot is None else saved.snapshot.last_index
        self._last_index = compacted + len(saved.entries)
        return saved

    def read(self) -> Saved:
        """What `load` would return, but nothing is opened, and nothing repaired or created."""
        try:
            return self._replay(self._path.read_bytes())[0]
        except FileNotFoundError:
            return Saved(entries=[])
        except OSError as error:
            raise StorageError(f"{self._path}: {error.strerror}") from error

    def save(self, save: Save) -> None:
        """Append the save's records in one write, and wait until the disk has them."""
        if self._file is None:
            raise StorageError(f"{self._path}: closed")
        records = self._records_of(save)
        try:
            if save.snapshot is not None:
                self._begin_anew(records)
                return
            append(self._file, records)
            sync_data(self._file)
        except OSError as error:
            self._take_back()
            raise StorageError(f"{self._path}: {error.strerror}") from error
        self._size += len(records)

    def _records_of(self, save: Save) -> bytes:
        records = b""
        if save.snapshot is not None:
            records += frame(self._encode((SNAPSHOT, *save.snapshot)))
            self._last_index = save.snapshot.last_index
        if save.first_voters is not None:
            records += frame(self._encode((FIRST_VOTERS, save.first_voters)))
        if save.hard_state is not None:
            records += frame(self._encode((HARD_STATE, *save.hard_state)))
        if save.entries:
            if save.first_index <= self._last_index:
                records += frame(self._encode((TRUNCATION, save.first_index)))
            records += frame(self._encode((ENTRIES, save.first_index, save.entries)))
            self._last_index = save.first_index + len(save.entries) - 1
        return records

    def _begin_anew(self, records: bytes) -> None:
        """Put a file with only these records in the old one's place."""
        new_path = self._path.with_name(self._path.name + ".new")
        with contextlib.suppress(FileNotFoundError):
            new_path.unlink()
        new_file = open_locked(new_path)
        try:
            size = append(new_file, HEADER + records)
            sync_data(new_file)
            new_path.rename(self._path)
        except OSError:
            os.close(new_file)
            new_path.unlink()
            raise
        assert self._file is not None
        os.close(self._file)
        self._file, self._size = new_file, size
        sync_directory(self._path.parent)

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
        if is_torn_header(data):
            return Saved(entries=[]), 0
        if not data.startswith(HEADER):
            raise StorageError(f"{self._path}: offset 0: not a node's log of this version")
        hard_state: HardState | None = None
        snapshot: Snapshot | None = None
        first_voters: tuple[int, ...] | None = None
        compacted = 0
        entries: list[Entry] = []
        offset = len(HEADER)
        while offset < len(data):
            payload = self._payload_at(data, offset)
            if payload is None:
                break
            try:
                match self._decode(payload):
                    case [1, term, voted_for]:
                        hard_state = self._convert((term, voted_for), HardState)
                    case [2, int(first), list(raw)] if first == compacted + len(entries) + 1:
                        entries += self._convert(raw, list[Entry])
                    case [3, int(first)] if 1 <= first - compacted <= len(entries):
                        del entries[first - compacted - 1 :]
                    case [4, *fields] if offset == len(HEADER):
                        snapshot = self._convert(fields, Snapshot)
                        compacted = snapshot.last_index
                    case [5, list(voters)] if voters and first_voters is None:
                        first_voters = self._convert(voters, tuple[int, ...])
                    case record:
                        raise ValueError(f"unexpected record {describe(record)}")
            except (ValueError, RecursionError) as error:
                raise StorageError(f"{self._path}: offset {offset}: {error}") from error
            offset += FRAME.size + len(payload)
        if snapshot is not None and hard_state is None:
            # Both were durable before the file got its name: this is no torn tail.
            raise StorageError(f"{self._path}: offset {offset}: damaged record (the hard state)")
        return Saved(hard_state or HardState(), entries, snapshot, first_voters), offset

    def _payload_at(self, data: bytes, offset: int) -> bytes | None:
        """The record's payload, None for a torn tail; StorageError for damage before it."""
        start = offset + FRAME.size
        if start > len(data):
            return None
        length, checksum, header_checksum = FRAME.unpack_from(data, offset)
        if zlib.crc32(data[offset : offset + 8]) != header_checksum:
            if ends_in_zeros(data, start):
                return None
            raise StorageError(f"{self._path}: offset {offset}: damaged record (its length)")
        end = start + length
        if end > len(data):
            return None
        payload = data[start:end]
        if zlib.crc32(payload) == checksum:
            return payload
        if end == len(data) or ends_in_zeros(data, end):
            return None
        raise StorageError(f"{self._path}: offset {offset}: damaged record (checksum differs)")


def open_locked(path: Path) -> int:
    """Open a file for appending that no one else has open so; BlockingIOError if one has."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(file), path.stat()):
            # Its owner has just put another file in its place.
            raise BlockingIOError
    except OSError:
        os.close(file)
        raise
    return file


def is_torn_header(data: bytes) -> bool:
    """Whether a file's creation was cut short: its header was synced before all else."""
    return len(data) <= len(HEADER) and data != HEADER and HEADER.startswith(data.rstrip(b"\0"))


def ends_in_zeros(data: bytes, end: int) -> bool:
    """Whether a file is all zeros from before `end`, within a damaged record, to its end."""
    return len(data.rstrip(b"\0")) < end


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


SYNCED_BY = "F_FULLFSYNC" if sys.platform == "darwin" else "fdatasync"
"""The system's means by which `sync_data` waits for the disk; their prices differ."""


def sync_data(file: int) -> None:
    """Return when the disk has a file's data. Raises OSError if it has not."""
    if sys.platform == "darwin":
        # It has no fdatasync, and its fsync leaves the data in the drive's own cache.
        fcntl.fcntl(file, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(file)


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


def file_of(data_dir: str, node_id: int) -> Path:
    """Where a node's data lies."""
    return Path(data_dir) / f"node-{node_id}.log"


def open_storage(kind: str, data_dir: str | None, node_id: int) -> Storage:
    """The storage of one node: `kind` is "memory" or "disk" (see docs/protocol.md)."""
    if kind == "memory":
        return MemoryStorage()
    assert data_dir is not None
    return DiskStorage(file_of(data_dir, node_id))
