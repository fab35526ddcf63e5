import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from raftmark.bench.contenders import contender as contender_module
from raftmark.bench.contenders.contender import Contender
from raftmark.bench.contenders.registry import ContenderSpec, load_contenders
from raftmark.bench.contenders.variants import Mixture
from raftmark.bench.design.cells import catch_up_cell, mixture_cell, offered_cell
from raftmark.bench.design.schedule import Left, Planned
from raftmark.bench.design.specification import Cell
from raftmark.bench.experiment import clients, standing
from raftmark.bench.experiment import trial as trial_module
from raftmark.bench.experiment.check import Node, _differences
from raftmark.bench.experiment.host import LocalHost, taking_part
from raftmark.bench.experiment.measure import End
from raftmark.bench.experiment.pages import Entry
from raftmark.bench.experiment.replay import Replay
from raftmark.bench.experiment.trial import Ready, run_trial
from raftmark.bench.runs.forms import ContenderEntry, Trial
from raftmark.bench.runs.plan import remaining
from raftmark.bench.runs.store import Run
from raftmark.programs import program
from raftmark.raft.messages import Command as RaftCommand
from raftmark.raft.messages import Entry as RaftEntry
from raftmark.raft.state_machine import StateMachine, log_hash
from tests.bench.support import (
    contenders,
    election_cell,
    fake,
    manifest,
    measure_quietly,
    replicate_cell,
)


def run_fake(tmp_path, command, cell=None, block=0) -> Trial:
    cell = cell or replicate_cell()
    specs = contenders(tmp_path, {"fake": command})
    run = Run.create(Path(os.path.relpath(tmp_path / "results")), manifest(["fake"], [cell]))
    trial = run_trial(Planned(cell, block, 3, "fake"), specs["fake"], run)
    run.append(trial)
    assert Run.open(run.path).trials == [trial]
    return trial


@pytest.mark.parametrize("cell", [replicate_cell(), replicate_cell(300), election_cell()])
def test_a_good_trial_has_a_result_a_check_and_a_cost(tmp_path, cell):
    trial = run_fake(tmp_path, fake("stub"), cell)
    assert trial.failure is None
    assert trial.status == "ok"
    assert (trial.trial, trial.order) == (f"{cell.id}/0/fake", 3)
    assert trial.result is not None
    assert trial.result["workload"] == cell.workload["name"]
    assert trial.check is not None
    assert trial.check.passed
    assert trial.cost is not None
    assert trial.cost.peak_rss_bytes > 2**20
    assert trial.stages_s is not None
    assert list(trial.stages_s) == ["launch", "start", "run", "check", "stop"]
    assert trial.stages_s["run"] >= cell.workload.get("duration_s", 0)
    assert sum(trial.stages_s.values()) <= trial.duration_s + 0.01
    if cell.workload["name"] == "replicate":
        # The no-op, and all that the stub's clients had acknowledged: read by pages, in full.
        assert trial.check.entries == 1 + 20 * cell.workload["outstanding"]


def test_the_log_is_read_by_pages(tmp_path):
    cell = replicate_cell(1000)
    trial = run_fake(tmp_path, fake("stub"), cell)
    assert trial.check is not None
    assert trial.check.entries == 20_001


@pytest.mark.parametrize(
    ("operation", "stage"),
    [("hello", "launch"), ("start", "start"), ("run", "run"), ("log", "check"), ("stop", "stop")],
)
def test_a_crash_is_a_failure_of_its_stage(tmp_path, operation, stage):
    trial = run_fake(tmp_path, fake("crashes", operation))
    assert trial.status == "failed"
    assert trial.failure is not None
    assert trial.failure.stage == stage
    assert trial.stages_s is not None
    assert list(trial.stages_s)[-1] == stage
    assert "signal 9" in trial.failure.message
    assert trial.failure.stderr == "about to crash"
    assert (trial.result is None) == (stage in ("launch", "start", "run"))


