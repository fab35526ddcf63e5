"""A run as data frames: the tables that the report hands out."""

from __future__ import annotations

import ast
import builtins
import re
from pathlib import Path
from typing import Any

import pytest

import raftmark
from raftmark.bench.analysis.tables import FIGURES, VALUES
from raftmark.bench.contenders.places import ROOT
from raftmark.bench.runs.store import StoreError
from tests.report.synthetic_runs import LABELS, write_run


class Frame:
    """Stands in for a data frame: what it was made of."""

    def __init__(self, rows: list[tuple[object, ...]], columns: list[str]) -> None:
        self.rows, self.columns = rows, columns


@pytest.fixture
def pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raftmark.frames._pandas", lambda: Frame)


@pytest.mark.usefixtures("pandas")
def test_a_run_is_read_into_its_tables(tmp_path: Path) -> None:
    run: Any = raftmark.load(write_run(tmp_path / "run", blocks=6))
    assert (run.values.columns, run.figures.columns) == (list(VALUES), list(FIGURES))
    wanted = ("replicate-w64", "throughput")
    rows = [dict(zip(VALUES, row, strict=True)) for row in run.values.rows]
    rates = [row for row in rows if (row["cell"], row["metric"]) == wanted]
    assert {(row["contender"], row["block"]) for row in rates} == {
        (name, block) for name in LABELS for block in range(6)
    }
    figures = [dict(zip(FIGURES, row, strict=True)) for row in run.figures.rows]
    (go,) = (f for f in figures if (f["cell"], f["metric"], f["contender"]) == (*wanted, "go"))
    assert (go["ratio"], go["blocks"], go["unit"]) == (1.0, 6, "commands/s")
    assert go["low_95"] <= go["median"] <= go["high_95"]


@pytest.mark.usefixtures("pandas")
def test_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        raftmark.load(tmp_path)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without_pandas(name: str, *rest: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_pandas)
    with pytest.raises(ImportError, match=r"pip install 'raftmark\[frames\]'"):
        raftmark.load(tmp_path)


def test_what_the_page_on_data_frames_shows_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every line of it, in one go, where there is pandas."""
    pandas = pytest.importorskip("pandas")
    text = (ROOT / "docs" / "data-frames.md").read_text(encoding="utf-8")
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    named = re.findall(r'load\("(results/[^"]+)"\)', text)
    assert snippets
    assert named
    for path in named:
        write_run(tmp_path / path, blocks=2)
    monkeypatch.chdir(tmp_path)
    shown = []
    for snippet in snippets:
        names: dict[str, Any] = {}
        for statement in ast.parse(snippet).body:
            if isinstance(statement, ast.Expr):
                code = compile(ast.Expression(statement.value), "data-frames.md", "eval")
                shown.append(eval(code, names))
            else:
                exec(compile(ast.Module([statement], []), "data-frames.md", "exec"), names)
    assert shown
    for each in shown:
        assert isinstance(each, pandas.DataFrame | pandas.Series)
        assert len(each) > 0
