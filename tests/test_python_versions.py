"""What works in one supported Python and not in an earlier one, where no tool tells."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ["bench", "raft", "raftmark", "report", *(path.name for path in ROOT.glob("impl_*"))]
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).glob("**/*.py"))


def raises_within_except_star(source: str) -> list[int]:
    """The lines that raise an exception which comes in a group until Python 3.11.3."""
    return [
        node.lineno
        for group in ast.walk(ast.parse(source))
        if isinstance(group, ast.TryStar)
        for handler in group.handlers
        for node in ast.walk(handler)
        if isinstance(node, ast.Raise) and node.exc is not None
    ]


def test_what_is_raised_within_except_star_is_found() -> None:
    source = "try:\n  f()\nexcept* OSError as e:\n  if e:\n    raise e.exceptions[0] from None\n"
    assert raises_within_except_star(source) == [5]
    assert raises_within_except_star(source.replace("except*", "except")) == []


def test_nothing_is_raised_within_except_star() -> None:
    assert len(SOURCES) > 100
    found = {path: raises_within_except_star(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {path: lines for path, lines in found.items() if lines} == {}
