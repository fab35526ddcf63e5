"""Who passes less than the whole conformance suite is never shown as an equal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.runs.store import Run
from raftmark.report.findings.analysis import analyse
from raftmark.report.model import Code
from raftmark.report.pages.build import render
from tests.report.synthetic_runs import write_run


def page_of(directory: Path, levels: Mapping[str, str], code: Mapping[str, Code | str]) -> str:
    """The report of a run whose contenders were found to reach these levels."""
    path = write_run(directory, blocks=2, outstanding=[64], timeouts_ms=[(150, 300)])
    manifest = json.loads((path / "run.json").read_text())
    for entry in manifest["contenders"]:
        entry["level"] = levels.get(entry["name"])
    (path / "run.json").write_text(json.dumps(manifest))
    return render(analyse(Run.open(path), load_contenders(), code))


def test_a_lesser_level_is_beside_the_label_wherever_that_stands(
    tmp_path: Path, code: Mapping[str, Code | str]
) -> None:
    page = page_of(tmp_path / "run", {"asyncio": "replicates", "go": "complete"}, code)
    label = load_contenders()["asyncio"].label
    assert page.count(f"{label} (replicates only)") > 10
    # A chart may have no room for all of it.
    assert page.count(label) == page.count(f"{label} (repl")
    assert not re.search(r"Go goroutines \((elects|replicates|survives|fails)", page)


def test_who_was_examined_is_named_where_the_page_says_what_it_is(
    tmp_path: Path, code: Mapping[str, Code | str]
) -> None:
    levels = {"asyncio": "complete", "go": "fails"}
    page = page_of(tmp_path / "run", levels, code)
    said = "Examined by the conformance suite as they are: "
    assert f"{said}Python asyncio and Go goroutines (fails the suite)." in page
    assert page.count("<td>not examined</td>") == 2
    assert said not in page_of(tmp_path / "nobody", {}, code)
