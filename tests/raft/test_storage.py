"""What a node must not forget: kept, cut off where torn, refused where damaged."""

from __future__ import annotations

import errno
import logging
import os
import re
import resource
import signal
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftmark.raft import Command, Entry, HardState, Save
from raftmark.raft.messages import NOOP, Saved
from raftmark.raft.storage import (
    HEADER,
    DiskStorage,
    MemoryStorage,
    Storage,
    StorageError,
    open_storage,
)

from .scenario import entry, log_of

FRAME = 12

# Each of these is one record of the file.
ONE_RECORD_SAVES = [
    Save(HardState(1, None), 1, ()),
    Save(HardState(1, 2), 1, ()),
    Save(None, 1, (Entry(1, NOOP),)),
    Save(None, 2, (Entry(1, Command("cas", "kéy", "", None, "client", 7)), entry(1, 3))),
    Save(HardState(2, 3), 4, ()),
    Save(None, 4, (entry(2, 4),)),
]
REPAIR = Save(HardState(3, None), 2, (entry(3, 2), entry(3, 3)))


def saved_by(saves: list[Save]) -> Saved:
    """What these saves amount to: figure 2's persistent state, kept as plainly as can be."""
    hard_state, entries = HardState(), list[Entry]()
    for save in saves:
        if save.hard_state is not None:
            hard_state = save.hard_state
        if save.entries:
            entries = entries[: save.first_index - 1] + list(save.entries)
    return Saved(hard_state, entries)


def write(path: Path, saves: list[Save]) -> list[int]:
    """Write a file of saves; its length after each of them, and before the first."""
    storage = DiskStorage(path)
    storage.load()
    lengths = [path.stat().st_size]
    for save in saves:
        storage.save(save)
        lengths.append(path.stat().st_size)
    storage.close()
    return lengths


def read(path: Path) -> Saved:
    """What a file says."""
    storage = DiskStorage(path)
    try:
        return storage.load()
    finally:
        storage.close()


def framed(payload: bytes) -> bytes:
    """A record with this payload."""
    lead = len(payload).to_bytes(4, "little") + zlib.crc32(payload).to_bytes(4, "little")
    return lead + zlib.crc32(lead).to_bytes(4, "little") + payload


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "node-1.log"


