"""Whatever is in a node's file, opening it gives what was saved there, or says why not."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from raftmark.raft.messages import Entry, HardState, Save, Saved, Snapshot
from raftmark.raft.storage import FRAME, HEADER, DiskStorage, StorageError, frame

from .damage import Damage, damages, values_of

entries = st.lists(values_of(Entry), max_size=3).map(tuple)


@pytest.fixture(scope="module", autouse=True)
def unsynced() -> Iterator[None]:
    """Wait for no disk: what is looked at is what a file holds, thousands of times."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, lambda file: None)
        yield


@st.composite
def lists_of_saves(draw: st.DrawFn) -> list[Save]:
    """Saves that follow each other as a node's do."""
    saves, compacted, last = [], 0, 0
    for _ in range(draw(st.integers(0, 5))):
        new = draw(entries)
        snapshot = draw(st.none() | st.none() | values_of(Snapshot))
        if snapshot is not None:
            compacted = last = draw(st.integers(compacted, last + 5))
            snapshot = snapshot._replace(last_index=compacted)
        hard_state = draw(values_of(HardState) if snapshot else st.none() | values_of(HardState))
        first = draw(st.integers(compacted + 1, last + 1))
        if new:
            last = first + len(new) - 1
        if new or hard_state:
            saves.append(Save(hard_state, first, new, snapshot))
    return saves


def written(path: Path, saves: Iterable[Save]) -> bytes:
    """Return the content of a new file of these saves."""
    storage = DiskStorage(path)
    storage.load()
    for save in saves:
        storage.save(save)
    storage.close()
    return path.read_bytes()


def loaded(path: Path) -> Saved:
    storage = DiskStorage(path)
    try:
        return storage.load()
    finally:
        storage.close()


def records_in(content: bytes) -> list[bytes]:
    """Return the records of a file that is whole."""
    records, start = [], len(HEADER)
    while start < len(content):
        length, _, _ = FRAME.unpack_from(content, start)
        end = start + FRAME.size + length
        records.append(content[start:end])
        start = end
    return records


def check_opened(content: bytes) -> bytes | None:
    """Check that content is read or refused; return what of it is kept, None if it was refused."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "node-1.log"
        path.write_bytes(content)
        refusal = None
        try:
            saved = loaded(path)
        except StorageError as error:
            refusal = str(error)
        if refusal is not None:
            assert re.match(re.escape(f"{path}: offset ") + r"\d+: .", refusal)
            assert path.read_bytes() == content, "damage is left for someone to look at"
            return None
        kept = path.read_bytes()
        assert content.startswith(kept) or kept == HEADER
        assert loaded(path) == saved
        assert path.read_bytes() == kept
        check_written_and_read(saved, path.with_name("node-2.log"))
        return kept


def check_written_and_read(saved: Saved, path: Path) -> None:
    """Check that what was read can be written and read again, so that it is nothing odd."""
    first = 1 if saved.snapshot is None else saved.snapshot.last_index + 1
    again = Save(saved.hard_state, first, tuple(saved.entries), saved.snapshot)
    written(path, [again])
    assert loaded(path) == saved
    msgspec.convert(msgspec.to_builtins(again), Save)


@given(lists_of_saves())
def test_a_whole_file_is_kept_whole(saves: list[Save]) -> None:
    with TemporaryDirectory() as directory:
        content = written(Path(directory) / "node-1.log", saves)
    assert check_opened(content) == content


@given(lists_of_saves(), st.lists(damages(), min_size=1, max_size=3))
@example([Save(HardState(1, None), 1, ()), Save(HardState(2, None), 1, ())], [Damage(8, 16, b"")])
def test_of_a_damaged_file_only_what_was_saved_is_read(
    saves: list[Save], done: list[Damage]
) -> None:
    with TemporaryDirectory() as directory:
        content = written(Path(directory) / "node-1.log", saves)
    damaged = content
    for damage in done:
        damaged = damage.done_to(damaged)
    kept = check_opened(damaged)
    # Whole records may be missing: a short one is as long as what is cut out at most.
    whole = iter(records_in(content))
    assert kept is None or all(record in whole for record in records_in(kept))


@given(st.binary(max_size=64), st.booleans())
def test_any_bytes_are_read_or_refused(content: bytes, headed: bool) -> None:
    check_opened(HEADER + content if headed else content)


near_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | st.sampled_from(["", "set", "noop"]),
    lambda inner: st.lists(inner, max_size=6),
)
payloads = st.binary(max_size=16) | near_values.map(msgspec.msgpack.encode)


@given(st.lists(payloads, max_size=4))
@example([b"\x93\x02\x01" + b"\x91" * 100_000])
@example([b"\x93\x02\x01\xdd\xff\xff\xff\xff"])
@example([msgspec.msgpack.encode([2, 1, [["x", ["set", "k"]]]])])
@example([msgspec.msgpack.encode([2, 1, [[1, "set"]]])])
@example([msgspec.msgpack.encode([1, True, None])])
def test_any_record_with_a_right_checksum_is_read_or_refused(contents: list[bytes]) -> None:
    assert all(frame(each)[4:8] == zlib.crc32(each).to_bytes(4, "little") for each in contents)
    check_opened(HEADER + b"".join(map(frame, contents)))
