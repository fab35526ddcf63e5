"""How often the seminar paper's programs came to each outcome: a run's `races.json`.

The file is replaced whole after each program.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from raftmark.bench.files import read_file, replace_file
from raftmark.bench.runs.store import LONGEST_FILE, decoded, explained

SCHEMA = 1


FILE = "races.json"


Program = Literal["unsynchronised", "channel", "joined"]


PROGRAMS: dict[Program, str] = {
    "unsynchronised": "b = a * b beside a = b * b, with nothing between them",
    "channel": "the same with a message that the first is done",
    "joined": "eight that count, each started when the one before was joined",
}


class Outcomes(msgspec.Struct, frozen=True):
    """How often a contender's program came to each outcome; empty where it failed."""

    contender: str
    program: Program
    runs: int
    outcomes: dict[str, int]
    failure: str | None
    started_at: str


class _File(msgspec.Struct, frozen=True):
    counted: list[Outcomes] = []
    schema: int = SCHEMA


def load(run_path: Path) -> list[Outcomes]:
    """Return what was counted in a run, nothing without a file.

    Raises `StoreError` for a file that cannot be read.
    """
    path = run_path / FILE
    with explained(path):
        content = read_file(path, LONGEST_FILE) if path.exists() else b"{}"
    return decoded(content, _File, str(path), "restore it or delete it", SCHEMA).counted


def keep(run_path: Path, counted: list[Outcomes]) -> None:
    """Write the outcomes of a run, in place of earlier ones."""
    path = run_path / FILE
    encoded = msgspec.json.format(msgspec.json.encode(_File(counted)), indent=2)
    with explained(path):
        replace_file(path, encoded + b"\n")
