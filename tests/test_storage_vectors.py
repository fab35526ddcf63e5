"""The bytes of a node's file are the same in every language: vectors that all must write.

The vectors are what the Python storage wrote when they were made; Go's tests read them too.
`python -m tests.test_storage_vectors` writes the file anew, for a deliberate change of format.
"""

from __future__ import annotations

import hashlib
import json
import struct
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from raftmark.raft.messages import (
    Command,
    Configuration,
    Entry,
    HardState,
    Item,
    Save,
    Saved,
    Snapshot,
)
from raftmark.raft.storage import DiskStorage, StorageError

VECTORS = Path(__file__).with_name("vectors") / "storage.json"

# Above this many bytes a vector has the file's SHA-256 in place of the bytes.
MAX_HEX = 4096

SET = ["set", "k", "v", None, None, 0]


def long(text: str, times: int) -> dict[str, Any]:
    """Return a string too long to write down."""
    return {"repeat": text, "times": times}


def hard_state(term: int, voted_for: int | None) -> dict[str, Any]:
    return {"hard_state": [term, voted_for], "first_index": 1, "entries": []}


def entries(first_index: int, *entries: Any) -> dict[str, Any]:
    """Return a save of entries; an entry is [term, command], or that and how often."""
    return {"hard_state": None, "first_index": first_index, "entries": list(entries)}


SAVES: dict[str, list[dict[str, Any]]] = {
    "nothing": [],
    "a vote": [hard_state(1, 3)],
    "no vote": [hard_state(2, None)],
    "terms of every length": [
        hard_state(term, 1)
        for size in (7, 8, 16, 32, 53)
        for term in (2**size - 1, *([2**size] if size < 53 else []))
    ],
    "a no-op": [entries(1, [1, ["noop", "", None, None, None, 0]])],
    "every op": [
        entries(
            1,
            [1, SET],
            [1, ["get", "k", None, None, None, 0]],
            [2, ["cas", "k", "new", "old", None, 0]],
            [2, ["cas", "k", "new", None, None, 0]],
            [3, ["set", "k", "v", None, "client-0", 1]],
        )
    ],
    "serials of every length": [
        entries(1, *([1, ["get", "k", None, None, "c", 2**n - 1]] for n in range(1, 54)))
    ],
    "strings of every length": [
        entries(n, [1, ["set", long("k", size), long("v", size), None, None, 0]])
        for n, size in enumerate((0, 1, 31, 32, 255, 256, 65535), 1)
    ],
    "a value of every length": [
        entries(n, [1, ["set", "k", long("v", size), None, None, 0]])
        for n, size in enumerate((65536, 512 * 1024), 1)
    ],
    "all of Unicode": [entries(1, [1, ["set", 'ключ 鍵 \0\n"', "😀\u0301\ufffd", "é", "ñ", 7]])],
    "batches of every length": [
        entries(1, [1, SET, 15]),
        entries(16, [1, SET, 16]),
        entries(32, [1, SET, 65535]),
        entries(65567, [1, SET, 65536]),
    ],
    "state and entries in one save": [
        {"hard_state": [5, 2], "first_index": 1, "entries": [[5, SET]]},
        {"hard_state": [6, None], "first_index": 2, "entries": [[6, SET, 3]]},
    ],
    "a tail deleted": [
        entries(1, [1, SET, 5]),
        entries(3, [2, SET]),
        entries(4, [2, SET]),
        entries(1, [3, SET, 2]),
        {"hard_state": [4, 4], "first_index": 2, "entries": [[4, SET]]},
    ],
    "a snapshot": [
        entries(1, [1, SET, 5]),
        {
            "hard_state": [2, 1],
            "first_index": 4,
            "entries": [[1, SET], [2, SET]],
            "snapshot": [
                3,
                1,
                [[1, 2, 3], [4]],
                [["", "", 0], ["k", "v", 0], ["a", True, 1], ["b", "é", 258], ["c", None, 2**32]],
            ],
        },
        entries(6, [2, ["add_server", "5", None, None, None, 0]]),
        entries(5, [3, SET]),
    ],
    "the first voters": [
        {"hard_state": [1, 1], "first_index": 1, "entries": [], "first_voters": [1, 2, 300]},
        entries(1, [1, SET]),
        {
            "hard_state": [1, 1],
            "first_index": 2,
            "entries": [],
            "snapshot": [1, 1, [[2, 300], []], []],
            "first_voters": [1, 2, 300],
        },
        entries(2, [1, SET]),
    ],
    "a snapshot of all": [
        entries(1, [1, SET, 300]),
        {
            "hard_state": [1, None],
            "first_index": 301,
            "entries": [],
            "snapshot": [300, 1, [[1], []], []],
        },
    ],
}