@pytest.fixture(params=["memory", "disk"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    storage = open_storage(request.param, str(tmp_path / "data"), 1)
    yield storage
    storage.close()


# -- both forms -----------------------------------------------------------------------------


def test_a_new_storage_has_a_new_nodes_state(storage: Storage) -> None:
    assert storage.load() == Saved(HardState(0, None), [])


@pytest.mark.parametrize("count", range(1, len(ONE_RECORD_SAVES) + 2))
def test_what_was_saved_is_there_after_a_restart(storage: Storage, count: int) -> None:
    saves = [*ONE_RECORD_SAVES, REPAIR][:count]
    storage.load()
    for save in saves:
        storage.save(save)
    storage.close()
    assert storage.load() == saved_by(saves)


def test_a_save_replaces_the_tail_from_its_first_index_on(storage: Storage) -> None:
    storage.load()
    storage.save(Save(None, 1, tuple(log_of([1, 1, 1, 1]))))
    storage.save(Save(None, 3, (entry(2, 3),)))
    storage.save(Save(None, 4, (entry(2, 4),)))
    storage.save(Save(None, 1, (entry(3, 1),)))
    storage.close()
    assert storage.load().entries == [entry(3, 1)]


def test_what_was_loaded_is_the_loaders_own(storage: Storage) -> None:
    storage.load()
    storage.save(Save(None, 1, (entry(1, 1),)))
    storage.close()
    storage.load().entries.clear()
    storage.close()
    assert storage.load().entries == [entry(1, 1)]


def texts() -> st.SearchStrategy[str]:
    """Strings of whole Unicode characters, long ones too."""
    some = st.text('aß漢😀\0"', max_size=5)
    return some | st.sampled_from(["x" * 31, "x" * 32, "x" * 256, "ß" * 40_000])


def commands() -> st.SearchStrategy[Command]:
    """Every command that a client can give, and some that none can."""
    return st.builds(
        Command,
        op=st.sampled_from(["set", "get", "cas", "noop"]),
        key=texts(),
        value=st.none() | texts(),
        expect=st.none() | texts(),
        client=st.none() | texts(),
        serial=st.integers(0, 2**53 - 1),
    )


@st.composite
def lists_of_saves(draw: st.DrawFn) -> list[Save]:
    """Saves that follow each other as a node's do."""
    saves, last_index = [], 0
    for _ in range(draw(st.integers(0, 8))):
        hard_state = draw(
            st.none() | st.builds(HardState, st.integers(0, 2**63), st.none() | st.integers(1, 9))
        )
        entries = tuple(
            draw(st.lists(st.builds(Entry, st.integers(0, 2**63), commands()), max_size=4))
        )
        first_index = draw(st.integers(1, last_index + 1))
        if entries:
            last_index = first_index + len(entries) - 1
        if entries or hard_state is not None:
            saves.append(Save(hard_state, first_index, entries))
    return saves


@settings(max_examples=50)
@given(saves=lists_of_saves(), restart_after=st.sets(st.integers(0, 8)))
def test_any_saves_are_there_after_any_restarts(saves: list[Save], restart_after: set[int]) -> None:
    with TemporaryDirectory() as directory:
        for storage in (MemoryStorage(), DiskStorage(Path(directory) / "node-1.log")):
            assert storage.load() == saved_by([])
            for count, save in enumerate(saves, 1):
                storage.save(save)
                if count in restart_after:
                    storage.close()
                    assert storage.load() == saved_by(saves[:count])
            storage.close()
            assert storage.load() == saved_by(saves)
            storage.close()


# -- the file ---------------------------------------------------------------------------------


def test_the_file_has_the_bytes_that_every_implementation_writes(path: Path) -> None:
    """The format of raft/storage.py, written out by hand: Go's files must be the same."""
    write(
        path,
        [
            Save(HardState(3, 2), 1, (Entry(3, Command("set", "k", "v", None, "c", 300)),)),
            Save(HardState(4, None), 1, (Entry(4, NOOP),)),
        ],
    )
    noop = b"\x96\xa4noop\xa0\xc0\xc0\xc0\x00"
    assert path.read_bytes() == b"RAFTMK\x00\x01" + b"".join(
        framed(payload)
        for payload in (
            b"\x93\x01\x03\x02",
            b"\x93\x02\x01\x91\x92\x03\x96\xa3set\xa1k\xa1v\xc0\xa1c\xcd\x01\x2c",
            b"\x93\x01\x04\xc0",
            b"\x92\x03\x01",
            b"\x93\x02\x01\x91\x92\x04" + noop,
        )
    )
    assert framed(b"\x93\x01\x03\x02")[:8] == b"\x04\0\0\0" + (0x4A50C98E).to_bytes(4, "little")


def test_one_save_is_one_write_and_one_sync_which_come_in_that_order(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = DiskStorage(path)
    storage.load()
    calls: list[str] = []
    real_write, real_sync = os.write, os.fdatasync

    def spied_write(file: int, data: bytes) -> int:
        calls.append("write")
        return real_write(file, data)

    def spied_sync(file: int) -> None:
        calls.append("sync")
        real_sync(file)

    monkeypatch.setattr(os, "write", spied_write)
    monkeypatch.setattr(os, "fdatasync", spied_sync)
    for save in (*ONE_RECORD_SAVES, REPAIR):
        storage.save(save)
    storage.close()
    assert calls == ["write", "sync"] * (len(ONE_RECORD_SAVES) + 1)


def test_what_is_read_is_synced_before_anyone_relies_on_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node that wrote it may have been killed between its write and its sync."""
    write(path, ONE_RECORD_SAVES)
    storage = DiskStorage(path)
    synced: list[str] = []
    monkeypatch.setattr(os, "fdatasync", lambda file: synced.append(f"/proc/self/fd/{file}"))
    monkeypatch.setattr(
        os, "fsync", lambda file: synced.append(os.readlink(f"/proc/self/fd/{file}"))
    )
    storage.load()
    assert [os.path.realpath(file) for file in synced] == [str(path), str(path.parent)]
    storage.close()


# -- torn tails -------------------------------------------------------------------------------


def test_a_tail_torn_at_any_byte_is_cut_off_and_said(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lengths = write(path, ONE_RECORD_SAVES)
    whole = path.read_bytes()
    for end in range(len(HEADER), len(whole)):
        path.write_bytes(whole[:end])
        caplog.clear()
        count = sum(length <= end for length in lengths) - 1
        assert read(path) == saved_by(ONE_RECORD_SAVES[:count]), f"torn at {end}"
        assert path.stat().st_size == lengths[count]
        if lengths[count] < end:
            assert f"{path}: cut {end - lengths[count]} torn bytes off" in caplog.text
        else:
            assert caplog.records == []


def test_saving_goes_on_where_a_torn_tail_was(path: Path) -> None:
    lengths = write(path, ONE_RECORD_SAVES)
    os.truncate(path, lengths[-1] - 1)
    storage = DiskStorage(path)
    storage.load()
    storage.save(ONE_RECORD_SAVES[-1])
    storage.save(REPAIR)
    storage.close()
    assert read(path) == saved_by([*ONE_RECORD_SAVES, REPAIR])


def test_a_save_torn_between_its_records_loses_only_what_may_be_lost(path: Path) -> None:
    """First the term, then the deletion of a conflict, then the entries: any prefix is safe.

    What a conflict deletes was not committed, and a term that is too high costs an election.
    """
    lengths = write(path, [*ONE_RECORD_SAVES, REPAIR])
    whole = path.read_bytes()
    seen = []
    for end in range(lengths[-2], lengths[-1] + 1):
        path.write_bytes(whole[:end])
        saved = read(path)
        if saved not in seen:
            seen.append(saved)
    before, after = saved_by(ONE_RECORD_SAVES), saved_by([*ONE_RECORD_SAVES, REPAIR])
    assert seen == [
        before,
        Saved(after.hard_state, before.entries),
        Saved(after.hard_state, before.entries[:1]),
        after,
    ]


@pytest.mark.parametrize("end", range(len(HEADER)))
def test_a_file_torn_in_its_header_begins_anew(path: Path, end: int) -> None:
    path.parent.mkdir()
    path.write_bytes(HEADER[:end])
    storage = DiskStorage(path)
    assert storage.load() == saved_by([])
    storage.save(ONE_RECORD_SAVES[0])
    storage.close()
    assert read(path) == saved_by(ONE_RECORD_SAVES[:1])


def test_a_last_record_with_a_wrong_checksum_is_torn_too(path: Path) -> None:
    """The disk may write the parts of a record in any order."""
    lengths = write(path, ONE_RECORD_SAVES)
    whole = path.read_bytes()
    for position in range(lengths[-2] + FRAME, lengths[-1]):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert read(path) == saved_by(ONE_RECORD_SAVES[:-1])


# -- damage -----------------------------------------------------------------------------------


def test_a_flipped_bit_before_the_tail_is_refused_with_file_and_offset(path: Path) -> None:
    lengths = write(path, ONE_RECORD_SAVES)
    whole = path.read_bytes()
    refused = 0
    for start, end in pairwise(lengths[:-1]):
        for position in range(start, end):
            for bit in range(8):
                damaged = bytearray(whole)
                damaged[position] ^= 1 << bit
                path.write_bytes(damaged)
                with pytest.raises(StorageError, match=re.escape(f"{path}: offset {start}: ")):
                    read(path)
                assert path.read_bytes() == damaged, "damage is left for someone to look at"
                refused += 1
    assert refused > 800


def test_a_damaged_header_is_refused(path: Path) -> None:
    write(path, ONE_RECORD_SAVES)
    whole = path.read_bytes()
    for position in range(len(HEADER)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        with pytest.raises(StorageError, match=re.escape(f"{path}: offset 0: not a node's log")):
            read(path)


@pytest.mark.parametrize("content", [b"x", b"RAFTMK\x00\x02", b"Dear diary, this is no log.\n"])
def test_a_file_of_another_kind_is_refused(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StorageError, match="offset 0: not a node's log of this version"):
        read(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\x93\x01\x03",
        msgspec.msgpack.encode([9, 1]),
        msgspec.msgpack.encode("set"),
        msgspec.msgpack.encode([1, "term", None]),
        msgspec.msgpack.encode([1, 1, "candidate"]),
        msgspec.msgpack.encode([2, 4, [[1, NOOP]]]),
        msgspec.msgpack.encode([2, 2, [[1, NOOP]]]),
        msgspec.msgpack.encode([2, 3, [[1]]]),
        msgspec.msgpack.encode([2, 3, [1]]),
        msgspec.msgpack.encode([2, 3, [[1, ["set", "k", "v"] * 3]]]),
        msgspec.msgpack.encode([3, 3]),
        msgspec.msgpack.encode([3, 0]),
    ],
)
def test_a_whole_record_that_no_node_writes_is_refused(path: Path, payload: bytes) -> None:
    [*_, end] = write(path, [Save(None, 1, tuple(log_of([1, 1])))])
    path.write_bytes(path.read_bytes() + framed(payload) + framed(b"\x93\x01\x03\x02"))
    with pytest.raises(StorageError, match=re.escape(f"{path}: offset {end}: ")):
        read(path)


# -- storages that fail -----------------------------------------------------------------------


@contextmanager
def full_disk(bytes_left: int, path: Path) -> Iterator[None]:
    """Let no file of this process grow further than `bytes_left` beyond `path`'s length."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert signal.getsignal(signal.SIGXFSZ) is signal.SIG_IGN, "Python ignores it"
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + bytes_left, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("bytes_left", [0, 1, FRAME, 20])
def test_a_save_on_a_full_disk_is_taken_back(path: Path, bytes_left: int) -> None:
    storage = DiskStorage(path)
    storage.load()
    storage.save(ONE_RECORD_SAVES[0])
    before = path.read_bytes()
    with full_disk(bytes_left, path):
        with pytest.raises(StorageError, match=re.escape(f"{path}: {os.strerror(errno.EFBIG)}")):
            storage.save(REPAIR._replace(first_index=1))
        assert path.read_bytes() == before
    with pytest.raises(StorageError, match=f"{path}: closed"):
        storage.save(ONE_RECORD_SAVES[1])
    assert storage.load() == saved_by(ONE_RECORD_SAVES[:1])
    storage.save(ONE_RECORD_SAVES[1])
    storage.close()
    assert read(path) == saved_by(ONE_RECORD_SAVES[:2])


def failing(code: int) -> Callable[..., None]:
    """A system call that fails."""

    def call(*_arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    return call


def test_a_save_that_was_written_and_not_synced_is_taken_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read back from memory it would look saved, though the disk may never have got it."""
    storage = DiskStorage(path)
    storage.load()
    storage.save(ONE_RECORD_SAVES[0])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing(errno.EIO))
        with pytest.raises(StorageError, match=os.strerror(errno.EIO)):
            storage.save(ONE_RECORD_SAVES[1])
    with pytest.raises(StorageError, match="closed"):
        storage.save(ONE_RECORD_SAVES[1])
    assert storage.load() == saved_by(ONE_RECORD_SAVES[:1])
    storage.close()


def test_a_torn_save_that_cannot_be_taken_back_is_cut_off_by_the_next_load(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    storage = DiskStorage(path)
    storage.load()
    storage.save(ONE_RECORD_SAVES[0])
    with monkeypatch.context() as patch, full_disk(5, path):
        patch.setattr(os, "ftruncate", failing(errno.EIO))
        with pytest.raises(StorageError, match=os.strerror(errno.EFBIG)):
            storage.save(ONE_RECORD_SAVES[1])
    with caplog.at_level(logging.WARNING):
        assert storage.load() == saved_by(ONE_RECORD_SAVES[:1])
    assert "cut 5 torn bytes off" in caplog.text
    storage.close()


def test_a_new_file_on_a_full_disk_is_an_error(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with full_disk(3, path), pytest.raises(StorageError, match=os.strerror(errno.EFBIG)):
        read(path)
    assert read(path) == saved_by([])


def not_a_directory(path: Path) -> None:
    path.parent.touch()


def a_directory(path: Path) -> None:
    path.mkdir(parents=True)


def a_loop(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("obstacle", "code"),
    [(not_a_directory, errno.EEXIST), (a_directory, errno.EISDIR), (a_loop, errno.ELOOP)],
)
def test_a_path_that_cannot_be_opened_is_an_error(
    path: Path, obstacle: Callable[[Path], None], code: int
) -> None:
    obstacle(path)
    with pytest.raises(StorageError, match=re.escape(f"{path}: {os.strerror(code)}")):
        read(path)


def test_a_file_that_cannot_be_read_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, ONE_RECORD_SAVES)
    monkeypatch.setattr(Path, "read_bytes", failing(errno.EIO))
    with pytest.raises(StorageError, match=re.escape(f"{path}: {os.strerror(errno.EIO)}")):
        read(path)


def test_a_failed_load_leaves_no_file_open(path: Path) -> None:
    write(path, ONE_RECORD_SAVES)
    path.write_bytes(b"Dear diary")
    before = os.listdir("/proc/self/fd")
    storage = DiskStorage(path)
    with pytest.raises(StorageError):
        storage.load()
    assert os.listdir("/proc/self/fd") == before
    with pytest.raises(StorageError, match="closed"):
        storage.save(ONE_RECORD_SAVES[0])


def test_a_storage_can_be_closed_twice_and_saves_nothing_then(storage: Storage) -> None:
    storage.load()
    storage.save(ONE_RECORD_SAVES[0])
    storage.close()
    storage.close()
    if isinstance(storage, DiskStorage):
        with pytest.raises(StorageError, match="closed"):
            storage.save(ONE_RECORD_SAVES[1])
    assert storage.load() == saved_by(ONE_RECORD_SAVES[:1])
