"""Contenders that misbehave as processes: each costs its own trial, and little besides."""

import re
import time

import psutil
import pytest

from raftmark.bench.contenders import contender as contenders_process
from raftmark.bench.design.schedule import Planned
from raftmark.bench.experiment.trial import run_trial
from raftmark.bench.runs.forms import Trial
from raftmark.bench.runs.store import Run
from tests.bench.support import PATIENCE, contenders, fake, manifest, replicate_cell


def run_rude(tmp_path, fault, timeout_s=PATIENCE) -> tuple[Trial, Run]:
    cell = replicate_cell(timeout_s=timeout_s)
    specs = contenders(tmp_path, {"rude": fake("rude", fault)})
    run = Run.create(tmp_path / "results", manifest(["rude"], [cell]))
    trial = run_trial(Planned(cell, 0, 0, "rude"), specs["rude"], run)
    run.append(trial)
    assert Run.open(run.path).trials == [trial], "whatever it was, it can be kept and read"
    return trial, run


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def soon(monkeypatch):
    """Let nobody be waited for longer than is needed where all that is waited for never comes."""
    monkeypatch.setattr(contenders_process, "_CLOSED_GRACE_S", 0.5)
    monkeypatch.setattr(contenders_process, "_ORPHANS_GRACE_S", 0.3)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("Bomb", "died of signal 9 (Killed); what it started lives on"),
        ("Eventful", "more than 4 MiB of events"),
        ("Endless", "a line of more than 4 MiB"),
        ("Binary", "printed nonsense"),
        ("Deep", "nested too deeply"),
        ("DeepWithin", "nested too deeply: more than 32 levels"),
        ("Twice", "a reply that no request waits for"),
        ("Unasked", "a reply that no request waits for"),
        ("Early", "a reply that no request waits for"),
        ("Garish", r"internal: \x1b[2J\r\nxxx"),
    ],
)
def test_what_is_wrong_is_said_at_once(tmp_path, monkeypatch, fault, said):
    monkeypatch.setattr(contenders_process, "_LONGEST_LINE", 4 * 2**20)
    monkeypatch.setattr(contenders_process, "_MOST_EVENT_BYTES", 4 * 2**20)
    trial, _ = run_rude(tmp_path, fault)
    assert trial.failure is not None
    assert said in trial.failure.message
    assert len(trial.failure.message) < 1000
    assert trial.duration_s < PATIENCE, "nothing was waited for"


@pytest.mark.parametrize(
    ("fault", "timeout_s", "said"),
    [
        ("Deaf", 0.5, "hung: no reply to 'run' within 0.5 s"),
        # Long enough for it to have stopped by then.
        ("Stopped", 2, "hung (its process is stopped): no reply to 'run'"),
    ],
)
def test_what_never_ends_is_ended(tmp_path, fault, timeout_s, said):
    trial, _ = run_rude(tmp_path, fault, timeout_s)
    assert trial.failure is not None
    assert trial.failure.message.startswith(said)


@pytest.mark.usefixtures("soon")
def test_a_closed_output_is_said(tmp_path):
    trial, _ = run_rude(tmp_path, "Mute")
    assert trial.failure is not None
    assert trial.failure.message == "closed its standard output but still runs"


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("fault", ["Fled", "FledWithPipes"])
def test_what_has_fled_its_session_is_found_and_ended(tmp_path, fault):
    trial, run = run_rude(tmp_path, fault)
    assert trial.failure is not None
    assert trial.failure.stage == "stop"
    assert "left processes behind" in trial.failure.message
    assert trial.log is not None
    (child,) = re.findall(r"child (\d+)", (run.logs / trial.log).read_text())
    assert f"{child} (" in trial.failure.message
    deadline = time.monotonic() + PATIENCE
    while is_alive(int(child)):
        assert time.monotonic() < deadline, "it outlived the trial"
        time.sleep(0.005)


@pytest.mark.usefixtures("soon")
def test_what_has_fled_its_session_is_charged_to_the_trial(tmp_path):
    trial, _ = run_rude(tmp_path, "Costly")
    assert trial.cost is not None
    assert trial.cost.cpu_s >= 0.28


def test_of_endless_complaints_the_beginning_and_the_end_are_kept(tmp_path):
    trial, run = run_rude(tmp_path, "Noisy")
    assert trial.failure is not None
    assert trial.failure.message == "ended with exit status 3"
    assert trial.failure.stderr.endswith("the end")
    assert trial.log is not None
    log = (run.logs / trial.log).read_text()
    assert log.startswith("the beginning\n")
    assert log.endswith("the end\n")
    assert re.search(r"\[\.\.\. \d+ bytes are left out here \.\.\.\]", log)
    assert len(log) < 2**18
