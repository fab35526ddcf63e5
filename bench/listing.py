"""What is known of each contender without measuring it: `raftmark contenders`."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from bench.registry import ContenderSpec, Unavailable
from bench.store import ContenderEntry


def describe(spec: ContenderSpec) -> ContenderEntry:
    """Build and ask a contender what it is."""
    try:
        return ContenderEntry(spec.name, spec.label, spec.probe(), None)
    except Unavailable as reason:
        return ContenderEntry(spec.name, spec.label, None, str(reason))


def contenders_table(contenders: list[ContenderEntry]) -> Table:
    """Lay out contenders for people."""
    table = Table()
    for column in ("contender", "language", "runtime", "GIL", "features"):
        table.add_column(column, overflow="fold")
    for contender in contenders:
        if contender.hello is None:
            table.add_row(contender.name, escape(f"cannot run: {contender.unavailable}"))
            continue
        runtime = contender.hello["runtime"]
        table.add_row(
            contender.name,
            contender.hello["language"],
            f"{runtime['name']} {runtime['version']}",
            {True: "on", False: "off", None: "none"}[runtime.get("gil")],
            ", ".join(contender.hello["features"]),
        )
    return table