def test_a_contender_without_snapshots_is_not_told_to_take_none(tmp_path):
    cell = replicate_cell()
    cell = msgspec.structs.replace(cell, cluster={**cell.cluster, "snapshot_entries": 0})
    assert "snapshot" not in cell.needs
    trial = run_fake(tmp_path, fake("older"), cell)
    assert trial.failure is None


@pytest.mark.parametrize(
    "cell",
    [
        catch_up_cell(100, "snapshot"),
        msgspec.structs.replace(
            replicate_cell(), cluster={**replicate_cell().cluster, "snapshot_entries": 100}
        ),
    ],
    ids=["to catch up", "now and then"],
)
def test_what_takes_snapshots_needs_a_contender_that_can(cell):
    assert "snapshot" in cell.needs


def test_a_reply_that_comes_too_late_for_the_check_is_told_by_the_checks_time(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("raftmark.bench.experiment.trial._CHECK_TIMEOUT_S", 0.2)
    monkeypatch.setattr("raftmark.bench.experiment.trial._CHECK_TIMEOUT_PER_RUN_SECOND", 0.0)
    monkeypatch.setattr("raftmark.bench.experiment.trial._CHECK_TIMEOUT_OF_BYTES_S", 0.0)
    trial = run_fake(tmp_path, fake("hangs", "log"))
    assert trial.failure is not None
    assert trial.failure.stage == "check"
    # To a busy machine 0.2 s may be too little for what comes before.
    said = r"hung: no reply to '(status|log)' within the 0\.2 s of the check"
    assert re.fullmatch(said, trial.failure.message)


def test_a_hang_is_a_failure_after_the_cells_time(tmp_path):
    # Time enough for its last words, too.
    trial = run_fake(tmp_path, fake("hangs", "run"), replicate_cell(timeout_s=2))
    assert trial.failure is not None
    assert trial.failure.stage == "run"
    assert trial.failure.message == "hung: no reply to 'run' within 2 s"
    assert trial.failure.stderr == "about to hang"


@pytest.mark.parametrize(
    "line",
    [
        "hello there",
        '{"id": ID, "ok": {}}',
        '{"id": ID, "ok": {"workload": "replicate", "commands": "many"}}',
    ],
)
def test_nonsense_is_a_failure(tmp_path, line):
    trial = run_fake(tmp_path, fake("nonsense", "run", line))
    assert trial.failure is not None
    assert trial.failure.stage == "run"
    assert trial.check is None


def test_a_malformed_event_is_a_failure(tmp_path):
    trial = run_fake(tmp_path, fake("nonsense", "run", '{"event": "role", "node": "two"}'))
    assert trial.failure is not None
    assert trial.failure.stage == "check"


def test_an_error_reply_is_a_failure(tmp_path):
    line = '{"id": ID, "error": {"code": "unavailable", "message": "the leader changed"}}'
    trial = run_fake(tmp_path, fake("nonsense", "run", line))
    assert trial.failure is not None
    assert "unavailable: the leader changed" in trial.failure.message


def test_a_leaked_child_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(contender_module, "_ORPHANS_GRACE_S", 0.5)
    trial = run_fake(tmp_path, fake("leaks"))
    assert trial.failure is not None
    assert trial.failure.stage == "stop"
    assert "left processes behind" in trial.failure.message


@pytest.mark.parametrize(
    ("fault", "cell", "said"),
    [
        ("lost", replicate_cell(), "serial 8 of client-0 where 7 belongs"),
        ("twice", replicate_cell(), "serial 7 of client-0 where 8 belongs"),
        ("diverged", replicate_cell(), "state_hash differs"),
        ("two_leaders", replicate_cell(), "term 2 had several leaders: nodes 1, 3"),
        ("two_leaders", election_cell(), "term 5 had several leaders"),
        ("undecided", election_cell(), "2 of 3 elections were decided"),
    ],
)
def test_a_broken_safety_rule_is_found_and_keeps_the_result(tmp_path, fault, cell, said):
    trial = run_fake(tmp_path, fake("unsafe", fault), cell)
    assert trial.status == "failed"
    assert trial.failure is not None
    assert trial.failure.stage == "check"
    assert said in trial.failure.message
    assert trial.check is not None
    assert not trial.check.passed
    assert trial.result is not None


@pytest.mark.parametrize(
    ("operation", "limit"), [("hello", "_LAUNCH_TIMEOUT_S"), ("start", "START_TIMEOUT_S")]
)
def test_a_beginning_that_takes_too_long_says_what_may_be_the_cause(
    tmp_path, monkeypatch, operation, limit
):
    monkeypatch.setattr(trial_module, limit, 0.2)
    trial = run_fake(tmp_path, fake("hangs", operation))
    assert trial.failure is not None
    assert trial.failure.message.startswith(f"hung: no reply to '{operation}' within 0.2 s; ")
    assert "see what else runs there" in trial.failure.message


def test_a_cluster_is_waited_for_no_shorter_than_it_waits_for_its_programs():
    # So that it says which of them has not started, or has to be killed.
    assert standing.START_TIMEOUT_S > program.START_S
    assert trial_module._STOP_TIMEOUT_S > program.STOP_S
    assert clients._SERVE_TIMEOUT_S > program.START_S


def test_a_node_that_never_catches_up_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(standing, "_SETTLING_S", 0.1)
    # Half of it is waited, and the answer to the last look at the nodes may take the other one.
    monkeypatch.setattr(trial_module, "_CHECK_TIMEOUT_S", 4.0)
    monkeypatch.setattr(trial_module, "_CHECK_TIMEOUT_PER_RUN_SECOND", 1)
    trial = run_fake(tmp_path, fake("unsafe", "unapplied"))
    assert trial.failure is not None
    assert "do not settle" in trial.failure.message


def sent(index, serial, client=0, term=1):
    """Return an entry with what a client sent."""
    key = f"key-{(client + serial) % 1000}"
    return Entry(index, term, "set", key, "xx", None, f"client-{client}", serial)


def noop(index, term=1):
    """Return an entry without a command."""
    return Entry(index, term, "noop")


def taken(*pages, repeated=False) -> Replay:
    """Return what a log of one client's is compared with, when these pages of it were taken."""
    log = Replay({"keys": 1000, "payload": 2}, 1, repeated=repeated)
    for page in pages:
        log.take(page)
    return log


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([noop(1), noop(3)], "index 3, term 1 where index 2"),
        ([noop(1, term=2), noop(2, term=1)], "at least term 2"),
        ([noop(1), sent(2, 1, client=9)], "that nobody sent"),
        ([noop(1), sent(2, 1)], "serial 2 acknowledged, but the log has 1"),
        ([], "serial 2 acknowledged, but the log has 0"),
        ([noop(1), Entry(2, 1, "set", "key-0", "x")], "a command 'set' that nobody sent"),
        ([noop(1), sent(2, 1), sent(3, 1)], "has serial 1 of client-0 where 2 belongs"),
    ],
)
def test_a_log_that_is_wrong_is_found(entries, said):
    assert said in taken(entries).end([2])[0]


