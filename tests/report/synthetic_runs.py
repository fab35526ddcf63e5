"""Runs made up in code, in the form that the harness leaves on disk.

Nothing here measures anything: the figures follow from the `Behaviour` of each contender, so a
test knows what the report has to say about them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

LABELS = {
    "threading": "Python threads",
    "asyncio": "Python asyncio",
    "multiprocessing": "Python processes",
    "go": "Go goroutines",
}


@dataclass(frozen=True)
class Behaviour:
    """How a made-up contender behaves.

    `capacity`: commands per second that it commits at most; `latency_us`: of a lone command;
    `spread`: relative standard deviation from trial to trial; `detection_ms`: what it adds to
    each election;
    `failure`: the stage and message with which every trial of the cells in `failing` fails.
    """

    capacity: float = 200_000
    latency_us: float = 50
    spread: float = 0.03
    detection_ms: float = 1.0
    failure: tuple[str, str] | None = None
    failing: Callable[[str, int], bool] = field(default=lambda cell, block: True)
    stderr: str = ""
    unavailable: str | None = None


REALISTIC: Mapping[str, Behaviour] = {
    "threading": Behaviour(capacity=260_000, latency_us=95, spread=0.05, detection_ms=1.4),
    "asyncio": Behaviour(capacity=310_000, latency_us=31, detection_ms=0.7),
    "multiprocessing": Behaviour(capacity=86_000, latency_us=240, spread=0.06, detection_ms=2.6),
    "go": Behaviour(capacity=1_450_000, latency_us=12, spread=0.04, detection_ms=0.4),
}


def alike(names: Iterable[str] = LABELS, **behaviour: Any) -> dict[str, Behaviour]:
    """All contenders with the same behaviour, so that no figure can tell them apart."""
    return {name: Behaviour(**behaviour) for name in names}


def write_run(
    directory: Path,
    behaviours: Mapping[str, Behaviour] = REALISTIC,
    *,
    labels: Mapping[str, str] = LABELS,
    blocks: int = 8,
    outstanding: Sequence[int] = (1, 16, 64, 256),
    timeouts_ms: Sequence[tuple[int, int]] = ((12, 24), (150, 300)),
    elections: int = 10,
    keep: Callable[[dict[str, Any]], bool] = lambda trial: True,
    environment: Mapping[str, Any] | None = None,
    seed: int = 7,
) -> Path:
    """Write a run's directory and return it; only the trials that `keep` accepts are there."""
    rng = np.random.default_rng(seed)
    cells = [_replicate_cell(w) for w in outstanding]
    cells += [_election_cell(timeout, elections) for timeout in timeouts_ms]
    manifest = {
        "schema": 1,
        "run": directory.name,
        "profile": "synthetic",
        "seed": seed,
        "started_at": "2026-03-01T12:00:00Z",
        "specification": {"blocks": blocks, "cells": cells},
        "contenders": [
            {
                "name": name,
                "label": labels.get(name, name),
                "hello": None if behaviour.unavailable else _hello(name),
                "unavailable": behaviour.unavailable,
            }
            for name, behaviour in behaviours.items()
        ],
        "environment": dict(environment or _ENVIRONMENT),
    }
    trials = [
        _trial(cell, block, order, name, behaviours[name], rng)
        for block in range(blocks)
        for cell in cells
        for order, name in enumerate(rng.permutation(list(behaviours)).tolist())
        if behaviours[name].unavailable is None
    ]
    directory.mkdir(parents=True)
    (directory / "logs").mkdir()
    (directory / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    (directory / "trials.jsonl").write_text(
        "".join(json.dumps(trial) + "\n" for trial in trials if keep(trial)), encoding="utf-8"
    )
    return directory


_ENVIRONMENT = {
    "machine": {"cpu": "Synthetic CPU @ 3.00 GHz", "cores": 2, "memory_bytes": 4_294_967_296},
    "system": {"kernel": "6.1.0", "distribution": "Debian GNU/Linux 12"},
    "commit": "0123456789abcdef",
}


def _hello(name: str) -> dict[str, Any]:
    language = "Go" if name == "go" else "Python"
    runtime: dict[str, Any] = (
        {"name": "Go", "version": "1.27.3", "gomaxprocs": 2}
        if language == "Go"
        else {"name": "CPython", "version": "3.11.7", "gil": True}
    )
    return {
        "contender": name,
        "protocol": 1,
        "language": language,
        "runtime": runtime,
        "features": ["memory", "disk", "replicate", "election"],
    }


def _replicate_cell(outstanding: int) -> dict[str, Any]:
    return {
        "id": f"replicate-w{outstanding}",
        "workload": {
            "name": "replicate",
            "outstanding": outstanding,
            "payload": 64,
            "keys": 1000,
            "warmup_s": 0.5,
            "duration_s": 2,
        },
        "cluster": {
            "nodes": 3,
            "storage": "memory",
            "election_timeout_ms": [150, 300],
            "heartbeat_ms": 50,
        },
        "timeout_s": 60,
    }


def _election_cell(timeout_ms: tuple[int, int], elections: int) -> dict[str, Any]:
    low, high = timeout_ms
    return {
        "id": f"election-{low}-{high}",
        "workload": {"name": "election", "elections": elections, "cap_s": 30},
        "cluster": {
            "nodes": 5,
            "storage": "memory",
            "election_timeout_ms": [low, high],
            "heartbeat_ms": low / 2,
        },
        "timeout_s": 120,
    }


def _trial(
    cell: dict[str, Any],
    block: int,
    order: int,
    name: str,
    behaviour: Behaviour,
    rng: np.random.Generator,
) -> dict[str, Any]:
    failure = result = check = None
    if behaviour.failure and behaviour.failing(cell["id"], block):
        stage, message = behaviour.failure
        failure = {"stage": stage, "message": message, "stderr": behaviour.stderr}
    else:
        measure = _replicate if cell["workload"]["name"] == "replicate" else _election
        result = measure(cell, behaviour, rng)
        check = {"passed": True, "problems": [], "entries": 100}
    return {
        "schema": 1,
        "trial": f"{cell['id']}/{block}/{name}",
        "cell": cell["id"],
        "block": block,
        "order": order,
        "contender": name,
        "status": "failed" if failure else "ok",
        "failure": failure,
        "result": result,
        "check": check,
        "cost": {
            "cpu_s": 2.5,
            "peak_rss_bytes": 50_000_000,
            "life_cpu_s": 3.0,
            "voluntary_switches": 1000,
            "involuntary_switches": 100,
        },
        "machine": {"load_1m": 1.2, "steal_share": 0.0, "busy_share": 0.6},
        "started_at": "2026-03-01T12:00:01Z",
        "duration_s": 3.1,
    }


def _replicate(
    cell: dict[str, Any], behaviour: Behaviour, rng: np.random.Generator
) -> dict[str, Any]:
    outstanding = cell["workload"]["outstanding"]
    alone = behaviour.latency_us * rng.normal(1, behaviour.spread)
    latency_us = alone + outstanding * 1e6 / behaviour.capacity
    commands = int(2e6 * outstanding / latency_us)
    samples = latency_us * 1e3 * rng.lognormal(-0.03, 0.25, 2000)
    samples[:30] *= rng.uniform(2, 6, 30)
    buckets: Counter[int] = Counter()
    for sample, count in zip(samples.astype(int).tolist(), _shares(commands, 2000), strict=True):
        shift = max(0, sample.bit_length() - 8)
        buckets[(sample >> shift) << shift] += count
    return {
        "workload": "replicate",
        "node": 1,
        "client": "made up",
        "started_ns": 1_000_000_000,
        "ended_ns": 3_000_000_000,
        "commands": commands,
        "latency_ns": [[lowest, buckets[lowest]] for lowest in sorted(buckets) if buckets[lowest]],
        "slices": [[100_000_000 * (i + 1), commands // 20] for i in range(20)],
        "acknowledged": [commands // outstanding] * outstanding,
        "counters": {
            "messages": 1000,
            "bytes": None,
            "saves": 500,
            "save_ns": 50_000,
            "entries": commands,
        },
    }


def _shares(total: int, parts: int) -> list[int]:
    return [total // parts + (part < total % parts) for part in range(parts)]


def _election(
    cell: dict[str, Any], behaviour: Behaviour, rng: np.random.Generator
) -> dict[str, Any]:
    low, high = cell["cluster"]["election_timeout_ms"]
    survivors = cell["cluster"]["nodes"] - 1
    found: list[dict[str, Any]] = []
    term, clock = 1, 10_000_000_000
    for _ in range(cell["workload"]["elections"]):
        crash = clock
        timeouts = np.sort(rng.uniform(low, high, survivors))
        since_heartbeat = rng.uniform(0, cell["cluster"]["heartbeat_ms"])
        candidate = crash + int(1e6 * (timeouts[0] - since_heartbeat))
        leader, terms = candidate, 1
        while timeouts[1] - timeouts[0] < behaviour.detection_ms / 2 and terms < 10:
            timeouts = np.sort(rng.uniform(low, high, survivors))
            leader += int(1e6 * timeouts[0])
            terms += 1
        leader += int(1e6 * behaviour.detection_ms * rng.lognormal(0, 0.3))
        found.append(
            {
                "crashed": 1,
                "term": term,
                "crash_ns": crash,
                "candidate_ns": candidate,
                "leader_ns": leader,
                "settled_ns": leader + 200_000,
                "leader": 2,
                "leader_term": term + terms,
                "candidacies": terms,
            }
        )
        term += terms
        clock += 1_000_000_000
    return {"workload": "election", "elections": found}