def record(payload: str, checksum: int | None = None, length: int | None = None) -> str:
    """Return a record in hexadecimal: whole, unless its checksum or length are said to differ."""
    data = bytes.fromhex(payload)
    lead = struct.pack(
        "<II",
        len(data) if length is None else length,
        zlib.crc32(data) if checksum is None else checksum,
    )
    return (lead + struct.pack("<I", zlib.crc32(lead)) + data).hex()


# What is done to the file of "a tail deleted" (keep so many bytes, then append these), and
# what becomes of it: how many bytes are kept, or at which offset it is refused.
REPAIRS: dict[str, dict[str, Any]] = {
    "whole": {"keep": 10_000, "append": "", "kept": None},
    "no byte": {"keep": 0, "append": "", "kept": 8},
    "half a header": {"keep": 5, "append": "", "kept": 8},
    "only the header": {"keep": 8, "append": "", "kept": 8},
    "another header": {"keep": 7, "append": "02", "refused_at": 0},
    "not a header": {"keep": 0, "append": "54414652", "refused_at": 0},
    "half a frame": {"keep": 10_000, "append": record("930102")[:10], "kept": None},
    "half a payload": {"keep": 10_000, "append": record("930102")[:-2], "kept": None},
    "a last record with another checksum": {
        "keep": 10_000,
        "append": record("930102", checksum=7),
        "kept": None,
    },
    "damage before the end": {
        "keep": 8,
        "append": record("930102", checksum=7) + record("930102"),
        "refused_at": 8,
    },
    "a damaged length": {
        "keep": 8,
        "append": "04" + record("930102")[2:] + record("930102"),
        "refused_at": 8,
    },
    "a damaged length in the last record": {
        "keep": 8,
        "append": "04" + record("930102")[2:],
        "refused_at": 8,
    },
    "a tail of zeros": {"keep": 10_000, "append": "00" * 64, "kept": None},
    "zeros from within a frame on": {
        "keep": 10_000,
        "append": record("930102")[:10] + "00" * 64,
        "kept": None,
    },
    "zeros from within a payload on": {
        "keep": 10_000,
        "append": record("930102")[:-2] + "00" * 64,
        "kept": None,
    },
    "zeros in place of a header": {"keep": 0, "append": "00" * 8, "kept": 8},
    "zeros in place of half a header": {"keep": 5, "append": "00" * 3, "kept": 8},
    "more zeros than a header": {"keep": 0, "append": "00" * 9, "refused_at": 0},
    "zeros before the end": {"keep": 8, "append": "00" * 12 + record("930102"), "refused_at": 8},
    "damage before zeros": {
        "keep": 8,
        "append": record("930102", checksum=7) + "00" * 64,
        "refused_at": 8,
    },
    "a damaged length before zeros": {
        "keep": 8,
        "append": "04" + record("930102")[2:] + "00" * 64,
        "refused_at": 8,
    },
    "the first voters twice": {
        "keep": 8,
        "append": record("92059101") * 2,
        "refused_at": 24,
    },
    "first voters that are none": {"keep": 8, "append": record("920501"), "refused_at": 8},
    "no first voters": {"keep": 8, "append": record("920590"), "refused_at": 8},
    "no MessagePack": {"keep": 8, "append": record("c1"), "refused_at": 8},
    "an empty record": {"keep": 8, "append": record(""), "refused_at": 8},
}


def text(value: Any) -> Any:
    return value["repeat"] * value["times"] if isinstance(value, dict) else value


