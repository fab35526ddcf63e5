"""One trial: a contender's process, fresh as a rule, one workload, one safety check.

Whatever a contender does, a trial ends in time and yields a record: one that hangs, crashes or
prints nonsense costs its own trials and nothing else.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec

from raftmark.bench.contenders.contender import (
    Contender,
    ContenderError,
    ContenderFailed,
    ContenderHung,
    Patience,
)
from raftmark.bench.contenders.orphans import environment
from raftmark.bench.contenders.registry import ContenderSpec, Hello
from raftmark.bench.contenders.variants import deployed
from raftmark.bench.design.cells import LEADS, TCP
from raftmark.bench.design.schedule import Left, Planned
from raftmark.bench.design.specification import Cell
from raftmark.bench.experiment import durability
from raftmark.bench.experiment.check import check, read_hosts, read_roles, settle
from raftmark.bench.experiment.claims import Witness, asked_for
from raftmark.bench.experiment.clients import Clients
from raftmark.bench.experiment.cost import CostMeter, MachineMeter
from raftmark.bench.experiment.life import Launch, Life
from raftmark.bench.experiment.pages import COLUMNS
from raftmark.bench.experiment.replay import MOST_PROBLEMS
from raftmark.bench.experiment.standing import START_TIMEOUT_S, Standing, make_ready, start
from raftmark.bench.runs.forms import (
    CheckOutcome,
    Cost,
    Failure,
    MachineState,
    NodeHost,
    Stage,
    Trial,
    Turn,
    log_name,
    pairs,
)
from raftmark.bench.runs.results import ElectionResult, ReplicateResult, Result, parse_result
from raftmark.bench.runs.store import DATA_PREFIX, Run, explained, now

# An interpreter starts within a second, and within ten where ten times as much is to be done as the
# machine can do.
_LAUNCH_TIMEOUT_S = 60.0
# Who is to be connected needs a leader, and a busy machine may need many elections for one.
_LEADER_TIMEOUT_S = 60.0
# Hosts have to be found, and an interpreter started on each that holds a node's program.
_PLACING_TIMEOUT_S = 120.0
# A cluster kills those of its nodes' programs that have not ended after ten seconds.
_STOP_TIMEOUT_S = 30.0
_BEGINNINGS = ("launch", "start")
_BUSY = "; that is long even for a busy machine: see what else runs there, and measure again"
_CHECK_TIMEOUT_S = 15.0
_CHECK_TIMEOUT_PER_RUN_SECOND = 20.0
# No system slews a clock by more than 500 millionths, and two may go either way.
_MOST_DRIFT = 1e-3
# A log of large values is read at tens of megabytes a second, on a machine with much else to do at
# a few; whatever a contender says of its length, it has no more than a minute for that.
_CHECK_BYTES_PER_S = 5e6
_CHECK_TIMEOUT_OF_BYTES_S = 60.0
_READ_BACK_TIMEOUT_S = 30.0


class Ran(NamedTuple):
    """What came of `run`: its answer, when (ns) that was there, its cost, and in which turns."""

    result: dict[str, Any]
    received_ns: int
    cost: Cost
    turns: list[Turn] | None = None


class Ready(NamedTuple):
    """A contender whose cluster runs, its `cost` measured from now on, to be asked for `run`.

    Where `clients` are connected to it, it is they who are let run.
    """

    contender: Contender
    cell: Cell
    cost: CostMeter
    clients: Clients | None = None

    def ask(self) -> Future[dict[str, Any]]:
        """Ask for it, without waiting."""
        if self.clients is not None:
            return self.clients.ask()
        return self.contender.send("run", workload=self.cell.workload)

    def await_answer(self, reply: Future[dict[str, Any]]) -> Ran:
        """Wait for the answer, no longer than the cell says.

        Raises `ContenderError` for an error, and `ContenderFailed` for none.
        """
        result = self.contender.wait_for(reply, "run", self.cell.timeout_s)
        return Ran(result, time.monotonic_ns(), self.cost.cost())


@dataclass
class _Progress:
    """How far a trial has come, so that a failure keeps what was measured before it."""

    stage: Stage = "launch"
    stages_s: dict[Stage, float] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)
    result: dict[str, Any] | None = None
    turns: list[Turn] | None = None
    check: CheckOutcome | None = None
    cost: Cost | None = None
    node_hosts: list[NodeHost] | None = None

    def enter(self, stage: Stage) -> None:
        """Go on to the next stage."""
        self.leave()
        self.stage = stage

    def leave(self) -> None:
        """End the present one, and keep how long it took."""
        present = time.monotonic()
        self.stages_s[self.stage] = round(present - self.since, 3)
        self.since = present


_Steps = Generator[Ready, Callable[[], Ran], Trial]


class Course:
    """A trial under way: it stands still where its contender is `ready`, for whoever lets it run.

    A context manager, at whose end nothing of the trial is left. `trial` is its record, once it is
    over; that may be before it was ever ready.
    """

    def __init__(
        self, planned: Planned, spec: ContenderSpec, run: Run, life: Life | None = None
    ) -> None:
        """Begin a trial, which is not added to `run`, in a process of its own or in `life`.

        Raises `StoreError` when the run's directory cannot be used.
        """
        self.ready: Ready | None = None
        self.trial: Trial | None = None
        self._steps = _conduct(planned, spec, run, life or Life())
        try:
            self.ready = next(self._steps)
        except StopIteration as over:
            self.trial = over.value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._steps.close()

    def end(self, answer: Callable[[], Ran]) -> Trial:
        """Let the trial end, with what came of `run`, and return its record.

        `answer` raises what the contender is to blame for: then the trial has failed.
        """
        try:
            self._steps.send(answer)
        except StopIteration as over:
            self.trial = over.value
        assert self.trial is not None
        return self.trial

    def run(self) -> Trial:
        """Let the contender run by itself, if it is ready, and return the trial's record."""
        if (ready := self.ready) is not None:
            return self.end(lambda: ready.await_answer(ready.ask()))
        assert self.trial is not None
        return self.trial