def test_commands_that_were_sent_but_not_acknowledged_may_be_in_the_log():
    log = taken([noop(1), sent(2, 1)], [sent(3, 2), sent(4, 3)])
    assert log.end([2]) == []
    assert log.index == 4


def test_a_command_may_be_there_again_where_it_may_have_been_sent_again():
    entries = [noop(1), sent(2, 1), sent(3, 2), sent(4, 1), sent(5, 2)]
    assert taken(entries, repeated=True).end([2]) == []
    assert taken(entries).end([2]) != []


def test_hashes_are_those_that_a_node_computes():
    """Of the whole log, of what is left of it after a snapshot, and of the state."""
    entries = [noop(1), *(sent(1 + n, n) for n in range(1, 100)), sent(101, 50), noop(102, term=2)]
    mine = [RaftEntry(e.term, RaftCommand(*e[2:])) for e in entries]
    machine = StateMachine()
    machine.apply(mine)
    log = Replay({"keys": 1000, "payload": 2}, 1, repeated=True, first_indices=[1, 30, 31, 90])
    for start in range(0, 102, 30):
        log.take(entries[start : start + 30])
    assert log.end([99]) == []
    assert log.state_hash() == machine.state_hash()
    for first in (1, 30, 31, 90):
        assert log.log_hash(first) == log_hash(mine[first - 1 :])


