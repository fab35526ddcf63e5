"""`raftmark check` and `raftmark schema`, on runs as the harness writes them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from raftmark.bench.experiment.trial import skipped_trial
from raftmark.bench.runs.audit import Findings, audit
from raftmark.bench.runs.plan import remaining
from raftmark.bench.runs.schema import SCHEMAS
from raftmark.bench.runs.store import Run, StoreError
from tests.bench.support import (
    contenders,
    election_cell,
    fake,
    manifest,
    measure_quietly,
    replicate_cell,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The directory of a run with trials that are ok, that failed, and that broke a rule."""
    directory = tmp_path_factory.mktemp("whole")
    fakes = {"a": fake("stub"), "bad": fake("crashes", "run"), "unsafe": fake("unsafe", "diverged")}
    cells = [replicate_cell(), election_cell()]
    run = Run.create(directory, manifest(list(fakes), cells, blocks=1))
    measure_quietly(run, contenders(directory, fakes))
    return run.path


Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def copy(whole, tmp_path) -> Callable[..., Path]:
    """Copy the run; with a `change` of its first trial of that cell and contender."""

    def copy(change: Change | None = None, start: str = "", **manifest_changes: Any) -> Path:
        path = tmp_path / "copy"
        path.mkdir()
        (path / "logs").mkdir()
        for log in (whole / "logs").iterdir():
            (path / "logs" / log.name).write_bytes(log.read_bytes())
        written = json.loads((whole / "run.json").read_bytes()) | manifest_changes
        (path / "run.json").write_text(json.dumps(written))
        trials = [json.loads(line) for line in (whole / "trials.jsonl").read_bytes().splitlines()]
        if change is not None:
            change(next(trial for trial in trials if trial["trial"].startswith(start)))
        (path / "trials.jsonl").write_text("".join(json.dumps(t) + "\n" for t in trials))
        return path

    return copy


def the_problem(findings: Findings) -> str:
    (problem,) = findings.problems
    return problem


def test_a_whole_run_has_no_problem(whole):
    findings = audit(whole)
    assert findings.problems == []
    assert findings.remarks == []
    assert (findings.planned, findings.ended) == (6, 6)
    assert findings.failures == {"run": 2, "check": 2}


def test_the_log_of_every_trial_that_was_tried_and_failed_is_kept(whole):
    run = Run.open(whole)
    logs = {trial.log for trial in run.trials if trial.status == "failed"}
    assert {log.name for log in run.logs.iterdir()} == logs
    assert len(logs) == 4


@pytest.mark.parametrize(
    ("start", "change", "said"),
    [
        ("replicate", lambda t: t.update(block=1), "has block 1 where the schedule has 0"),
        ("replicate", lambda t: t.update(order=99), "has order 99 where"),
        ("replicate", lambda t: t.update(cell="election-12-24"), "has cell election-12-24"),
        ("replicate", lambda t: t.update(contender="c"), "has contender c where"),
        ("replicate", lambda t: t.update(trial="replicate-w2/7/a"), "is not in the run's schedule"),
        ("replicate", lambda t: t.update(schema=3), "has schema 3, not 1"),
        ("replicate", lambda t: t.update(status="lost"), "is damaged: Invalid enum value"),
        ("replicate-w2/0/a", lambda t: t.update(check=None), "did not pass the safety check"),
        ("replicate-w2/0/a", lambda t: t["check"].update(passed=False), "did not pass"),
        ("replicate-w2/0/a", lambda t: t.update(result=None), "has no result"),
        ("replicate-w2/0/a", lambda t: t["result"].update(workload="x"), "a result of x where"),
        ("replicate-w2/0/a", lambda t: t["result"].update(commands=39), "no result of replicate"),
        ("replicate-w2/0/a", lambda t: t["result"].update(slices=[[1, 7]]), "slices that do not"),
        ("replicate-w2/0/a", lambda t: t["result"].update(acknowledged=[1]), "than were ack"),
        (
            "replicate-w2/0/a",
            lambda t: t["result"].update(latency_ns=[[1000, 39], [2001, 1]]),
            "latency_ns that is no bucket's lowest value",
        ),
        (
            "replicate-w2/0/a",
            lambda t: t["result"].update(latency_ns=[[2000, 39], [1000, 1]]),
            "latency_ns that are not in ascending order",
        ),
        (
            "replicate-w2/0/a",
            lambda t: t["result"].update(latency_ns=[[1000, 40], [2000, 0]]),
            "a bucket of latency_ns without a count",
        ),
        ("election-12-24/0/a", lambda t: t["result"].update(elections=3), "no result of"),
        ("replicate-w2/0/bad", lambda t: t.update(failure=None), "does not say why"),
    ],
)
def test_a_damaged_trial_is_named_with_file_and_line(copy, start, change, said):
    problems = audit(copy(change, start)).problems
    assert any(said in problem for problem in problems), problems
    assert all("trials.jsonl, line " in problem for problem in problems)