def run_trial(planned: Planned, spec: ContenderSpec, run: Run, life: Life | None = None) -> Trial:
    """Run one trial and return its record; the trial is not added to `run`.

    It has a process of its own, or the one of `life`. Raises `StoreError` when the run's directory
    cannot be used.
    """
    with Course(planned, spec, run, life) as course:
        return course.run()


def _conduct(planned: Planned, spec: ContenderSpec, run: Run, life: Life) -> _Steps:
    started_at, started = now(), time.monotonic()
    machine = MachineMeter()
    own_log = run.logs / log_name(planned.id)
    log = life.log = life.log or own_log
    progress = _Progress()
    failure = None
    with explained(run.path), ExitStack() as stack:
        cluster = dict(planned.cell.cluster)
        if cluster["storage"] == "disk":
            # Beside the results: a directory for temporary files is often no real disk.
            data = tempfile.TemporaryDirectory(prefix=DATA_PREFIX, dir=run.path)
            cluster["data_dir"] = stack.enter_context(data)
        cluster["seed"] = planned.cluster_seed(
            run.manifest.seed,
            twin=planned.contender in {twin for _, twin in pairs(run.manifest.contenders)},
        )
        try:
            yield from _go_through(progress, planned, spec, cluster, life, run.path)
        except ContenderHung as error:
            advice = _BUSY if progress.stage in _BEGINNINGS else ""
            failure = Failure(progress.stage, error.message + advice, error.stderr)
        except ContenderFailed as error:
            failure = Failure(progress.stage, error.message, error.stderr)
        except ContenderError as error:
            failure = Failure(progress.stage, f"answered with an error: {error}", _tail(log))
        except msgspec.ValidationError as error:
            message = f"answered what is no result of {planned.cell.workload['name']}: {error}"
            failure = Failure(progress.stage, message, _tail(log))
        if failure is None and progress.check is not None and not progress.check.passed:
            failure = Failure("check", progress.check.problems[0], _tail(log))
        if failure is not None:
            # The process is gone, and what it said of its end is this trial's.
            life.log = None
            if log != own_log:
                log.replace(own_log)
        elif not life.leaves:
            life.log = None
            log.unlink()
    progress.leave()
    return _record(planned, progress, failure, machine.state(), started_at, started)


def launch_for(planned: Planned, spec: ContenderSpec, run: Run) -> Launch:
    """Return how the process is launched that a trial is to have for itself, or is the first of."""
    log = run.logs / log_name(planned.id)
    placed = _placed(spec, planned.cell)
    return Launch(lambda: placed.launch(stderr=log, env=environment(run.path)), log)


def _placed(spec: ContenderSpec, cell: Cell) -> ContenderSpec:
    return deployed(spec) if cell.transport == TCP else spec


def skipped_trial(planned: Planned, reason: str) -> Trial:
    """Return the record of a trial that was given up without trying."""
    return _record(planned, _Progress(), Failure("launch", reason), None, now(), time.monotonic())


def failed_trial(planned: Planned, reason: str, took_s: float) -> Trial:
    """Return the record of a trial whose host was lost after so many seconds."""
    failure = Failure("run", reason)
    return _record(planned, _Progress(), failure, None, now(), time.monotonic() - took_s)


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
        turns=progress.turns,
        stages_s=progress.stages_s or None,
        node_hosts=progress.node_hosts,
    )


