"""What a host has of Raftmark: its contenders, made there, and what the host itself is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raftmark.bench.contenders.places import VERSION
from raftmark.bench.contenders.registry import DEFAULT_TABLE, Unavailable, load_contenders
from raftmark.bench.contenders.variants import Contenders, find_interpreters
from raftmark.bench.experiment.environment import describe_environment, machine
from raftmark.bench.runs.forms import Asked


def contenders(asked: Asked) -> Contenders:
    """Return the contenders that a run asked for, as they are on this host.

    Raises `Unavailable` for an interpreter that is not there, and `RegistryError` for the table.
    """
    interpreters, complaints = find_interpreters(asked.python)
    if complaints:
        raise Unavailable(complaints[0])
    table = DEFAULT_TABLE if asked.table is None else Path(asked.table)
    specs = {name: spec.with_env(asked.env) for name, spec in load_contenders(table).items()}
    return Contenders(specs, interpreters)


def facts() -> dict[str, Any]:
    """Return what tells this host, and what is installed on it, from others; nothing names it."""
    found = describe_environment()
    kernel, python = found["kernel"], found["python"]
    memory = round(found["machine"]["memory_bytes"] / 2**30)
    kind = (
        f"{machine(found)}, {memory} GiB, {kernel['system']} {kernel['release']} "
        f"{kernel['architecture']}, Python {python['version']}"
    )
    revision = found["revision"]
    return {"kind": kind, "raftmark": VERSION, "revision": revision and revision["commit"]}