def test_a_log_is_gone_on_with_by_other_clients():
    first = [noop(1), *(sent(1 + n, n) for n in range(1, 10))]
    second = [
        noop(11, term=2),
        *(Entry(11 + n, 2, "set", f"key-{n}", "xx", None, "load-2-0", n) for n in range(1, 5)),
    ]
    before = taken(first)
    assert before.end([9]) == []
    log = before.gone_on_with({"keys": 1000, "payload": 2, "session": "load-2"}, 1)
    log.take(second)
    assert log.end([4]) == []
    assert (log.index, log.term, log.taken) == (15, 2, 5)
    mine = [RaftEntry(e.term, RaftCommand(*e[2:])) for e in [*first, *second]]
    machine = StateMachine()
    machine.apply(mine)
    assert log.log_hash(1) == log_hash(mine)
    assert log.state_hash() == machine.state_hash()
    log.take([sent(16, 10, term=2)])
    assert "serial 10 of client-0 that nobody sent" in log.problems[0]


@pytest.mark.slow
def test_a_bad_contender_costs_only_its_own_trials(tmp_path):
    specs = contenders(
        tmp_path,
        {"good": fake("stub"), "crashes": fake("crashes", "run"), "hangs": fake("hangs", "run")},
    )
    cell = replicate_cell(timeout_s=10)
    run = Run.create(tmp_path / "results", manifest(list(specs), [cell], blocks=1))
    assert measure_quietly(run, specs) is End.COMPLETE
    statuses = {name: {t.status for t in run.trials if t.contender == name} for name in specs}
    assert statuses == {"good": {"ok"}, "crashes": {"failed"}, "hangs": {"failed"}}
    assert remaining(run) == []
    logs = {path.name for path in run.logs.iterdir()}
    assert logs == {"replicate-w2_0_crashes.stderr", "replicate-w2_0_hangs.stderr"}


def test_trials_of_a_block_may_share_a_process(tmp_path, monkeypatch):
    specs = contenders(
        tmp_path, {"a": fake("stub"), "b": fake("stub"), "crashes": fake("crashes", "run")}
    )
    launched: list[str] = []
    launch = ContenderSpec.launch

    def counted(spec: ContenderSpec, **options: Any) -> Contender:
        launched.append(spec.name)
        return launch(spec, **options)

    monkeypatch.setattr(ContenderSpec, "launch", counted)
    cells = [msgspec.structs.replace(replicate_cell(), id=f"cell-{n}") for n in range(3)]
    plan = manifest(list(specs), cells, blocks=2, one_process=True)
    run = Run.create(tmp_path / "results", plan)
    assert measure_quietly(run, specs) is End.COMPLETE
    assert remaining(run) == []
    assert {t.contender for t in run.trials if t.status == "failed"} == {"crashes"}
    # One for each block, but a new one after each failure.
    assert Counter(launched) == {"a": 2, "b": 2, "crashes": 6}
    # What a load adds to memory is read of a process's first.
    told = {t.cell for t in run.trials if t.cost and t.cost.idle_memory_bytes is not None}
    assert told <= {"cell-0"}
    logs = {path.name for path in run.logs.iterdir()}
    assert logs == {f"cell-{n}_{block}_crashes.stderr" for n in range(3) for block in range(2)}


def plain(outstanding: int) -> Cell:
    """Return a load whose cluster keeps its whole log."""
    cell = replicate_cell(outstanding)
    return msgspec.structs.replace(cell, cluster={**cell.cluster, "snapshot_entries": 0})


