"""The counted code of a run's contenders that the project's own table does not have: `code.json`.

It is counted when they are measured: later there may be another table, or none, or other code.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from raftmark.bench.codemetrics import SourceMetrics
from raftmark.bench.files import read_file, replace_file
from raftmark.bench.runs.store import LONGEST_FILE, Run, decoded, explained

SCHEMA = 1
FILE = "code.json"


class CountedCode(msgspec.Struct, frozen=True):
    """What was counted of a contender: its runtime by component, the core below it by module."""

    language: str
    runtime: dict[str, SourceMetrics]
    core: dict[str, SourceMetrics]


class _Kept(msgspec.Struct, frozen=True):
    code: dict[str, CountedCode | str]
    schema: int = SCHEMA


def keep(run: Run, code: Mapping[str, CountedCode | str]) -> None:
    """Write what was counted, or why it was not, by contender. `StoreError` if that cannot be."""
    path = run.path / FILE
    with explained(path):
        replace_file(path, msgspec.json.encode(_Kept(dict(code))))


def load(run: Run) -> dict[str, CountedCode | str]:
    """Read what was counted, nothing where nothing is kept. `StoreError` if it is damaged."""
    path = run.path / FILE
    if not path.exists():
        return {}
    with explained(path):
        content = read_file(path, LONGEST_FILE)
    return decoded(content, _Kept, str(path), "delete it to go without", SCHEMA).code
