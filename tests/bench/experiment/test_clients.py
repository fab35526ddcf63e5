"""The workload *service*: its clients, those who disturb them, and what is made of a failure."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from raftmark.bench.contenders.contender import ContenderFailed
from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.design.cells import Cell, service_cell
from raftmark.bench.design.schedule import Planned
from raftmark.bench.experiment import clients
from raftmark.bench.experiment.entries import describe
from raftmark.bench.experiment.trial import run_trial
from raftmark.bench.runs.forms import Trial
from raftmark.bench.runs.results import ServiceResult, parse_result
from raftmark.bench.runs.store import Run
from tests.bench.support import contenders, fake, manifest

SECOND = 1_000_000_000


def patient(cell: Cell) -> Cell:
    """The same, whose leader a busy machine does not cost its office."""
    return msgspec.structs.replace(
        cell, cluster={**cell.cluster, "election_timeout_ms": [1000, 2000]}
    )


def trial_of(tmp_path: Path, cell: Cell, name: str = "go") -> Trial:
    specs = load_contenders()
    entry = describe(specs[name], print)
    assert entry.unavailable is None
    run = Run.create(tmp_path / "results", manifest([], [cell], blocks=1, contenders=[entry]))
    return run_trial(Planned(cell, 0, 0, name), specs[name], run)


def result_of(trial: Trial) -> ServiceResult:
    assert trial.failure is None
    result = parse_result("service", trial.result or {})
    assert isinstance(result, ServiceResult)
    return result


def test_whoever_disturbs_others_are_served_and_nothing_is_lost(tmp_path: Path) -> None:
    others = {"slow": 1, "flood": 1, "come": 1}
    cell = service_cell(4, others=others, warmup_s=0.05, duration_s=1)
    result = result_of(trial_of(tmp_path, patient(cell)))
    assert result.connections == 4
    assert len(result.acknowledged) == 7
    # Who never reads has nothing acknowledged; who connects for each command has.
    assert result.acknowledged[4] == 0
    assert all(result.acknowledged[n] for n in (0, 1, 2, 3, 5, 6))
    # The end may cut its last connection off unanswered, and who asks again connects again.
    least = 6 + result.acknowledged[6]
    assert least <= result.connects <= least + 1 + result.retries
    assert result.crashed is None


@pytest.mark.parametrize("name", ["go", "asyncio"])
def test_clients_find_the_next_leader(tmp_path: Path, name: str) -> None:
    cell = service_cell(4, crash_s=0.1, warmup_s=0.05, duration_s=2)
    cluster = {**cell.cluster, "election_timeout_ms": [300, 600]}
    cell = msgspec.structs.replace(cell, timeout_s=200, cluster=cluster)
    result = result_of(trial_of(tmp_path, cell, name))
    assert result.crashed == result.node
    assert result.crash_ns is not None
    if result.crash_ns < result.ended_ns - SECOND:
        # They had commands under way, and for those had to find who leads now.
        assert result.retries >= 1
        assert result.connects > 4


def test_a_rate_is_shared_by_all(tmp_path: Path) -> None:
    cell = service_cell(4, rate=200, warmup_s=0, duration_s=0.5)
    result = result_of(trial_of(tmp_path, patient(cell)))
    if not result.saturated:
        assert result.acknowledged == [25] * 4
        assert result.commands == 100


def test_one_that_does_not_serve_has_failed_and_says_so(tmp_path: Path) -> None:
    cell = service_cell(1, warmup_s=0, duration_s=0.1)
    cell = msgspec.structs.replace(cell, cluster={**cell.cluster, "transport": "native"})
    specs = contenders(tmp_path, {"fake": fake("stub")})
    run = Run.create(tmp_path / "results", manifest(["fake"], [cell]))
    trial = run_trial(Planned(cell, 0, 0, "fake"), specs["fake"], run)
    assert trial.failure is not None
    assert trial.failure.stage == "run"


class Deaf:
    """A contender whose client port is closed by the time that anyone comes."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._address = "{}:{}".format(*listener.getsockname())

    def processes(self) -> list[int]:
        return []

    def send_as(self, *_: object) -> None: ...

    def wait_for(self, *_: object) -> SimpleNamespace:
        return SimpleNamespace(services={"1": self._address})


def test_who_are_not_all_connected_are_told_of_too_few_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell = service_cell(3)
    for few in (None, "3 connections need 131 threads"):
        monkeypatch.setattr(clients, "exceeded_by_threads", lambda _, few=few: few)
        with pytest.raises(ContenderFailed, match="0 of 3 clients are connected") as failed:
            clients.Clients(Deaf(), cell, 1)  # type: ignore[arg-type]
        assert ("where each has a thread, 3 connections need" in str(failed.value)) == bool(few)


def test_without_the_program_the_trial_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = msgspec.structs.replace(
        clients.BUILD, command=["no-such-compiler"], output=str(tmp_path / "clients")
    )
    monkeypatch.setattr(clients, "BUILD", build)
    cell = service_cell(1, warmup_s=0, duration_s=0.1)
    failure = trial_of(tmp_path, patient(cell)).failure
    assert failure is not None
    assert "there is no program for its clients" in failure.message
    assert "no-such-compiler" in failure.message
