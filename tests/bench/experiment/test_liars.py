"""Contenders that lie: each lie is named, and costs its own trials only."""

import itertools
import sys
import time
from concurrent.futures import Future
from functools import partial
from typing import Any

import msgspec
import pytest

from raftmark.bench.contenders.contender import ContenderFailed, EventLog, Patience
from raftmark.bench.design.specification import Cell
from raftmark.bench.experiment.check import check, read_roles
from raftmark.bench.experiment.claims import Role, Witness, contradicted
from raftmark.bench.experiment.measure import End
from raftmark.bench.experiment.standing import start
from raftmark.bench.runs.results import ReplicateResult, parse_result
from raftmark.bench.runs.store import Run
from raftmark.raft.messages import Entry
from raftmark.raft.state_machine import log_hash
from tests.bench.support import (
    FAKES,
    contenders,
    election_cell,
    fake,
    manifest,
    measure_quietly,
    replicate_cell,
)

sys.path.insert(0, str(FAKES))
from liars import BY_NAME, PROGRAMS, Liar
from stub import MILLISECOND, Stub

sys.path.remove(str(FAKES))


class InProcess:
    """A fake contender in this process: as fast as a function, and asked as a contender is."""

    def __init__(self, stub: Stub) -> None:
        self.events = EventLog()
        self._stub = stub
        self._ids = itertools.count(1)
        self._waiting: dict[int, tuple[Any, Future[Any]]] = {}
        stub.emit = self._hear

    def _hear(self, line: str) -> None:
        message = msgspec.json.decode(line)
        if "event" in message:
            self.events.add(message)
            return
        reply_type, reply = self._waiting.pop(message["id"])
        try:
            reply.set_result(msgspec.convert(message["ok"], reply_type))
        except msgspec.ValidationError as error:
            reply.set_exception(ContenderFailed(f"replied nonsense ({error})"))

    def send_as(self, reply_type: Any, op: str, /, **fields: Any) -> Future[Any]:
        """As `Contender.send_as`."""
        number, reply = next(self._ids), Future[Any]()
        self._waiting[number] = reply_type, reply
        self._stub.handle({"id": number, "op": op, **fields})
        return reply

    def wait_for(self, reply: Future[Any], op: str, timeout: float | Patience) -> Any:
        """As `Contender.wait_for`."""
        return reply.result(0)


def small(workload: dict[str, Any]) -> Cell:
    """Return a cell with another workload."""
    return msgspec.structs.replace(replicate_cell(), id="small", workload=workload)


CELLS = {
    "replicate": replicate_cell(),
    "election": election_cell(),
    "offered": small({"name": "offered", "rate": 1000, "warmup_s": 0.01, "duration_s": 0.04}),
    "failover": small({"name": "failover", "before_s": 0.1, "after_s": 0.1}),
    "catch_up": small({"name": "catch_up", "entries": 100, "by": "entries", "cap_s": 30}),
    "stability": small({"name": "stability", "outstanding": 4, "duration_s": 0.3}),
}


def judged(stub: Stub, cell: Cell, *, by_columns: bool = True) -> list[str]:
    """Return what is found of a contender, asked as in a trial; its log is told in either form."""
    contender, launched_ns = InProcess(stub), time.monotonic_ns()
    try:
        nodes = start(contender, cell.cluster)
        sent_ns = time.monotonic_ns()
        raw = contender.send_as(dict, "run", workload=cell.workload).result(0)
        received_ns = time.monotonic_ns()
        result = parse_result(cell.workload["name"], raw)
        roles, problems = read_roles(contender.events, nodes, launched_ns)
        witness = Witness(nodes, sent_ns, received_ns, roles)
        patience = Patience(0.2, "check")
        checked = check(contender, cell, result, witness, patience, by_columns=by_columns)
    except ContenderFailed as error:
        return [error.message]
    except msgspec.ValidationError as error:
        return [f"answered what is no result: {error}"]
    return [*problems, *checked.outcome.problems]


@pytest.mark.parametrize("by_columns", [True, False])
@pytest.mark.parametrize("workload", CELLS)
def test_who_tells_the_truth_is_believed(workload, by_columns):
    assert judged(Stub(), CELLS[workload], by_columns=by_columns) == []


@pytest.mark.parametrize("name", BY_NAME)
def test_a_lie_is_named(name):
    lie = BY_NAME[name]
    problems = judged(Liar(lie), CELLS[lie.workload])
    assert any(lie.said in problem for problem in problems), problems


