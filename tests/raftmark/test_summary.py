"""The table at the end of a run can be read, however many cells the run has."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from raftmark.bench.design.specification import full
from raftmark.bench.runs.store import Run
from raftmark.terminal.summary import summarise
from tests.bench.support import manifest


def test_a_long_runs_table_has_a_row_for_each_cell(tmp_path: Path) -> None:
    cells = full().cells
    run = Run.create(tmp_path, manifest(["one", "another", "third", "fourth"], cells, blocks=1))
    console = Console(width=100, record=True)
    console.print(summarise(run))
    rows = [
        [entry.strip() for entry in line.split("\N{BOX DRAWINGS LIGHT VERTICAL}")[1:-1]]
        for line in console.export_text().splitlines()
    ]
    shown = [row for row in rows if row and any(row[1:])]
    assert [row[0] for row in shown] == [cell.id for cell in cells]
    assert {len(row) for row in shown} == {5}
    figures = [row[0] for row in rows if row and not any(row[1:])]
    assert {"throughput, commands/s", "time to catch up, ms", "needless elections"} <= set(figures)
