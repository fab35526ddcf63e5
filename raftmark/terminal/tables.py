"""The tables that commands print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import JustifyMethod
from rich.table import Table

from raftmark.bench.analysis.statistics import median_interval
from raftmark.bench.baselines.floors import Floor
from raftmark.bench.experiment.doctor import Finding
from raftmark.bench.experiment.entries import gil_is_back
from raftmark.bench.planning.pilot import MOST_BLOCKS, Plan
from raftmark.bench.runs import readings
from raftmark.bench.runs.forms import ContenderEntry
from raftmark.bench.runs.outcomes import PROGRAMS, Outcomes
from raftmark.bench.runs.readings import CASES, Reading, samples
from raftmark.bench.runs.store import Run
from raftmark.terminal.console import harmless
from raftmark.terminal.summary import spell_estimate

_GIL = {True: "on", False: "off", None: "none"}


def contenders_table(contenders: list[ContenderEntry]) -> Table:
    """Lay out contenders for people."""
    table = Table()
    _add_id(table, "contender")
    for column in ("language", "runtime", "GIL", "level", "features"):
        table.add_column(column, overflow="fold")
    for contender in contenders:
        if contender.hello is None:
            table.add_row(contender.name, harmless(f"cannot run: {contender.unavailable}"))
            continue
        runtime = contender.hello["runtime"]
        table.add_row(
            contender.name,
            contender.hello["language"],
            ", ".join([f"{runtime['name']} {runtime['version']}", *_loop(runtime)]),
            "on again" if gil_is_back(contender) else _GIL[runtime.get("gil")],
            contender.level or "not examined",
            ", ".join(contender.hello["features"]),
        )
    return table


def _add_id(table: Table, *titles: str) -> None:
    """Add columns of what is to be typed again: they stay whole, and others give way."""
    for title in titles:
        table.add_column(title, no_wrap=True, overflow="fold")


def _loop(runtime: dict[str, Any]) -> list[str]:
    loop = runtime.get("loop", "asyncio")
    return [] if loop == "asyncio" else [loop]


def findings_table(findings: list[Finding]) -> Table:
    """Lay out findings for people."""
    table = Table(title="fitness of this machine for measuring")
    for column in ("what", "state", "", "what would help"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        table.add_row(finding.what, finding.state, finding.fitness.value, finding.advice)
    return table


def plan_table(made: Plan) -> Table:
    """Lay out a plan for people."""
    table = Table(title=f"for intervals of ±{made.precision:.1%}")
    _add_id(table, "cell", "contender")
    for column in ("within", "between", "process", "lasts", "blocks"):
        table.add_column(column, justify="right", overflow="fold")
    cells = {cell.id: cell for cell in made.specification.cells}
    for each in made.components:
        if (each.cell, each.contender) not in made.needs:
            continue
        blocks = made.needs[each.cell, each.contender]
        table.add_row(
            each.cell,
            each.contender,
            "" if each.within is None else f"{each.within:.1%}",
            f"{each.between:.1%}",
            f"{each.process_s:.1f} s",
            f"{cells[each.cell].usual_s:.1f} s",
            str(blocks) if blocks <= MOST_BLOCKS else f"over {MOST_BLOCKS}",
        )
    return table


def floors_table(floors: list[Floor]) -> Table:
    """Lay the floors out for people."""
    table = Table(title="median (95 % interval) over blocks")
    table.add_column("what", overflow="fold")
    table.add_column("measured", justify="right", overflow="fold")
    table.add_column("bound", justify="right", overflow="fold")
    table.add_column("verdict", overflow="fold")
    for floor in floors:
        table.add_row(
            floor.what,
            str(spell_estimate(floor.estimate)) if floor.estimate else "none",
            f"{'≥' if floor.at_least else '≤'} {floor.bound:,}",
            floor.verdict,
        )
    return table


def primitives_table(run: Run) -> Table:
    """Lay the readings of a run out for people: medians and intervals in microseconds."""
    found = samples(readings.load(run.path))
    contenders = [e.name for e in run.manifest.contenders if any(e.name == n for n, _ in found)]
    table = Table(title=f"{run.manifest.run}: µs, median (95 % interval) over blocks")
    for column in ("primitive", "with", *contenders):
        side: JustifyMethod = "right" if column in contenders else "left"
        table.add_column(column, justify=side, overflow="fold")
    for case in CASES:
        rows = {"": [_reading(found.get((name, case), {}), "seconds") for name in contenders]}
        if case.primitive == "timer_lateness":
            p99 = [_reading(found.get((name, case), {}), "p99_s") for name in contenders]
            rows = {", median": rows[""], ", 99th percentile": p99}
        for suffix, cells in rows.items():
            table.add_row(case.primitive.replace("_", " "), f"{case.name}{suffix}", *cells)
    return table


def _reading(by_block: dict[int, Reading], field: str) -> str:
    values = [v * 1e6 for r in by_block.values() if (v := getattr(r, field)) is not None]
    if not values:
        return "none"
    spelled = spell_estimate(median_interval(values))
    return f"{spelled.value} ({spelled.interval})" if spelled.interval else spelled.value


def races_table(counted: Sequence[Outcomes]) -> Table:
    """Lay the outcomes out for people."""
    found = Table(title="how often each outcome came")
    _add_id(found, "program", "contender")
    found.add_column("runs", justify="right", overflow="fold")
    found.add_column("outcomes", overflow="fold")
    for program in PROGRAMS:
        for each in counted:
            if each.program == program:
                usual = sorted(each.outcomes.items(), key=lambda item: -item[1])
                outcomes = "; ".join(f"{outcome}: {count:,}" for outcome, count in usual)
                found.add_row(program, each.contender, f"{each.runs:,}", outcomes or "failed")
    return found