@pytest.mark.parametrize("name", [lie.name for lie in BY_NAME.values() if lie.op == "log"])
def test_a_lie_about_entries_is_named_too(name):
    """Where a contender tells its log entry by entry."""
    lie = BY_NAME[name]
    problems = judged(Liar(lie), CELLS[lie.workload], by_columns=False)
    assert any(lie.said in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("name", "workload", "said"),
    [
        ("no raft", "replicate", "index 2 has a command 'set' that nobody sent"),
        ("shorter than asked", "replicate", "measured for 0.004 s where 0.04 s were asked for"),
        ("restless", "stability", "0 candidacies where events tell of 1 to 1"),
    ],
)
def test_a_program_that_lies_is_named(name, workload, said):
    problems = judged(PROGRAMS[name](), CELLS[workload])
    assert any(said in problem for problem in problems), problems


def test_elections_that_come_before_their_timeouts_are_named():
    cell = election_cell()
    cluster = {**cell.cluster, "election_timeout_ms": [150, 300], "heartbeat_ms": 75}
    impatient = Stub()
    impatient.elect = partial(hurried, impatient)
    (problem,) = judged(impatient, msgspec.structs.replace(cell, cluster=cluster))
    assert (
        problem == "in 3 of 3 elections a node stood before any timeout of 150 ms can have run out"
    )


def test_one_election_that_comes_too_soon_accuses_nobody():
    """A stall of the machine that puts off a crash looks the same, whatever the profile."""
    cell = election_cell()
    cluster = {**cell.cluster, "election_timeout_ms": [150, 300], "heartbeat_ms": 75}
    alone = {**cell.workload, "elections": 1}
    impatient = Stub()
    impatient.elect = partial(hurried, impatient)
    asked = msgspec.structs.replace(cell, cluster=cluster, workload=alone)
    assert judged(impatient, asked) == []


def hurried(stub: Stub, crash_ns: int) -> Any:
    """Hold an election without waiting for any timeout."""
    stub.timeout_ns = MILLISECOND
    return Stub.elect(stub, crash_ns)


def test_lies_cost_their_own_trials_only(tmp_path):
    specs = contenders(
        tmp_path,
        {
            "good": fake("stub"),
            "tenth": fake("proxy", *fake("stub")),
            "shorter": fake("liars", "shorter than asked"),
            "no-raft": fake("liars", "no raft"),
        },
    )
    run = Run.create(tmp_path / "results", manifest(list(specs), [replicate_cell()], blocks=1))
    assert measure_quietly(run, specs) is End.COMPLETE
    said = {trial.contender: trial.failure and trial.failure.message for trial in run.trials}
    assert said.pop("good") is None
    assert "older than the contender" in said["tenth"]
    assert "were asked for" in said["shorter"]
    assert "a command 'set' that nobody sent" in said["no-raft"]


# -- logs that snapshots have cut --------------------------------------------------------

EVERY = 16
COMPACTED = msgspec.structs.replace(
    CELLS["replicate"], cluster={**CELLS["replicate"].cluster, "snapshot_entries": EVERY}
)


class Compacting(Stub):
    """Keeps of its log what a snapshot every 16 entries leaves, and tells one thing otherwise."""

    def __init__(self, *, kept: int | None = None, shifted: int = 0, state: str | None = None):
        super().__init__()
        self.kept, self.shifted, self.state = kept, shifted, state

    def first_index(self) -> int:
        return self.kept or len(self.entries) // EVERY * EVERY - EVERY // 4 + 1

    def tail(self) -> list[Any]:
        """Return what is kept, all serials of one client shifted."""
        return [
            Entry(term, command._replace(serial=command.serial + self.shifted))
            if command.client == "client-0"
            else Entry(term, command)
            for term, command in self.entries[self.first_index() - 1 :]
        ]

    def op_status(self, request: dict[str, Any]) -> dict[str, Any]:
        answer = super().op_status(request)
        for node in answer["nodes"]:
            if self.entries[1:]:
                node |= {"first_index": self.first_index(), "log_hash": log_hash(self.tail())}
                node["state_hash"] = self.state or node["state_hash"]
        return answer

    def op_log(self, request: dict[str, Any]) -> dict[str, Any]:
        first, whole = self.first_index(), self.entries
        self.entries = [*whole[: first - 1], *self.tail()]
        page = super().op_log({**request, "from": max(first, request["from"])})
        self.entries = whole
        return page


@pytest.mark.parametrize("by_columns", [True, False])
def test_of_a_log_that_snapshots_cut_the_rest_is_held_against_what_was_sent(by_columns):
    assert judged(Compacting(), COMPACTED, by_columns=by_columns) == []


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ({"kept": 40}, "where a snapshot every 16 entries leaves them from 29 on"),
        ({"kept": 1}, "where a snapshot every 16 entries leaves them from 29 on"),
        ({"shifted": 1000}, "took the place of 28 entries, where clients had sent 1027"),
        ({"shifted": -1}, "is not what client-0 sent"),
        ({"state": "5" * 64}, "state_hash is not that of the log that was read"),
    ],
)
def test_what_a_snapshot_cannot_have_taken_the_place_of_is_named(lie, said):
    problems = judged(Compacting(**lie), COMPACTED)
    assert any(said in problem for problem in problems), problems


