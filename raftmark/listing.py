"""What is known of each contender without measuring it: `raftmark contenders`."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from raftmark.bench.contenders.registry import ContenderSpec, Unavailable
from raftmark.bench.runs.store import ContenderEntry

_GIL = {True: "on", False: "off", None: "none"}


def describe(spec: ContenderSpec) -> ContenderEntry:
    """Build and ask a contender what it is."""
    try:
        return ContenderEntry(spec.name, spec.label, spec.probe(), None, spec.base)
    except Unavailable as reason:
        return ContenderEntry(spec.name, spec.label, None, str(reason), spec.base)


def gil_is_back(entry: ContenderEntry) -> bool:
    """Whether a free-threaded build runs with the GIL all the same."""
    runtime = entry.hello["runtime"] if entry.hello is not None else {}
    return bool(runtime.get("free_threaded") and runtime.get("gil"))


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
            ", ".join([f"{runtime['name']} {runtime['version']}", *_loop(runtime)]),
            "on again" if gil_is_back(contender) else _GIL[runtime.get("gil")],
            ", ".join(contender.hello["features"]),
        )
    return table


def _loop(runtime: dict[str, Any]) -> list[str]:
    loop = runtime.get("loop", "asyncio")
    return [] if loop == "asyncio" else [loop]
