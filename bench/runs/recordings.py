"""The recordings of a run, which are no measurement: its `recordings.json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from raftmark.bench.files import read_file, replace_file
from raftmark.bench.runs.store import LONGEST_FILE, Run, decoded, explained

SCHEMA = 1


FILE = "recordings.json"


class NodeState(msgspec.Struct, frozen=True):
    """What a node was when a recording began."""

    id: int
    alive: bool
    role: str | None
    term: int | None
    leader: int | None
    last_index: int | None
    commit_index: int | None


class Recording(msgspec.Struct, frozen=True):
    """What happened in a cluster, in order of time.

    `events` are those of the protocol, `role` and `message`, and the recorder's own: `crash` (of a
    `node`) and `submit`, `answer` (of a command). Each has `at_ns`.
    """

    contender: str
    kind: Literal["election", "replication"]
    nodes: list[NodeState]
    events: list[dict[str, Any]]


class _Kept(msgspec.Struct, frozen=True):
    recordings: list[Recording]
    schema: int = SCHEMA


def keep(run: Run, recordings: Sequence[Recording]) -> None:
    """Write a run's recordings, in place of earlier ones. `StoreError` if that cannot be done."""
    path = run.path / FILE
    with explained(path):
        replace_file(path, msgspec.json.encode(_Kept(list(recordings))))


def load(run_path: Path) -> list[Recording]:
    """Read a run's recordings, none where it has none. `StoreError` if they are damaged."""
    path = run_path / FILE
    if not path.exists():
        return []
    with explained(path):
        content = read_file(path, LONGEST_FILE)
    return decoded(content, _Kept, str(path), "delete it to go without", SCHEMA).recordings