def few() -> Cell:
    """Return a load after which another one may have its cluster: 250 commands."""
    cell = offered_cell(1000, warmup_s=0.125, duration_s=0.125)
    return msgspec.structs.replace(cell, cluster=plain(1).cluster)


def offering(*cells: Cell) -> list[ContenderEntry]:
    """Return the entry of a contender that is asked for all of these."""
    features = sorted(set().union(*(cell.needs for cell in cells)))
    return [ContenderEntry("a", "A", {"features": features}, None)]


def changed_stub(path: Path, body: str) -> list[str]:
    """Return the command of a stub with some methods of its own."""
    path.write_text(
        f"import sys\nsys.path.insert(0, {str(Path(fake('stub')[1]).parent)!r})\n"
        f"from stub import Stub\nclass Changed(Stub):\n{body}Changed().serve()\n"
    )
    return [sys.executable, str(path)]


def test_loads_in_a_row_may_share_a_cluster(tmp_path):
    told = tmp_path / "told"
    command = changed_stub(
        tmp_path / "telling.py",
        "    def handle(self, request):\n"
        f"        with open({str(told)!r}, 'a') as file:\n"
        "            print(request['op'], file=file)\n"
        "        super().handle(request)\n",
    )
    specs = contenders(tmp_path, {"a": command})
    cells = [few(), plain(3), election_cell(), plain(4)]
    shared = {"one_process": True, "one_cluster": True}
    plan = manifest([], cells, blocks=2, contenders=offering(*cells), **shared)
    run = Run.create(tmp_path / "results", plan)
    assert measure_quietly(run, specs) is End.COMPLETE
    assert [trial.failure for trial in run.trials] == [None] * 8
    # The no-op of each leader, and what was sent in this load: no entry is read twice.
    entries = [trial.check.entries for trial in run.trials if trial.check]
    assert entries == [1 + 250, 3 * 20, 1 + 3, 1 + 4 * 20] * 2
    asked = Counter(told.read_text().split())
    assert (asked["start"], asked["run"], asked["stop"]) == (6, 8, 6)
    assert (asked["hello"], asked["quit"]) == (1, 2)
    assert list(run.logs.iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("self.entries.pop()", "load-2-2 had serial 20 acknowledged, but the log has 19"),
        ("self.entries[1] = self.entries[2]", "log_hash is not that of the log that was read"),
        ("self.entries[-1] = self.entries[1]", "has serial 1 of client-0 that nobody sent"),
    ],
)
def test_a_fault_after_a_clusters_second_load_costs_that_one(tmp_path, fault, said):
    command = changed_stub(
        tmp_path / "faulty.py",
        "    def run_replicate(self, workload):\n"
        "        result = super().run_replicate(workload)\n"
        "        if workload['outstanding'] == 3:\n"
        f"            {fault}\n"
        "        return result\n",
    )
    specs = contenders(tmp_path, {"a": command})
    cells = [few(), plain(3), plain(4)]
    shared = {"one_process": True, "one_cluster": True}
    plan = manifest([], cells, blocks=1, contenders=offering(*cells), **shared)
    run = Run.create(tmp_path / "results", plan)
    assert measure_quietly(run, specs) is End.COMPLETE
    first, second, third = run.trials
    assert (first.failure, third.failure) == (None, None)
    assert second.failure is not None
    assert second.failure.stage == "check"
    assert said in second.failure.message
    # It had a process and a cluster of its own again.
    assert third.check is not None
    assert third.check.entries == 1 + 4 * 20
    assert third.cost is not None
    assert {path.name for path in run.logs.iterdir()} == {"replicate-w3_0_a.stderr"}