def _go_through(
    progress: _Progress,
    planned: Planned,
    spec: ContenderSpec,
    cluster: dict[str, Any],
    life: Life,
    run: Path,
) -> Generator[Ready, Callable[[], Ran]]:
    cell = planned.cell
    spec = _placed(spec, cell)

    def launch() -> Contender:
        return spec.launch(stderr=life.log, env=environment(run))

    with life.present(launch) as contender:
        placing_s = _PLACING_TIMEOUT_S if spec.elsewhere else 0.0
        asked = (spec.name, cell.transport)
        if asked not in life.hellos:
            reply = contender.send_as(Hello, "hello")
            launching_s = max(placing_s, _LAUNCH_TIMEOUT_S)
            life.hellos[asked] = contender.wait_for(reply, "hello", launching_s)
        hello = life.hellos[asked]
        if "snapshot" not in hello.features and not cluster.get("snapshot_entries"):
            # It takes none as it is, and need not know the field that says so.
            cluster.pop("snapshot_entries", None)

        progress.enter("start")
        standing, life.cluster = life.cluster, None
        if standing is None:
            nodes = start(contender, cluster, max(placing_s, START_TIMEOUT_S))
            standing = Standing(nodes, life.events_before)
            progress.node_hosts = read_hosts(contender.events, standing.events_before) or None
            make_ready(contender, cell)
        else:
            cell = standing.another(cell)

        progress.enter("run")
        sent_ns = time.monotonic_ns()
        with _clients_of(contender, cell) as clients:
            # Of what a process holds that had loads before, these have left a part.
            meter = CostMeter(contender.processes, memory=life.fresh)
            answer = yield Ready(contender, cell, meter, clients)
            progress.result, received_ns, progress.cost, progress.turns = answer()
        if spec.elsewhere:
            progress.cost = None  # What can be read here are no nodes.
        result = parse_result(cell.workload["name"], progress.result)
        if cell.followers is not None:
            _require_the_leader(result)

        progress.enter("check")
        life.launch_ahead()
        patience_s = _patience_s(cell, result)
        patience = Patience(patience_s, "check")
        clocks_ns = _clocks_ns(progress.node_hosts, received_ns - life.launched_ns)
        nodes, before = standing.nodes, standing.events_before
        roles, strange = read_roles(
            contender.events, nodes, life.launched_ns, before, clocks_ns, result
        )
        witness = Witness(nodes, sent_ns, received_ns, roles, progress.turns, clocks_ns)
        by_columns = COLUMNS in hello.features
        checked = check(
            contender, cell, result, witness, patience, standing.log, by_columns=by_columns
        )
        progress.check = _with_problems(checked.outcome, strange)

        # What was kept on other hosts is gone with the process that has the places.
        due = durability.is_due(planned) and not spec.elsewhere
        if checked.log is not None and progress.check.passed and due:
            started = time.monotonic()
            patience = Patience(patience_s + _READ_BACK_TIMEOUT_S, "reading back")
            lost = durability.read_back(
                contender,
                launch,
                cluster,
                planned,
                result,
                checked.log,
                patience,
                by_columns=by_columns,
            )
            took_s = round(time.monotonic() - started, 3)
            outcome = msgspec.structs.replace(progress.check, read_back_s=took_s)
            progress.check = _with_problems(outcome, lost)
            life.leaves = Left.NOTHING  # It was killed.
            return

        if not progress.check.passed:
            life.leaves = Left.NOTHING
        progress.enter("stop")
        if life.leaves is Left.CLUSTER:
            standing.log, life.cluster = checked.log, standing
            return
        contender.call("stop", reply_timeout=_STOP_TIMEOUT_S)
        progress.node_hosts = read_hosts(contender.events, standing.events_before) or None
        if not life.leaves:
            _end(contender)


def _clients_of(contender: Contender, cell: Cell) -> AbstractContextManager[Clients | None]:
    """Return who is connected to a cluster that has settled, if the workload is theirs."""
    if cell.workload["name"] != "service":
        return nullcontext()
    nodes = settle(contender, Patience(_LEADER_TIMEOUT_S, "start"), led=True)
    leader = next((node.id for node in nodes if node.role == "leader"), None)
    if leader is None:
        raise ContenderFailed(
            f"within {_LEADER_TIMEOUT_S:g} s no node led to which clients could be connected"
        )
    return Clients(contender, cell, leader)


def _require_the_leader(result: Result) -> None:
    """Raises `ContenderFailed` where another node than the one that was made to led the load."""
    if isinstance(result, ReplicateResult) and result.node != LEADS:
        raise ContenderFailed(f"node {result.node} led, where node {LEADS} had been made to")


def _clocks_ns(hosts: Sequence[NodeHost] | None, elapsed_ns: int) -> int:
    """Return by how much moments that hosts have told may be off, by what is known so far."""
    if not hosts:
        return 0
    return 2 * max(each.uncertainty_ns for each in hosts) + int(_MOST_DRIFT * elapsed_ns)


def _patience_s(cell: Cell, result: Result) -> float:
    """Return how long the check may take."""
    commands = 0 if isinstance(result, ElectionResult) else sum(result.acknowledged)
    read_s: float = commands * asked_for(cell).get("payload", 0) / _CHECK_BYTES_PER_S
    run_s = _CHECK_TIMEOUT_PER_RUN_SECOND * cell.usual_s
    return _CHECK_TIMEOUT_S + run_s + min(_CHECK_TIMEOUT_OF_BYTES_S, read_s)


def _with_problems(outcome: CheckOutcome, problems: Sequence[str]) -> CheckOutcome:
    return msgspec.structs.replace(
        outcome,
        passed=outcome.passed and not problems,
        problems=[*problems, *outcome.problems][:MOST_PROBLEMS],
    )


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