def test_who_was_not_asked_for_snapshots_keeps_the_whole_log():
    assert judged(Compacting(), CELLS["replicate"]) == ["no node keeps its whole log"]


# -- what follows from the rules, at their edges -----------------------------------------


def closed_loop(latency_ns, *, started_ns=10**9, length_ns=400 * MILLISECOND) -> ReplicateResult:
    """Return the result of 64 clients that was measured so long."""
    commands = sum(count for _, count in latency_ns)
    return ReplicateResult(
        node=1,
        client="made up",
        started_ns=started_ns,
        ended_ns=started_ns + length_ns,
        commands=commands,
        latency_ns=latency_ns,
        slices=[(length_ns, commands)],
        acknowledged=[commands] * 64,
        counters={"messages": 1, "bytes": None, "saves": 1, "save_ns": 1, "entries": commands},
    )


def found(result: ReplicateResult, sent_ns=500 * MILLISECOND, warmup_s=0.5) -> list[str]:
    """Return what contradicts it."""
    cell = replicate_cell(64)
    workload = {**cell.workload, "warmup_s": warmup_s, "duration_s": 0.4}
    witness = Witness([1, 2, 3], sent_ns, 10**10, [Role(1, "leader", 1, 1, 1)])
    return list(contradicted(msgspec.structs.replace(cell, workload=workload), result, witness))


MS = 1998848  # 2 ms, but for its bucket's width


def test_a_closed_loop_that_never_pauses_obeys_littles_law():
    assert found(closed_loop([(MS, 64 * 200)])) == []


def test_what_was_under_way_at_the_edges_is_allowed_for():
    # All that was under way at the end, for as long as the longest that was counted.
    long_ns = 99614720
    assert found(closed_loop([(MS, 64 * 150), (long_ns, 1)])) == []
    (problem,) = found(closed_loop([(MS, 64 * 140), (long_ns, 1)]))
    assert problem == ("latencies of 64 clients add up to 18 s where 25.6 s belong (Little's law)")


def test_no_single_latency_makes_the_law_say_nothing():
    assert found(closed_loop([(MS, 64 * 90), (398458880, 1)])) != []


def test_a_client_may_have_had_no_answer_where_there_are_fewer_answers_than_clients():
    long_ns = 398458880
    assert found(closed_loop([(long_ns, 16)])) == []
    assert found(closed_loop([(MS, 15), (long_ns, 1)])) != []


def test_a_measured_time_is_as_long_as_asked_but_for_what_a_clock_of_microseconds_rounds():
    asked_ns = 400 * MILLISECOND
    assert found(closed_loop([(MS, 64 * 200)], length_ns=asked_ns - 2000)) == []
    (problem,) = found(closed_loop([(MS, 64 * 200)], length_ns=asked_ns - 2001))
    assert problem == "measured for 0.399998 s where 0.4 s were asked for"


def test_a_warm_up_is_as_long_as_asked_but_for_the_same():
    begun_ns = 10**9
    assert found(closed_loop([(MS, 64 * 200)], started_ns=begun_ns - 2000)) == []
    (problem,) = found(closed_loop([(MS, 64 * 200)], started_ns=begun_ns - 2001))
    assert problem == "warmed up for 0.499998 s where 0.5 s were asked for"


@pytest.mark.parametrize("workload", ["failover", "stability"])
@pytest.mark.parametrize(
    ("uncounted", "believed"),
    [(-1, False), (0, True), (1, True), (2, False)],
)
def test_each_client_may_have_one_command_under_way_when_the_counting_ends(
    workload, uncounted, believed
):
    """Who says that it was less, more than one, or more than was acknowledged, is named."""

    class Uncounted(Stub):
        def answer(self, request):
            answer = super().answer(request)
            if request["op"] == "run":
                answer["commands"] -= uncounted * len(answer["acknowledged"])
                for piece in answer.get("slices", []):
                    piece[1] = answer["commands"]
            return answer

    problems = judged(Uncounted(), CELLS[workload])
    assert any("commands were counted where" in problem for problem in problems) is not believed
    assert (problems == []) is believed


def test_a_measured_time_that_a_stall_made_longer_is_believed():
    # 300 ms of silence over its end: one command of all that waited is counted.
    length_ns = 650 * MILLISECOND
    assert found(closed_loop([(MS, 64 * 175), (299892736, 1)], length_ns=length_ns)) == []