def test_the_next_process_is_launched_when_nothing_is_measured_any_more(tmp_path, monkeypatch):
    happened: list[str] = []
    launch, answer, close = ContenderSpec.launch, Ready.await_answer, Contender.close

    def launched(spec: ContenderSpec, **options: Any) -> Contender:
        happened.append(f"launch {spec.name}")
        return launch(spec, **options)

    def measured(ready: Ready, reply: Any) -> Any:
        ran = answer(ready, reply)
        happened.append("measured")
        return ran

    def closed(contender: Contender, *options: float) -> int:
        happened.append("closed")
        return close(contender, *options)

    monkeypatch.setattr(ContenderSpec, "launch", launched)
    monkeypatch.setattr(Ready, "await_answer", measured)
    monkeypatch.setattr(Contender, "close", closed)
    specs = contenders(tmp_path, {"a": fake("stub"), "b": fake("stub")})
    run = Run.create(
        tmp_path / "results", manifest(list(specs), [replicate_cell(), election_cell()], blocks=1)
    )
    assert measure_quietly(run, specs) is End.COMPLETE
    names = [trial.contender for trial in run.trials]
    between = [["measured", f"launch {name}", "closed"] for name in names[1:]]
    expected = [[f"launch {names[0]}"], *between, ["measured", "closed"]]
    assert happened == [what for each in expected for what in each]
    assert {trial.failure for trial in run.trials} == {None}
    assert list(run.logs.iterdir()) == []


def test_what_was_launched_for_a_trial_that_does_not_come_is_ended(tmp_path, monkeypatch):
    launched: list[Contender] = []
    launch = ContenderSpec.launch

    def kept(spec: ContenderSpec, **options: Any) -> Contender:
        launched.append(launch(spec, **options))
        return launched[-1]

    monkeypatch.setattr(ContenderSpec, "launch", kept)
    specs = contenders(tmp_path, {"a": fake("stub"), "b": fake("stub")})
    run = Run.create(tmp_path / "results", manifest(list(specs), [replicate_cell()], blocks=1))
    host = LocalHost(run, specs)
    first, second = remaining(run)
    assert host.run(first, Left.NOTHING, second).failure is None
    assert [each.process.poll() is None for each in launched] == [False, True]
    host.end()
    assert launched[1].process.poll() is not None
    assert list(run.logs.iterdir()) == []


def test_a_contender_that_keeps_hanging_is_given_up(tmp_path):
    specs = contenders(tmp_path, {"hangs": fake("hangs", "run")})
    cell = replicate_cell(timeout_s=0.2)
    plan = manifest(list(specs), [cell], blocks=6, patience_s=0.3)
    run = Run.create(tmp_path / "results", plan)
    assert measure_quietly(run, specs) is End.COMPLETE
    messages = [t.failure.message for t in run.trials if t.failure is not None]
    assert len(messages) == 6
    assert messages[0].startswith("hung")
    assert messages[-1].startswith("not tried: hangs has already cost this run")


def test_measuring_ends_when_the_budget_is_over(tmp_path):
    specs = contenders(tmp_path, {"a": fake("stub")})
    run = Run.create(
        tmp_path / "results", manifest(["a"], [replicate_cell()], blocks=5, budget_s=0.0)
    )
    assert measure_quietly(run, specs) is End.OUT_OF_TIME
    assert len(remaining(run)) + len(run.trials) == 5
    assert remaining(run)


def on_disk() -> Cell:
    """Return a cell with disk storage."""
    cell = replicate_cell()
    return msgspec.structs.replace(cell, cluster={**cell.cluster, "storage": "disk"})


def test_what_was_acknowledged_is_read_back_after_a_kill(tmp_path):
    trial = run_fake(tmp_path, fake("disk"), on_disk())
    assert trial.failure is None
    assert trial.check is not None
    assert trial.check.read_back_s is not None
    assert trial.check.read_back_s > 0


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("late", "after a kill: 3 of 16 acknowledged commands are lost"),
        ("forgetful", "after a kill: index 3 has serial 2 of client-0 where 1 belongs"),
        ("empty", "after a kill: client-0 had serial 20 acknowledged, but the log has 0"),
        ("altered", "after a kill: index"),
    ],
)
def test_what_a_kill_loses_is_found(tmp_path, fault, said):
    trial = run_fake(tmp_path, fake("disk", fault), on_disk())
    assert trial.failure is not None
    assert trial.failure.stage == "check"
    assert trial.failure.message.startswith(said)
    assert trial.check is not None
    assert not trial.check.passed


