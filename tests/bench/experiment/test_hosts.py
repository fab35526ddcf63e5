"""Blocks over hosts: each goes to one, several hosts work at a time, and one may be lost."""

from __future__ import annotations

import threading
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest

from raftmark.bench.design.schedule import Left, Planned
from raftmark.bench.experiment.host import Host, HostGone
from raftmark.bench.experiment.measure import Blocks, End, measure
from raftmark.bench.experiment.trial import skipped_trial
from raftmark.bench.runs.forms import Trial
from raftmark.bench.runs.plan import expected, remaining
from raftmark.bench.runs.store import Run, StoreError
from tests.bench.support import PATIENCE, manifest, replicate_cell


class Silent:
    """A display that shows nothing."""

    def begins(self, planned: Planned) -> None:
        pass

    def ended(self, trial: Trial) -> None:
        pass


class FakeHost:
    """Runs every trial at once, until it is ended or `lost_after` so many."""

    def __init__(self, name: str | None, lost_after: int | None = None) -> None:
        self.name = name
        self.ran: list[Planned] = []
        self.left: list[Left] = []
        self.ended = threading.Event()
        self._lost_after = lost_after

    def run(self, planned: Planned, leaves: Left, following: Planned | None) -> Trial:
        if len(self.ran) == self._lost_after or self.ended.is_set():
            raise HostGone(f"{self.name} was lost")
        self.ran.append(planned)
        self.left.append(leaves)
        trial = skipped_trial(planned, "")
        return msgspec.structs.replace(trial, status="ok", failure=None)

    def rest(self) -> None:
        pass

    def end(self) -> None:
        self.ended.set()


class Meeting(FakeHost):
    """Runs its first trial only once all the others are in theirs."""

    def __init__(self, name: str, barrier: threading.Barrier) -> None:
        super().__init__(name)
        self._barrier = barrier

    def run(self, planned: Planned, leaves: Left, following: Planned | None) -> Trial:
        if not self.ran:
            self._barrier.wait(PATIENCE)
        return super().run(planned, leaves, following)


class Hanging(FakeHost):
    """Is in its first trial until it is ended."""

    def run(self, planned: Planned, leaves: Left, following: Planned | None) -> Trial:
        assert self.ended.wait(PATIENCE)
        return super().run(planned, leaves, following)


def new_run(path: Path, blocks: int = 4, **changes: object) -> Run:
    cells = [replicate_cell(1), replicate_cell(2)]
    return Run.create(path, manifest(["a", "b"], cells, blocks, **changes))


def blocks_of(trials: list[Trial]) -> dict[int, set[str | None]]:
    found: defaultdict[int, set[str | None]] = defaultdict(set)
    for trial in trials:
        found[trial.block].add(trial.host)
    return found


def test_one_host_measures_in_the_order_of_the_schedule(tmp_path: Path) -> None:
    run, host = new_run(tmp_path), FakeHost(None)
    assert measure(run, [host], Silent()) is End.COMPLETE
    assert [trial.trial for trial in run.trials] == [
        planned.id for planned in expected(run.manifest)
    ]
    assert {trial.host for trial in run.trials} == {None}
    assert host.ended.is_set()


def test_a_block_is_measured_on_one_host_and_hosts_measure_side_by_side(tmp_path: Path) -> None:
    run, barrier = new_run(tmp_path, blocks=6), threading.Barrier(3)
    hosts: list[Host] = [Meeting(name, barrier) for name in "xyz"]
    assert measure(run, hosts, Silent()) is End.COMPLETE
    assert remaining(run) == []
    assert all(len(names) == 1 for names in blocks_of(run.trials).values())
    assert {trial.host for trial in run.trials} == {*"xyz"}
    kept = Run.open(run.path).trials
    assert [trial.host for trial in kept] == [trial.host for trial in run.trials]


def test_the_trials_of_a_block_come_in_its_order_on_any_host(tmp_path: Path) -> None:
    run = new_run(tmp_path, blocks=6)
    measure(run, [FakeHost("x"), FakeHost("y")], Silent())
    for block in range(6):
        orders = [trial.order for trial in run.trials if trial.block == block]
        assert orders == sorted(orders)


def test_a_host_that_is_lost_fails_a_trial_and_the_others_go_on(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    barrier = threading.Barrier(2)

    class Lost(Meeting):
        def run(self, planned: Planned, leaves: Left, following: Planned | None) -> Trial:
            if self.ran:
                raise HostGone("x was lost: it burns")
            return super().run(planned, leaves, following)

    assert measure(run, [Lost("x", barrier), Meeting("y", barrier)], Silent()) is End.HOST_LOST
    [lost] = [trial for trial in run.trials if trial.failure is not None]
    assert lost.host == "x"
    assert lost.failure is not None
    assert lost.failure.message == "x was lost: it burns"
    assert lost.log is None, "there is nothing that it can have said here"
    missing = remaining(run)
    assert {planned.block for planned in missing} == {lost.block}
    assert len(missing) == 2, "the rest of its block waits for a resume"


def test_all_hosts_may_be_lost(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    hosts = [FakeHost("x", lost_after=0), FakeHost("y", lost_after=0)]
    assert measure(run, hosts, Silent()) is End.HOST_LOST
    assert len(run.trials) == 2


def test_a_block_that_was_begun_goes_on_where_it_was(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    trials = remaining(run)
    blocks = Blocks(trials[1:], {0: "x"})
    assert {planned.block for planned in blocks.next("y")} == {1}
    assert {planned.block for planned in blocks.next("x")} == {0}
    assert {planned.block for planned in blocks.next("x")} == {2}


def test_a_block_whose_host_does_not_come_back_is_not_left(tmp_path: Path) -> None:
    blocks = Blocks(remaining(new_run(tmp_path, blocks=2)), {0: "gone", 1: "gone"})
    assert [{planned.block for planned in blocks.next("y")} for _ in range(3)] == [{0}, {1}, set()]


@pytest.mark.parametrize("failing", [StoreError("no room"), KeyboardInterrupt()])
def test_what_ends_the_measuring_ends_all_hosts_and_keeps_no_half_trial(
    tmp_path: Path, failing: BaseException
) -> None:
    run = new_run(tmp_path)

    class Failing(Silent):
        def ended(self, trial: Trial) -> None:
            raise failing

    hanging = Hanging("y")
    with pytest.raises(type(failing)):
        measure(run, [FakeHost("x"), hanging], Failing())
    assert hanging.ended.is_set()
    assert [trial.host for trial in run.trials] == ["x"]


def test_the_budget_ends_all(tmp_path: Path) -> None:
    run = new_run(tmp_path, budget_s=-1.0)
    assert measure(run, [FakeHost("x"), FakeHost("y")], Silent()) is End.OUT_OF_TIME
    assert run.trials == []


def test_a_process_is_shared_within_a_block_only(tmp_path: Path) -> None:
    run, host = new_run(tmp_path, blocks=2, one_process=True), FakeHost("x")
    assert measure(run, [host], Silent()) is End.COMPLETE
    assert host.left == [Left.PROCESS, Left.NOTHING] * 4
