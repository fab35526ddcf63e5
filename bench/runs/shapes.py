"""The parts of a manifest that are kept as they came, as far as readers reach into them.

A run that somebody sent is data: what is not of these forms is damage, found when it is opened.
Fields beside these may have any form.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from raftmark.bench.runs.forms import Manifest


class _Hello(msgspec.Struct):
    language: str = ""
    features: list[str] = []
    runtime: dict[str, Any] = {}


class _Environment(msgspec.Struct):
    machine: dict[str, Any] = {}
    pyperf: dict[str, Any] = {}


class _Workload(msgspec.Struct):
    name: str
    payload: int = 0
    keys: int = 0
    session: str = ""
    warmup_s: float = 0
    duration_s: float = 0
    outstanding: int = 0
    rate: float = 0
    sessions: int = 0
    elections: int = 0
    lagging: int = 0
    before_s: float = 0
    after_s: float = 0
    entries: int = 0
    by: str = ""
    cap_s: float = 0


class _Cluster(msgspec.Struct):
    nodes: int
    storage: str
    election_timeout_ms: tuple[float, float]
    heartbeat_ms: float = 0


def misshapen(manifest: Manifest) -> Iterator[str]:
    """Yield which part of a manifest has not the form that its readers rely on."""
    environments = [manifest.environment, *(each.environment for each in manifest.resumptions)]
    parts: list[tuple[str, dict[str, Any] | None, type]] = [
        *(("an environment", each, _Environment) for each in environments),
        *((f"hello of {each.name!a}", each.hello, _Hello) for each in manifest.contenders),
        *((f"cell {each.id!a}", each.workload, _Workload) for each in manifest.specification.cells),
        *((f"cell {each.id!a}", each.cluster, _Cluster) for each in manifest.specification.cells),
    ]
    for what, part, form in parts:
        try:
            if part is not None:
                msgspec.convert(part, form)
        except msgspec.ValidationError as error:
            yield f"{what}: {error}"
