"""The study of planted slowdowns: what is planted, what is kept of a gate, what its tables say."""

import ast
import shutil
from pathlib import Path

import msgspec
import pytest

import raftmark
from raftmark.bench.analysis.verdicts import Rule
from raftmark.bench.studies.planted import (
    _GO,
    _PYTHON,
    FILE,
    Figure,
    Gate,
    _append,
    _plant,
    read,
    tables,
)

ROOT = Path(raftmark.__file__).resolve().parent.parent
RULE = Rule(0.05, 0.005)


RECORDED = sorted(ROOT.glob("docs/gates/*"))


def a_gate(contender=None, aim=0.0, verdict="UNDECIDED", told_s=None, differences=(0.01, -0.01)):
    figures = [
        Figure("asyncio", "replicate-w64-turns", "throughput", list(differences), verdict, told_s),
        Figure("go", "replicate-w64-turns", "throughput", [0.0, 0.0], "UNDECIDED", None),
    ]
    return Gate(contender, aim, 30, "a-run", "ENOUGH", 100.0, RULE.error, RULE.margin, figures)


@pytest.mark.parametrize("place", [_PYTHON, _GO], ids=["Python", "Go"])
def test_the_core_has_the_place_where_a_slowdown_is_planted(tmp_path, place):
    copy = tmp_path / place.path
    copy.parent.mkdir(parents=True)
    shutil.copy(ROOT / place.path, copy)
    _plant(tmp_path, place, 123)
    planted = copy.read_text()
    assert "123 * len(commands)" in planted
    assert planted != (ROOT / place.path).read_text()
    if place is _PYTHON:
        ast.parse(planted)
    with pytest.raises(ValueError, match="has not this place once"):
        _plant(tmp_path, place._replace(before="nowhere"), 1)


def test_gates_are_kept_one_by_one_and_a_torn_line_is_none(tmp_path):
    path = tmp_path / FILE
    assert read(path) == []
    _append(path, a_gate())
    with path.open("ab") as file:
        file.write(msgspec.json.encode(a_gate())[:40])
    assert read(path) == [a_gate()]
    _append(path, a_gate("asyncio", 0.05))
    assert read(path) == [a_gate(), a_gate("asyncio", 0.05)]


def test_tables_tell_how_many_were_told_and_how_soon():
    planted = [
        a_gate("asyncio", 0.05, "SLOWER", told_s, (0.05, 0.05)) for told_s in (30.0, 50.0, 90.0)
    ]
    missed = a_gate("asyncio", 0.05, differences=(0.05,))
    lines = tables([*planted, missed, a_gate(), a_gate(verdict="SLOWER", told_s=9.0)])
    assert "| 5% in asyncio | 4 | 5.1% | 3 of 4 | 50 s | 90 s | 0 of 4 |" in lines
    assert "| nothing | 2 | | | | | 1 of 2 |" in lines
    assert any(
        line.startswith("| asyncio, throughput in replicate-w64-turns | 4 | 1.0 % |")
        for line in lines
    )
    # In Go nothing was planted, so that all its pairs are noise.
    assert any(
        line.startswith("| go, throughput in replicate-w64-turns | 12 | 0.0 % |") for line in lines
    )


@pytest.mark.parametrize("directory", RECORDED, ids=[path.name for path in RECORDED])
def test_the_document_has_the_tables_of_the_recorded_gates(directory):
    printed = tables(read(directory / FILE))
    document = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
    assert "\n".join(printed) in document
