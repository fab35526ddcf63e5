"""Runs made up in code, in the form that the harness leaves on disk.

Nothing here measures anything: the figures follow from the `Behaviour` of each contender, so a
test knows what the report has to say about them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np

from raftmark.bench.design.specification import FIGURE_16_MS
from raftmark.bench.runs.outcomes import FILE as RACES_FILE
from raftmark.bench.runs.outcomes import PROGRAMS, Outcomes
from raftmark.bench.runs.readings import CASES, Case, Reading
from raftmark.bench.runs.readings import FILE as PRIMITIVES_FILE

LABELS = {
    "threading": "Python threads",
    "asyncio": "Python asyncio",
    "multiprocessing": "Python processes",
    "go": "Go goroutines",
}
PEER_LABELS = {**LABELS, "etcd": "etcd raft", "pysyncobj": "PySyncObj"}


@dataclass(frozen=True)
class Behaviour:
    """How a made-up contender behaves.

    `capacity`: commands per second that it commits at most; `latency_us`: of a lone command;
    `spread`: relative standard deviation from trial to trial; `detection_ms`: what it adds to
    each election;
    `failure`: the stage and message with which every trial of the cells in `failing` fails, and
    the message with which all that has no Raft in it does.
    """

    capacity: float = 200_000
    latency_us: float = 50
    spread: float = 0.03
    detection_ms: float = 1.0
    failure: tuple[str, str] | None = None
    failing: Callable[[str, int], bool] = field(default=lambda cell, block: True)
    stderr: str = ""
    unavailable: str | None = None
    peer: Mapping[str, Any] | None = None


REALISTIC: Mapping[str, Behaviour] = {
    "threading": Behaviour(capacity=260_000, latency_us=95, spread=0.05, detection_ms=1.4),
    "asyncio": Behaviour(capacity=310_000, latency_us=31, detection_ms=0.7),
    "multiprocessing": Behaviour(capacity=86_000, latency_us=240, spread=0.06, detection_ms=2.6),
    "go": Behaviour(capacity=1_450_000, latency_us=12, spread=0.04, detection_ms=0.4),
}

PEERS: Mapping[str, Behaviour] = {
    "etcd": Behaviour(
        capacity=700_000,
        latency_us=24,
        peer={"library": "etcd raft", "version": "v3.6.0", "about": "as it comes"},
    ),
    "pysyncobj": Behaviour(
        capacity=60_000,
        latency_us=300,
        peer={
            "library": "PySyncObj",
            "version": "0.3.17",
            "about": "its own transport and journal",
            "synced": False,
            "left_out": ["transfer"],
        },
    ),
}
"""Other people's Rafts beside these."""


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
    others: Sequence[dict[str, Any]] = (),
    deployed: bool = False,
    forms: Mapping[str, str] = MappingProxyType({}),
    twin: str | None = None,
    bare: bool = False,
    keep: Callable[[dict[str, Any]], bool] = lambda trial: True,
    environment: Mapping[str, Any] | None = None,
    seed: int = 7,
) -> Path:
    """Write a run's directory and return it; only the trials that `keep` accepts are there.

    `others` are cells besides those of the closed loop and of elections, such as `EVERYTHING`;
    with `deployed`, the cells of the closed loop and of elections are measured as deployed, too;
    `forms` has the base of each behaviour that is another form of one; `twin` is who is measured
    once more. With `bare`, there are primitives and the seminar paper's programs, too.
    """
    rng = np.random.default_rng(seed)
    if twin is not None:
        behaviours = {**behaviours, f"{twin}~": behaviours[twin]}
        labels = {**labels, f"{twin}~": f"{labels[twin]} (again)"}
    cells = [_replicate_cell(w) for w in outstanding]
    cells += [_election_cell(timeout, elections) for timeout in timeouts_ms]
    if deployed:
        cells += [as_deployed(cell) for cell in cells]
    cells += others
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
                "base": twin if name == f"{twin}~" else forms.get(name),
                "twin": name == f"{twin}~",
                "peer": behaviour.peer and dict(behaviour.peer),
                "transports": ["tcp"] if behaviour.peer else ["native", "tcp"],
            }
            for name, behaviour in behaviours.items()
        ],
        "environment": dict(environment or _ENVIRONMENT),
    }
    trials = [
        _trial(cell, block, order, name, behaviours, rng)
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
    if bare:
        once = {n: b for n, b in behaviours.items() if not n.endswith("~") and not b.unavailable}
        _write_bare(directory, once, blocks, rng)
    return directory


RUNS_OF_A_PROGRAM = 1000


def _write_bare(
    directory: Path, behaviours: Mapping[str, Behaviour], blocks: int, rng: np.random.Generator
) -> None:
    """Write what was measured without any Raft."""
    readings = [
        _reading(block, name, case, behaviour, rng)
        for block in range(blocks)
        for name, behaviour in behaviours.items()
        for case in CASES
    ]
    encoder = msgspec.json.Encoder()
    (directory / PRIMITIVES_FILE).write_bytes(encoder.encode_lines(readings))
    counted = [
        Outcomes(
            name,
            program,
            RUNS_OF_A_PROGRAM,
            {} if behaviour.failure else _outcomes(name, program),
            behaviour.failure and behaviour.failure[1],
            "2026-03-01T12:30:00Z",
        )
        for name, behaviour in behaviours.items()
        for program in PROGRAMS
    ]
    (directory / RACES_FILE).write_bytes(encoder.encode({"counted": counted, "schema": 1}))


def _reading(
    block: int, name: str, case: Case, behaviour: Behaviour, rng: np.random.Generator
) -> Reading:
    """A fastest round trip takes half as long as a lone command, a message half of that."""
    parts = {"ping_pong": 2, "majority": 1}
    seconds = 1e-6 * behaviour.latency_us / parts.get(case.primitive, 4)
    seconds *= (2 if case.name in {"usual", "busy"} else 1) * rng.normal(1, behaviour.spread)
    late = case.primitive == "timer_lateness"
    return Reading(
        block=block,
        order=0,
        contender=name,
        primitive=case.primitive,
        case=case.name,
        seconds=None if behaviour.failure else seconds,
        p99_s=None if behaviour.failure or not late else 3 * seconds,
        means="made up",
        failure=behaviour.failure and behaviour.failure[1],
        started_at="2026-03-01T12:20:00Z",
    )


def _outcomes(name: str, program: str) -> dict[str, int]:
    if program == "joined":
        return {"in order": RUNS_OF_A_PROGRAM}
    raced = len(name) if program == "unsynchronised" and not name.startswith("asyncio") else 0
    found = {"a = 4, b = 2": RUNS_OF_A_PROGRAM - raced, "a = 4, b = 8": raced}
    return {outcome: count for outcome, count in found.items() if count}


_ENVIRONMENT = {
    "machine": {"cpu": "Synthetic CPU @ 3.00 GHz", "cores": 2, "memory_bytes": 4_294_967_296},
    "system": {"kernel": "6.1.0", "distribution": "Debian GNU/Linux 12"},
    "commit": "0123456789abcdef",
}


def _hello(name: str) -> dict[str, Any]:
    language = "Go" if name.startswith(("go", "etcd")) else "Python"
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


def _replicate_cell(
    outstanding: int, *, nodes: int = 3, payload: int = 64, storage: str = "memory"
) -> dict[str, Any]:
    variants = [f"n{nodes}"] * (nodes != 3) + [f"p{payload}"] * (payload != 64)
    variants += [storage] * (storage != "memory")
    return {
        "id": "-".join([f"replicate-w{outstanding}", *variants]),
        "workload": {
            "name": "replicate",
            "outstanding": outstanding,
            "payload": payload,
            "keys": 1000,
            "warmup_s": 0.5,
            "duration_s": 2,
        },
        "cluster": _cluster((150, 300), nodes, storage),
        "timeout_s": 60,
    }


def mixture_cells(
    outstanding: Sequence[int] = (1, 64), followers: Iterable[str] = LABELS
) -> list[dict[str, Any]]:
    """The cells in which these follow, whoever leads."""
    return [
        {
            **as_deployed(_replicate_cell(commands)),
            "id": f"mixture-w{commands}-{name}",
            "followers": name,
        }
        for commands in outstanding
        for name in followers
    ]


def peer_cells(outstanding: Sequence[int] = (1, 64, 256)) -> list[dict[str, Any]]:
    """The cells in which ours are held against peers: all of them as deployed."""
    found = [
        _replicate_cell(commands, storage=storage)
        for storage in ("memory", "disk")
        for commands in outstanding
    ]
    found += [_election_cell((150, 300), 5), _other_cell("failover", outstanding=16)]
    return [as_deployed(cell) for cell in found]


def as_deployed(cell: dict[str, Any]) -> dict[str, Any]:
    """The same cell on nodes that are programs of their own."""
    return {
        **cell,
        "id": f"{cell['id']}-tcp",
        "cluster": {**cell["cluster"], "transport": "tcp"},
    }


def _cluster(
    timeout_ms: tuple[int, int], nodes: int = 3, storage: str = "memory"
) -> dict[str, Any]:
    return {
        "nodes": nodes,
        "storage": storage,
        "election_timeout_ms": list(timeout_ms),
        "heartbeat_ms": timeout_ms[0] / 3,
    }


def _other_cell(
    name: str, timeout_ms: tuple[int, int] = (150, 300), **workload: Any
) -> dict[str, Any]:
    said = "-".join(str(value) for value in workload.values())
    return {
        "id": f"{name}-{timeout_ms[0]}-{timeout_ms[1]}-{said}",
        "workload": {"name": name, "payload": 64, **workload},
        "cluster": _cluster(timeout_ms),
        "timeout_s": 60,
    }


def _election_cell(
    timeout_ms: tuple[int, int], elections: int, *, as_in_paper: bool = False
) -> dict[str, Any]:
    low, high = timeout_ms
    workload = {"name": "election", "elections": elections, "cap_s": 30}
    return {
        "id": f"election-{low}-{high}" + "-paper" * as_in_paper,
        "workload": {**workload, "lagging": 2} if as_in_paper else workload,
        "cluster": {
            "nodes": 5,
            "storage": "memory",
            "election_timeout_ms": [low, high],
            "heartbeat_ms": low / 2,
        },
        "timeout_s": 120,
    }


FIGURE_16: Mapping[str, Any] = {
    "blocks": 20,
    "outstanding": (),
    "timeouts_ms": (),
    "others": [
        _election_cell(timeout, 1 if timeout == (150, 150) else 10, as_in_paper=True)
        for timeout in FIGURE_16_MS
    ],
}
"""The keywords of `write_run` for a run of the Raft paper's Figure 16."""

EVERYTHING: Sequence[dict[str, Any]] = (
    *(_replicate_cell(64, nodes=nodes) for nodes in (5,)),
    *(_replicate_cell(64, payload=payload) for payload in (1024,)),
    *(_replicate_cell(commands, storage="disk") for commands in (1, 64)),
    _election_cell((12, 24), 10, as_in_paper=True),
    *(_other_cell("offered", rate=rate) for rate in (1000, 10_000, 100_000, 1_000_000)),
    *(_other_cell("failover", timeout, outstanding=16) for timeout in ((150, 300), (12, 24))),
    _other_cell("catch_up", entries=10_000, by="entries"),
    _other_cell("catch_up", entries=10_000, by="snapshot"),
    *(
        _other_cell("stability", timeout, outstanding=clients, duration_s=2)
        for clients in (0, 64)
        for timeout in ((2, 4), (12, 24), (150, 300))
    ),
)
"""Cells of all that a run can measure besides what every run here does."""


def _trial(
    cell: dict[str, Any],
    block: int,
    order: int,
    name: str,
    behaviours: Mapping[str, Behaviour],
    rng: np.random.Generator,
) -> dict[str, Any]:
    failure = result = check = None
    behaviour = behaviours[name]
    if behaviour.failure and behaviour.failing(cell["id"], block):
        stage, message = behaviour.failure
        failure = {"stage": stage, "message": message, "stderr": behaviour.stderr}
    else:
        paced = _paced(behaviour, behaviours.get(cell.get("followers", name), behaviour))
        result = _MEASURES[cell["workload"]["name"]](cell, paced, rng)
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
            "idle_memory_bytes": 30_000_000,
            "end_memory_bytes": 40_000_000,
            "voluntary_switches": 1000,
            "involuntary_switches": 100,
        },
        "machine": {"load_1m": 1.2, "steal_share": 0.0, "busy_share": 0.6},
        "started_at": "2026-03-01T12:00:01Z",
        "duration_s": 3.1,
    }