def save_of(vector: dict[str, Any]) -> Save:
    """Return the save that a vector describes."""
    saved: list[Entry] = []
    for term, command, *times in vector["entries"]:
        entry = Entry(term, Command(*(text(field) for field in command)))
        saved += [entry] * (times[0] if times else 1)
    state = HardState(*vector["hard_state"]) if vector["hard_state"] else None
    voters = vector.get("first_voters")
    return Save(
        state,
        vector["first_index"],
        tuple(saved),
        snapshot_of(vector.get("snapshot")),
        None if voters is None else tuple(voters),
    )


def snapshot_of(vector: list[Any] | None) -> Snapshot | None:
    if vector is None:
        return None
    index, term, members, items = vector
    configuration = Configuration(*map(tuple, members))
    return Snapshot(index, term, configuration, tuple(Item(*item) for item in items))


def write(file: Path, saves: Sequence[dict[str, Any]]) -> Saved:
    """Save everything in a new file, and return what is to be read from it."""
    storage = DiskStorage(file)
    state, loaded, snapshot, voters = storage.load()
    log, compacted = list(loaded), 0
    for save in map(save_of, saves):
        storage.save(save)
        state, voters = save.hard_state or state, save.first_voters or voters
        if save.snapshot is not None:
            snapshot, log, compacted = save.snapshot, list(save.entries), save.snapshot.last_index
        elif save.entries:
            log[save.first_index - compacted - 1 :] = save.entries
    storage.close()
    return Saved(state, log, snapshot, voters)


def load(file: Path) -> Saved:
    storage = DiskStorage(file)
    try:
        return storage.load()
    finally:
        storage.close()


def contents(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_HEX:
        return {"sha256": hashlib.sha256(data).hexdigest()}
    return {"hex": data.hex()}


def make_vectors(directory: Path) -> dict[str, Any]:
    """Return all vectors, as the Python storage writes them in a scratch directory."""
    files = []
    for number, (name, saves) in enumerate(SAVES.items()):
        file = directory / f"{number}.log"
        write(file, saves)
        files.append({"name": name, "saves": saves, **contents(file.read_bytes())})
    repairs = [{"name": name, **repair} for name, repair in REPAIRS.items()]
    return {"files": files, "repairs": repairs, "repaired": "a tail deleted"}


VECTORS_READ: dict[str, Any] = json.loads(VECTORS.read_text()) if VECTORS.exists() else {}
FILES = {vector["name"]: vector for vector in VECTORS_READ.get("files", [])}


def test_the_vectors_are_those_described_here(tmp_path: Path) -> None:
    assert make_vectors(tmp_path) == VECTORS_READ


@pytest.mark.parametrize("vector", FILES.values(), ids=FILES)
def test_what_is_written_is_read(vector: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "node.log"
    saved = write(file, vector["saves"])
    assert contents(file.read_bytes()).items() <= vector.items()
    assert load(file) == saved


@pytest.mark.parametrize("repair", REPAIRS.values(), ids=REPAIRS)
def test_a_torn_tail_is_cut_off_and_damage_refused(repair: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "node.log"
    whole = bytes.fromhex(FILES[VECTORS_READ["repaired"]]["hex"])
    damaged = whole[: repair["keep"]] + bytes.fromhex(repair["append"])
    file.write_bytes(damaged)
    if "refused_at" in repair:
        with pytest.raises(StorageError) as refusal:
            load(file)
        assert str(refusal.value).startswith(f"{file}: offset {repair['refused_at']}: ")
        assert file.read_bytes() == damaged
        return
    kept = whole[: repair["kept"]]
    undamaged = write(tmp_path / "whole.log", SAVES[VECTORS_READ["repaired"]])
    saved = undamaged if kept == whole else Saved(HardState(), [])
    assert load(file) == saved
    assert file.read_bytes() == kept
    assert load(file) == saved


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        made = make_vectors(Path(scratch))
    VECTORS.parent.mkdir(exist_ok=True)
    VECTORS.write_text(json.dumps(made, indent=1, ensure_ascii=True) + "\n")
    print(f"wrote {VECTORS.name}")
