"""What befalls a node's file: a crash of the machine, another writer, no permission."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from raftmark.raft import HardState, Save
from raftmark.raft.messages import Configuration, Snapshot
from raftmark.raft.storage import HEADER, DiskStorage, StorageError

from .test_storage import FRAME, ONE_RECORD_SAVES, read, saved_by, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node-1.log"


# -- zeros ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, FRAME, 5000])
def test_zeros_at_the_end_are_a_torn_tail(
    path: Path, caplog: pytest.LogCaptureFixture, size: int
) -> None:
    """A filesystem may have made the file longer, but not yet written what comes there."""
    lengths = write(path, ONE_RECORD_SAVES)
    whole = path.read_bytes()
    for end in range(len(HEADER), len(whole) + 1):
        zeroed = whole[:end] + bytes(size)
        path.write_bytes(zeroed)
        # Where a record ends in zeros of its own, nothing of it is missing.
        count = sum(zeroed.startswith(whole[:length]) for length in lengths) - 1
        torn = len(zeroed) - lengths[count]
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert read(path) == saved_by(ONE_RECORD_SAVES[:count]), f"zeros from {end} on"
        assert path.stat().st_size == lengths[count]
        assert (f"cut {torn} torn bytes off" in caplog.text) is (torn > 0)


@pytest.mark.parametrize("written", range(len(HEADER)))
def test_zeros_in_place_of_a_header_begin_anew(path: Path, written: int) -> None:
    path.write_bytes(HEADER[:written].ljust(len(HEADER), b"\0"))
    assert read(path) == saved_by([])
    assert path.read_bytes() == HEADER


def test_zeros_before_the_end_are_damage(path: Path) -> None:
    *_, start, end = write(path, ONE_RECORD_SAVES)
    whole = path.read_bytes()
    zeroed = whole[:start] + bytes(100) + whole[start:end]
    path.write_bytes(zeroed)
    with pytest.raises(StorageError, match=re.escape(f"{path}: offset {start}: ")):
        read(path)
    assert path.read_bytes() == zeroed


# -- the lock ---------------------------------------------------------------------------------


def test_a_file_has_one_writer_at_a_time(path: Path) -> None:
    first, second = DiskStorage(path), DiskStorage(path)
    first.load()
    before = os.listdir("/proc/self/fd")
    with pytest.raises(StorageError, match=f"^{re.escape(str(path))}: in use by another process$"):
        second.load()
    assert os.listdir("/proc/self/fd") == before
    first.save(ONE_RECORD_SAVES[0])
    first.close()
    assert second.load() == saved_by(ONE_RECORD_SAVES[:1])
    with pytest.raises(StorageError, match="in use"):
        first.load()
    second.close()


def test_the_lock_holds_when_a_snapshot_has_begun_a_new_file(path: Path) -> None:
    first, second = DiskStorage(path), DiskStorage(path)
    first.load()
    snapshot = Snapshot(7, 3, Configuration((1, 2, 3)), ())
    first.save(Save(HardState(3, 1), 8, (), snapshot))
    with pytest.raises(StorageError, match="in use"):
        second.load()
    first.close()
    assert second.load().snapshot == snapshot
    second.close()


# -- permissions ------------------------------------------------------------------------------


@contextmanager
def no_privileges() -> Iterator[None]:
    """Be subject to the modes of files, which root is not."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize(
    ("directory_mode", "file_mode"),
    [(0o755, 0o444), (0o755, 0o222), (0o755, 0o000), (0o555, None), (0o000, None)],
)
def test_a_path_without_permission_is_an_error(directory_mode: int, file_mode: int | None) -> None:
    """Whatever is missing: to read, to write, to create, or to enter."""
    with TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o755)
        path = Path(scratch) / "data" / "node-1.log"
        path.parent.mkdir()
        if file_mode is not None:
            path.write_bytes(HEADER)
            path.chmod(file_mode)
        path.parent.chmod(directory_mode)
        refusal = re.escape(f"{path}: {os.strerror(errno.EACCES)}")
        with no_privileges(), pytest.raises(StorageError, match=f"^{refusal}$"):
            read(path)
        path.parent.chmod(0o755)
        assert path.exists() is (file_mode is not None)
