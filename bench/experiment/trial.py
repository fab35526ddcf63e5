"""One trial: a fresh contender process, one workload, one safety check.

Whatever a contender does, a trial ends in time and yields a record: one that hangs, crashes or
prints nonsense costs its own trials and nothing else.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from raftmark.bench.contenders.contender import Contender, ContenderError, ContenderFailed, Patience
from raftmark.bench.contenders.orphans import environment
from raftmark.bench.contenders.registry import ContenderSpec, Hello
from raftmark.bench.design.schedule import Planned
from raftmark.bench.experiment.check import check, settle
from raftmark.bench.experiment.cost import CostMeter, MachineMeter
from raftmark.bench.runs.forms import (
    CheckOutcome,
    Cost,
    Failure,
    MachineState,
    Stage,
    Trial,
    log_name,
)
from raftmark.bench.runs.results import parse_result
from raftmark.bench.runs.store import DATA_PREFIX, Run, explained, now

# Generous for a slow machine, and still little against a profile's patience.
_LAUNCH_TIMEOUT_S = 10.0
_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 10.0
_STAGGER_S = 0.02
_CHECK_TIMEOUT_S = 15.0
_CHECK_TIMEOUT_PER_RUN_SECOND = 20.0


@dataclass
class _Progress:
    """How far a trial has come, so that a failure keeps what was measured before it."""

    stage: Stage = "launch"
    result: dict[str, Any] | None = None
    check: CheckOutcome | None = None
    cost: Cost | None = None


def run_trial(planned: Planned, spec: ContenderSpec, run: Run) -> Trial:
    """Run one trial and return its record; the trial is not added to `run`.

    Raises `StoreError` when the run's directory cannot be used.
    """
    started_at, started = now(), time.monotonic()
    machine = MachineMeter()
    log = run.logs / log_name(planned.id)
    progress = _Progress()
    failure = None
    with explained(run.path), ExitStack() as stack:
        cluster = dict(planned.cell.cluster)
        if cluster["storage"] == "disk":
            # Beside the results: a directory for temporary files is often no real disk.
            data = tempfile.TemporaryDirectory(prefix=DATA_PREFIX, dir=run.path)
            cluster["data_dir"] = stack.enter_context(data)
        cluster["seed"] = planned.cluster_seed(run.manifest.seed)
        try:
            _go_through(progress, planned, spec, cluster, log, run.path)
        except ContenderFailed as error:
            failure = Failure(progress.stage, error.message, error.stderr)
        except ContenderError as error:
            failure = Failure(progress.stage, f"answered with an error: {error}", _tail(log))
        except msgspec.ValidationError as error:
            message = f"answered what is no result of {planned.cell.workload['name']}: {error}"
            failure = Failure(progress.stage, message, _tail(log))
        if failure is None and progress.check is not None and not progress.check.passed:
            failure = Failure("check", progress.check.problems[0], _tail(log))
        if failure is None:
            log.unlink()
    return _record(planned, progress, failure, machine.state(), started_at, started)


def skipped_trial(planned: Planned, reason: str) -> Trial:
    """Return the record of a trial that was given up without trying."""
    return _record(planned, _Progress(), Failure("launch", reason), None, now(), time.monotonic())


def _record(
    planned: Planned,
    progress: _Progress,
    failure: Failure | None,
    machine: MachineState | None,
    started_at: str,
    started: float,
) -> Trial:
    return Trial(
        trial=planned.id,
        cell=planned.cell.id,
        block=planned.block,
        order=planned.order,
        contender=planned.contender,
        status="ok" if failure is None else "failed",
        failure=failure,
        result=progress.result,
        check=progress.check,
        cost=progress.cost,
        machine=machine,
        started_at=started_at,
        duration_s=round(time.monotonic() - started, 3),
    )


def _go_through(
    progress: _Progress,
    planned: Planned,
    spec: ContenderSpec,
    cluster: dict[str, Any],
    log: Path,
    run: Path,
) -> None:
    cell = planned.cell
    with spec.launch(stderr=log, env=environment(run)) as contender:
        reply = contender.send_as(Hello, "hello")
        hello = contender.wait_for(reply, "hello", _LAUNCH_TIMEOUT_S)
        if "snapshot" not in hello.features and not cluster.get("snapshot_entries"):
            # It takes none as it is, and need not know the field that says so.
            cluster.pop("snapshot_entries", None)

        progress.stage = "start"
        contender.call("start", reply_timeout=_START_TIMEOUT_S, **cluster)
        if cell.links is not None:
            # The first leader is elected on perfect links: how long that takes is not measured.
            _stagger(contender, cluster["nodes"])
            settle(contender, Patience(_START_TIMEOUT_S, "start"))
            contender.call("links", reply_timeout=_START_TIMEOUT_S, **cell.links)

        progress.stage = "run"
        cost = CostMeter(contender.pid)
        progress.result = contender.call(
            "run", reply_timeout=cell.timeout_s, workload=cell.workload
        )
        progress.cost = cost.cost()
        result = parse_result(cell.workload["name"], progress.result)

        progress.stage = "check"
        patience_s = _CHECK_TIMEOUT_S + _CHECK_TIMEOUT_PER_RUN_SECOND * cell.usual_s
        progress.check = check(contender, cell, result, Patience(patience_s, "check"))

        progress.stage = "stop"
        contender.call("stop", reply_timeout=_STOP_TIMEOUT_S)
        _end(contender)


def _stagger(contender: Contender, nodes: int) -> None:
    """Let the nodes' timers run out one after the other, so that the first vote is not split.

    Where no timeout is random and one event loop starts all nodes, it would be split for ever.
    """
    for node in range(2, nodes + 1):
        contender.call("crash", reply_timeout=_START_TIMEOUT_S, node=node)
        time.sleep(_STAGGER_S)
        contender.call("restart", reply_timeout=_START_TIMEOUT_S, node=node)


def _end(contender: Contender) -> None:
    status = contender.close(_STOP_TIMEOUT_S)
    if status != 0:
        raise ContenderFailed(f"ended with exit status {status} after 'quit'")


def _tail(log: Path) -> str:
    return (
        log.read_text(encoding="utf-8", errors="backslashreplace")[-4096:].strip()
        if log.exists()
        else ""
    )
