"""Lays a run out as one page: analysis, sentences and sections into templates."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from raftmark.bench.contenders.registry import DEFAULT_TABLE
from raftmark.bench.files import replace_file, require_writable
from raftmark.bench.runs.store import Run
from raftmark.report.drawing.svg import marker_svg
from raftmark.report.findings.about import about, brief, limits
from raftmark.report.findings.analysis import Analysis, examine
from raftmark.report.findings.caveats import caveats
from raftmark.report.findings.wording import cardinal, factor, figure, floor, ratio, reach
from raftmark.report.pages.sections import SECTIONS
from raftmark.report.pages.templating import static, templates


def write_report(
    run: Run,
    output: Path,
    before: Run | None = None,
    table: Path = DEFAULT_TABLE,
    pooled: Sequence[Run] = (),
) -> None:
    """Write a run's report to `output`, whole or not at all. OSError if that cannot be done.

    With a run `before`, the report also tells what changed from that to this; with runs `pooled`
    it is of all of them. `table` is the contenders' table that names the code to count.
    """
    require_writable(output)
    replace_file(output, render(examine(run, table, before, pooled)))


def render(analysis: Analysis) -> str:
    """The page, as HTML that needs nothing else."""
    environment = templates()
    environment.filters["figure"] = figure
    environment.filters["ratio"] = ratio
    environment.filters["factor"] = factor
    environment.filters["floor"] = floor
    environment.filters["reach"] = reach
    environment.filters["cardinal"] = cardinal
    script = static("*.js")
    return environment.get_template("report.html").render(
        analysis=analysis,
        brief=brief(analysis),
        about=about(analysis),
        limits=limits(analysis),
        sections=[made for make in SECTIONS if (made := make(analysis)) is not None],
        caveats=caveats(analysis),
        markers={
            contender.name: marker_svg(contender.marker, contender.colour, contender.filled)
            for contender in analysis.contenders.values()
        },
        workloads=list(dict.fromkeys(cell.workload["name"] for cell in analysis.evidence.cells)),
        style=static("*.css"),
        # The page runs this script and no other.
        script=script,
        script_hash=_hash(script),
    )


def _hash(script: str) -> str:
    """Name a script as a content security policy does."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
