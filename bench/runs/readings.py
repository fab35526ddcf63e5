"""What a Raft of each concurrency model is made of, measured without any Raft.

A *case* is a primitive in one of its forms: with the model's usual tool or with its fastest one; a
timer idle or beside a busy peer. Every contender's cases take turns in randomised blocks, each in a
fresh process, and what each process found is one line of `primitives.jsonl` in the run's directory,
appended as it ends and never changed. The whole output of the process is kept beside it, below
`primitives/`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from raftmark.bench.files import read_file
from raftmark.bench.runs.store import LONGEST_FILE, StoreError, decoded, explained

SCHEMA = 1
FILE = "primitives.jsonl"
RAW = "primitives"

Primitive = Literal[
    "spawn_join", "one_way", "ping_pong", "majority", "lock_hand_over", "timer_lateness"
]
CaseName = Literal["usual", "fastest", "idle", "busy"]

# In the order of a table, each with what one operation of it is.
PRIMITIVES: dict[Primitive, str] = {
    "spawn_join": "one spawn and its join",
    "one_way": "one message, received by the other side",
    "ping_pong": "one message and its answer",
    "majority": "one message to each of four and the answers of three",
    "lock_hand_over": "one lock handed from one holder to the next",
    "timer_lateness": "how late a timer of 10 ms comes",
}


class Case(NamedTuple):
    """A primitive in one of its forms."""

    primitive: Primitive
    name: CaseName

    def __str__(self) -> str:
        return f"{self.primitive}/{self.name}"


CASES = [
    Case(primitive, name)
    for primitive in PRIMITIVES
    for name in (("idle", "busy") if primitive == "timer_lateness" else ("usual", "fastest"))
]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What one fresh process found for one case.

    `seconds` are those of one operation; of `timer_lateness` they are the median lateness, and
    `p99_s` its 99th percentile. Both are None where it failed, and `failure` says why. `means` is
    the tool that was used, `loops` the number of operations, and `raw` the file below the run's
    directory with all that the process put out.
    """

    block: int
    order: int
    contender: str
    primitive: Primitive
    case: CaseName
    seconds: float | None
    p99_s: float | None = None
    means: str = ""
    loops: int | None = None
    failure: str | None = None
    raw: str | None = None
    started_at: str
    schema: int = SCHEMA

    @property
    def key(self) -> tuple[int, str, str, str]:
        """What no two readings of a run share."""
        return self.block, self.contender, self.primitive, self.case


def load(run_path: Path) -> list[Reading]:
    """Return the readings of a run in the order in which they were taken, none without a file.

    A torn last line, of a process that was killed while it wrote, is left out. Raises `StoreError`
    for any other line that cannot be read, naming file and line.
    """
    path = run_path / FILE
    with explained(path):
        content = read_file(path, LONGEST_FILE) if path.exists() else b""
    *lines, _torn = content.split(b"\n")
    readings: dict[tuple[int, str, str, str], Reading] = {}
    for number, line in enumerate(lines, start=1):
        remedy = "restore the file, or delete that line to lose its reading"
        reading = decoded(line, Reading, f"{path}, line {number}", remedy, SCHEMA)
        if reading.key in readings:
            raise StoreError(f"{path}, line {number} repeats {'/'.join(map(str, reading.key))}")
        readings[reading.key] = reading
    return list(readings.values())


def append(run_path: Path, reading: Reading) -> None:
    """Add a reading and see it safely on disk; a torn last line before it is cut off."""
    path = run_path / FILE
    with explained(path), path.open("a+b") as file:
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
        file.write(msgspec.json.encode(reading) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def samples(readings: Iterable[Reading]) -> dict[tuple[str, Case], dict[int, Reading]]:
    """Return the readings that succeeded by contender and case, and for each by block."""
    found: dict[tuple[str, Case], dict[int, Reading]] = {}
    for reading in readings:
        if reading.seconds is not None:
            key = reading.contender, Case(reading.primitive, reading.case)
            found.setdefault(key, {})[reading.block] = reading
    return found