def _paced(leader: Behaviour, follower: Behaviour) -> Behaviour:
    """A cluster is as fast as the slower of those who lead it and who follow."""
    return replace(
        leader,
        capacity=min(leader.capacity, follower.capacity),
        latency_us=max(leader.latency_us, follower.latency_us),
    )


def _replicate(
    cell: dict[str, Any], behaviour: Behaviour, rng: np.random.Generator
) -> dict[str, Any]:
    outstanding = cell["workload"]["outstanding"]
    alone = behaviour.latency_us * rng.normal(1, behaviour.spread)
    alone += 300 * (cell["cluster"]["storage"] == "disk") + cell["workload"]["payload"] / 100
    alone *= cell["cluster"]["nodes"] / 3
    alone += 80 * (cell["cluster"].get("transport") == "tcp")
    latency_us = alone + outstanding * 1e6 / behaviour.capacity
    commands = int(2e6 * outstanding / latency_us)
    histogram = _histogram(latency_us, commands, rng)
    return {
        "workload": "replicate",
        "node": 1,
        "client": "made up",
        "started_ns": 1_000_000_000,
        "ended_ns": 3_000_000_000,
        "commands": commands,
        "latency_ns": histogram,
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


def _histogram(latency_us: float, commands: int, rng: np.random.Generator) -> list[list[int]]:
    """Spread commands over latencies, most a little around one, some a few times as long."""
    samples = latency_us * 1e3 * rng.lognormal(-0.03, 0.25, 2000)
    samples[:30] *= rng.uniform(2, 6, 30)
    buckets: Counter[int] = Counter()
    for sample, count in zip(samples.astype(int).tolist(), _shares(commands, 2000), strict=True):
        shift = max(0, sample.bit_length() - 8)
        buckets[(sample >> shift) << shift] += count
    return [[lowest, buckets[lowest]] for lowest in sorted(buckets) if buckets[lowest]]


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
        undecided = low == high and rng.random() < 0.5
        found.append(
            {
                "crashed": 1,
                "term": term,
                "crash_ns": crash,
                "candidate_ns": candidate,
                "leader_ns": None if undecided else leader,
                "settled_ns": None if undecided else leader + 200_000,
                "leader": None if undecided else 2,
                "leader_term": None if undecided else term + terms,
                "candidacies": terms,
            }
        )
        if undecided:
            break
        term += terms
        clock += 1_000_000_000
    return {"workload": "election", "elections": found}


def _offered(
    cell: dict[str, Any], behaviour: Behaviour, rng: np.random.Generator
) -> dict[str, Any]:
    rate = cell["workload"]["rate"]
    saturated = rate > behaviour.capacity
    commands = rate * 2 // (4 if saturated else 1)
    busy = min(0.99, rate / behaviour.capacity)
    latency_us = behaviour.latency_us * rng.normal(1, behaviour.spread) / (1 - busy)
    histogram = _histogram(latency_us, commands, rng)
    return {
        "workload": "offered",
        "node": 1,
        "client": "made up",
        "started_ns": 1_000_000_000,
        "ended_ns": 3_000_000_000,
        "rate": rate,
        "sent": rate * 2,
        "commands": commands,
        "saturated": saturated,
        "latency_ns": histogram,
        "service_ns": histogram,
        "slices": [[100_000_000 * (i + 1), commands // 20] for i in range(20)],
        "acknowledged": [commands // 64] * 64,
        "counters": {"messages": 1000, "bytes": None, "saves": 500, "save_ns": 0, "entries": 1},
    }


def service_cell(connections: int, **more: Any) -> dict[str, Any]:
    """A cell of clients that are connected to a deployed cluster."""
    cell = _other_cell("service", connections=connections, duration_s=2, **more)
    return {**cell, "cluster": {**cell["cluster"], "transport": "tcp"}}


def _service(
    cell: dict[str, Any], behaviour: Behaviour, rng: np.random.Generator
) -> dict[str, Any]:
    connections = cell["workload"]["connections"]
    others = sum(cell["workload"].get(kind, 0) for kind in ("slow", "flood", "come"))
    alone_us = behaviour.latency_us * rng.normal(1, behaviour.spread)
    # Who floods has 32 commands in each turn.
    turn = connections + 32 * cell["workload"].get("flood", 0)
    latency_us = alone_us + 1e6 * turn / behaviour.capacity
    commands = int(2e6 * connections / latency_us)
    share = commands // connections + 1
    histogram = _histogram(latency_us, commands, rng)
    crash = {"crashed": 1, "crash_ns": 2_000_000_000} if "crash_s" in cell["workload"] else {}
    return {
        "workload": "service",
        "node": 1,
        "client": "made up",
        "started_ns": 1_000_000_000,
        "ended_ns": 3_000_000_000,
        "connections": connections,
        "connected_ns": 100_000 * connections,
        "rate": 0,
        "commands": commands,
        "saturated": False,
        "latency_ns": histogram,
        "service_ns": histogram,
        "lateness_ns": [[0, commands]],
        "longest_ns": [[1 << 20, connections]],
        "slices": [[2_000_000_000, commands]],
        "acknowledged": [share] * (connections + others),
        "connects": connections,
        "redirects": 0,
        "retries": 0,
        "generator_cpu_ns": 1_000_000,
        "idle_memory_bytes": 50_000_000,
        "connected_memory_bytes": 50_000_000 + 4096 * connections,
        "connecting_cpu_ns": 80_000 * connections,
        "connecting_switches": 3 * connections,
        **crash,
    }


def _failover(
    cell: dict[str, Any], behaviour: Behaviour, rng: np.random.Generator
) -> dict[str, Any]:
    low, high = cell["cluster"]["election_timeout_ms"]
    crash = 1_000_000_000
    candidate = crash + int(1e6 * (np.sort(rng.uniform(low, high, 2))[0] - low / 6))
    leader = candidate + int(1e6 * behaviour.detection_ms * rng.lognormal(0, 0.3))
    first = leader + int(2e3 * behaviour.latency_us)
    per_slice = int(behaviour.capacity / 300)
    ends = range(10_000_000, 4_000_000_001, 10_000_000)
    slices = [[end, 0 if crash < end <= first else per_slice] for end in ends]
    commands = sum(count for _, count in slices)
    return {
        "workload": "failover",
        "client": "made up",
        "crashed": 1,
        "leader": 2,
        "started_ns": 5_000_000_000,
        "crash_ns": 5_000_000_000 + crash,
        "candidate_ns": 5_000_000_000 + candidate,
        "leader_ns": 5_000_000_000 + leader,
        "first_ns": 5_000_000_000 + first,
        "ended_ns": 9_000_000_000,
        "commands": commands,
        "retries": cell["workload"]["outstanding"],
        "slices": slices,
        "acknowledged": [commands // 16] * 16,
    }


def _catch_up(
    cell: dict[str, Any], behaviour: Behaviour, rng: np.random.Generator
) -> dict[str, Any]:
    entries, by = cell["workload"]["entries"], cell["workload"]["by"]
    sent = entries if by == "entries" else 1000
    taken = 5e6 + 1e9 * sent / behaviour.capacity * rng.normal(1, behaviour.spread)
    return {
        "workload": "catch_up",
        "node": 1,
        "leader": 2,
        "entries": entries,
        "by": by,
        "restart_ns": 1_000_000_000,
        "running_ns": 1_002_000_000,
        "caught_up_ns": 1_000_000_000 + int(taken),
        "acknowledged": [entries // 64] * 64,
        "counters": {"messages": 1000, "bytes": None, "saves": 500, "save_ns": 0, "entries": 1},
    }


def _stability(
    cell: dict[str, Any], behaviour: Behaviour, rng: np.random.Generator
) -> dict[str, Any]:
    low, _ = cell["cluster"]["election_timeout_ms"]
    clients = cell["workload"]["outstanding"]
    late_ms = 3 * behaviour.detection_ms * (2 if clients else 1)
    needless = int(rng.poisson(20 * late_ms / low)) if late_ms > low else 0
    return {
        "workload": "stability",
        "started_ns": 1_000_000_000,
        "ended_ns": 3_000_000_000,
        "candidacies": needless,
        "terms": needless,
        "commands": 1000 * clients,
        "acknowledged": [1000] * clients,
    }


_MEASURES = {
    "replicate": _replicate,
    "election": _election,
    "offered": _offered,
    "failover": _failover,
    "catch_up": _catch_up,
    "stability": _stability,
    "service": _service,
}