def test_every_fault_is_named_not_only_the_first(copy):
    path = copy() / "trials.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([b"garbage\n", *lines[1:4], b"\n", lines[5], lines[5]]))
    problems = audit(path.parent).problems
    assert [problem.split(": ")[0].rsplit(" ", 1)[1] for problem in problems] == ["1", "5", "7"]
    assert problems[-1].endswith("of line 6")


def test_trials_out_of_the_schedules_order(copy):
    path = copy() / "trials.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[1:], lines[0]]))
    assert "line 6" in the_problem(audit(path.parent))
    # A run from which a damaged line was deleted runs that trial again when it is resumed.
    manifest_path = path.parent / "run.json"
    written = json.loads(manifest_path.read_bytes())
    written["resumptions"] = [{"at": "2026-03-01T12:00:00Z", "environment": {}}]
    manifest_path.write_text(json.dumps(written))
    findings = audit(path.parent)
    assert findings.problems == []
    assert "planned later" in findings.remarks[0]


def test_a_lost_log_is_named(copy):
    path = copy()
    (log, *_) = sorted((path / "logs").iterdir())
    log.unlink()
    assert log.name in the_problem(audit(path))


def test_what_an_interruption_leaves_is_a_remark_and_goes_with_the_next_lock(copy):
    path = copy()
    (path / "data-x").mkdir()
    (path / "data-x" / "node-1.log").write_text("torn")
    (path / "run.json.new").write_text("{")
    (path / "logs" / "replicate-w2_0_a.stderr").touch()
    content = (path / "trials.jsonl").read_bytes()
    (path / "trials.jsonl").write_bytes(content[:-9])
    findings = audit(path)
    assert findings.problems == []
    assert len(findings.remarks) == 6
    run = Run.open(path)
    assert len(run.leftovers()) == 4, "the log of the torn trial, too"
    with run.lock():
        assert run.leftovers() == []
    assert len(list(run.logs.iterdir())) == 3


def test_a_run_without_its_trials_is_damaged(copy):
    path = copy()
    (path / "trials.jsonl").unlink()
    assert "trials.jsonl" in the_problem(audit(path))
    with pytest.raises(StoreError, match=r"trials\.jsonl"):
        Run.open(path)


def test_a_directory_without_a_manifest_is_no_run_and_nothing_is_damaged(tmp_path, command):
    done = command("check", str(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"raftmark: {tmp_path} is not a run: it has no run.json\n"


@pytest.mark.parametrize(
    "changes", [{"schema": 2}, {"schema": 2, "run": ["of", "another", "form"], "contenders": 3}]
)
def test_a_newer_form_is_no_damage(copy, tmp_path, command, changes):
    path = copy(**changes)
    for name in ("check", "summary", "report"):
        done = command(name, str(path), cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert "has schema 2, not 1: read it with the version" in done.stderr
        assert "damaged" not in done.stderr


def test_the_command_says_what_it_found(whole, copy, tmp_path, command):
    done = command("check", str(whole), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = "6 of 6 trials, 2 ok, 4 failed (2 at check, 2 at run), 0 problems\n"
    assert done.stdout == said
    path = copy(lambda trial: trial.update(block=1))
    done = command("check", str(path), cwd=tmp_path)
    assert done.returncode == 1
    assert "trials.jsonl, line 1: " in done.stdout
    assert done.stderr.startswith("raftmark: the run is damaged")


def test_a_run_that_another_process_went_on_with_is_read_again_before_it_is_added_to(tmp_path):
    first = Run.create(tmp_path, manifest(["a"], [replicate_cell()], blocks=2))
    late = Run.open(first.path)
    with first.lock():
        first.append(skipped_trial(remaining(first)[0], "made up"))
    with late.lock():
        assert late.trials == first.trials
        assert len(remaining(late)) == 1


@pytest.fixture(scope="module")
def trial_schema() -> Draft202012Validator:
    return Draft202012Validator(SCHEMAS["trial"]())


def test_the_schemas_fit_what_is_written(whole, trial_schema, tmp_path, command):
    for part in SCHEMAS:
        done = command("schema", part, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        schema = json.loads(done.stdout)
        assert schema == SCHEMAS[part]()
        Draft202012Validator.check_schema(schema)
    Draft202012Validator(SCHEMAS["run"]()).validate(json.loads((whole / "run.json").read_bytes()))
    for line in (whole / "trials.jsonl").read_bytes().splitlines():
        trial_schema.validate(json.loads(line))


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.update(schema=2),
        lambda t: t.pop("block"),
        lambda t: t["result"].pop("counters"),
        lambda t: t["result"].update(workload="election"),
        lambda t: t["check"].update(passed=False),
    ],
)
def test_the_schema_of_a_trial_refuses_what_is_none(whole, trial_schema, change):
    trials = [json.loads(line) for line in (whole / "trials.jsonl").read_bytes().splitlines()]
    trial = next(trial for trial in trials if trial["trial"] == "replicate-w2/0/a")
    change(trial)
    assert not trial_schema.is_valid(trial)


def test_a_schema_of_nothing_is_refused(tmp_path, command):
    done = command("schema", "report", cwd=tmp_path)
    assert done.returncode == 2
    assert "choose from run, trial" in done.stderr