def test_a_disk_cluster_gets_a_directory_that_is_gone_afterwards(tmp_path, monkeypatch):
    # Results named by a relative path: the contender runs elsewhere, and must find it too.
    monkeypatch.chdir(tmp_path)
    trial = run_fake(tmp_path, fake("disk"), on_disk(), block=1)
    assert trial.failure is None
    assert trial.check is not None
    assert trial.check.read_back_s is None, "only in the first block"
    assert {path.name for path in (tmp_path / "results" / "a-run").iterdir()} == {
        "run.json",
        "trials.jsonl",
        "logs",
    }


@pytest.mark.parametrize(
    ("second", "problems"),
    [
        ((1, "a"), []),
        ((1, "b"), ["the nodes have different logs: log_hash differs"]),
        # A snapshot has cut it, so its hash is of another part.
        ((90, "b"), []),
    ],
)
def test_logs_are_compared_where_they_begin_alike(second, problems):
    nodes = [
        Node(number, True, 1, 100, 100, 100, "5" * 64, log * 64, first)
        for number, (first, log) in enumerate([(1, "a"), second], 1)
    ]
    assert _differences(nodes) == problems


def test_links_are_spoilt_once_there_is_a_leader(tmp_path):
    script = tmp_path / "linked.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(Path(fake('stub')[1]).parent)!r})\n"
        "from stub import Stub\n"
        "class Linked(Stub):\n"
        "    def op_start(self, request):\n"
        "        self.asked = []\n"
        "        return super().op_start(request)\n"
        "    def handle(self, request):\n"
        "        if request['op'] in ('status', 'links'):\n"
        "            self.asked.append(request['op'])\n"
        "        super().handle(request)\n"
        "    def op_run(self, request):\n"
        "        assert self.asked == ['status', 'links'], self.asked\n"
        "        assert self.links == {'delay_ms': [0, 15]}, self.links\n"
        "        return super().op_run(request)\n"
        "Linked().serve()\n"
    )
    cell = msgspec.structs.replace(election_cell(), links={"delay_ms": [0, 15]})
    trial = run_fake(tmp_path, [sys.executable, str(script)], cell)
    assert trial.failure is None


@pytest.mark.parametrize("obeys", [True, False])
def test_in_a_mixture_the_node_leads_that_was_made_to(tmp_path, obeys):
    script = tmp_path / "led.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(Path(fake('stub')[1]).parent)!r})\n"
        "from stub import Stub\n"
        "class Led(Stub):\n"
        "    def op_start(self, request):\n"
        "        reply = super().op_start(request)\n"
        "        self.leader = 2\n"
        "        return reply\n"
        "    def op_transfer(self, request):\n"
        f"        self.leader = request['node'] if {obeys} else 2\n"
        "        return {}\n"
        "Led().serve()\n"
    )
    cell = msgspec.structs.replace(replicate_cell(), followers="others")
    trial = run_fake(tmp_path, [sys.executable, str(script)], cell)
    if obeys:
        assert trial.failure is None
        assert trial.result is not None
        assert trial.result["node"] == 1
    else:
        assert trial.failure is not None
        assert trial.failure.message == "node 2 led, where node 1 had been made to"


def test_in_a_mixture_all_but_the_leader_are_the_followers_programs():
    specs = load_contenders()
    cell = mixture_cell("go", 64)
    mixed = taking_part(Planned(cell, 0, 0, "asyncio"), specs)
    assert isinstance(mixed, Mixture)
    assert [member.name for member in mixed.members] == ["asyncio", "go", "go"]
    plain = msgspec.structs.replace(cell, followers=None)
    assert taking_part(Planned(plain, 0, 0, "asyncio"), specs) is specs["asyncio"]
