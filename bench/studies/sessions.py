"""What a command costs where many clients have been: a baseline of `growth`, for each contender.

A cluster that takes snapshots is given ever more sessions, each of a client that sent a few
commands and is gone, and in between the closed loop runs as ever. Each snapshot has all sessions in
it, so that a command's share of one grows with them.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from raftmark.bench.baselines.turns import Baseline, BaselineFailed
from raftmark.bench.contenders.contender import (
    Contender,
    ContenderError,
    ContenderFailed,
    Patience,
)
from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.experiment.check import settle
from raftmark.bench.experiment.cost import CostMeter
from raftmark.bench.experiment.standing import start

_OUTSTANDING = 64
_MOST_AT_ONCE = 4096
_VISIT_S = 0.05
_START_S, _RUN_S, _STOP_S = 30.0, 120.0, 30.0
# None is to lose the lead because it takes a snapshot.
_CLUSTER = {
    "nodes": 3,
    "storage": "memory",
    "election_timeout_ms": [3000, 6000],
    "heartbeat_ms": 100,
}


def sessions(spec: ContenderSpec, known: Sequence[int], load_s: float = 1.0) -> Baseline:
    """Return what measures a contender: CPU seconds a command, by `NAME-sessions-N`.

    `known` are the sessions that there are before each load, in ascending order.
    """

    def measure() -> dict[str, float]:
        try:
            with spec.launch() as contender:
                start(contender, _CLUSTER, _START_S)
                settle(contender, Patience(_START_S, "start"), led=True)
                found = dict(_grown(contender, spec.name, known, load_s))
                _agree(contender)
                contender.call("stop", reply_timeout=_STOP_S)
                return found
        except (ContenderError, ContenderFailed) as error:
            raise BaselineFailed(str(error)) from error

    return measure


def _grown(
    contender: Contender, name: str, known: Sequence[int], load_s: float
) -> list[tuple[str, float]]:
    found = []
    there = 0
    for wanted in known:
        while there < wanted:
            more = min(_MOST_AT_ONCE, wanted - there)
            came = sum(last > 0 for last in _run(contender, f"gone-{there}", more, _VISIT_S))
            if not came:
                raise ContenderFailed("no client had an answer")
            there += came
        meter = CostMeter(contender.processes)
        ran = _run(contender, f"measured-{wanted}", _OUTSTANDING, load_s)
        found.append((f"{name}-sessions-{wanted}", meter.cost().cpu_s / sum(ran)))
        there += _OUTSTANDING
    return found


def _run(contender: Contender, session: str, outstanding: int, seconds: float) -> list[int]:
    """Return the last serial that each client had acknowledged."""
    workload = {
        "name": "replicate",
        "outstanding": outstanding,
        "payload": 64,
        "session": session,
        "warmup_s": 0,
        "duration_s": seconds,
    }
    result = contender.call("run", reply_timeout=_RUN_S + seconds, workload=workload)
    return msgspec.convert(result["acknowledged"], list[int])


def _agree(contender: Contender) -> None:
    """Raises `ContenderFailed` where the nodes have not all come to the same state."""
    nodes = settle(contender, Patience(_RUN_S, "check"))
    if len({(node.applied_index, node.state_hash) for node in nodes}) > 1:
        raise ContenderFailed("its nodes did not come to the same state")
