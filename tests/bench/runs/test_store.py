import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from raftmark.bench.analysis.metrics import values
from raftmark.bench.experiment.measure import End
from raftmark.bench.experiment.trial import skipped_trial
from raftmark.bench.runs.audit import audit
from raftmark.bench.runs.plan import remaining
from raftmark.bench.runs.store import Run, StoreError, free_name
from raftmark.report.findings.evidence import gather
from tests.bench.support import (
    contenders,
    election_cell,
    fake,
    manifest,
    measure_quietly,
    replicate_cell,
)


@pytest.fixture
def specs(tmp_path):
    return contenders(tmp_path, {"a": fake("stub"), "b": fake("stub")})


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Path:
    """The directory of a run whose trials are ok."""
    directory = tmp_path_factory.mktemp("measured")
    run = new_run(directory, blocks=1)
    measure_quietly(run, contenders(directory, {"a": fake("stub"), "b": fake("stub")}))
    return run.path


def new_run(tmp_path: Path, **changes) -> Run:
    cells = [replicate_cell(), election_cell()]
    return Run.create(tmp_path / "results", manifest(["a", "b"], cells, **changes))


def complete_quickly(run: Run) -> None:
    """Fill a run with records as the measuring writes them, without running anything."""
    for planned in remaining(run):
        run.append(skipped_trial(planned, "made up"))


def test_what_was_written_is_read_back(tmp_path, specs):
    run = new_run(tmp_path, blocks=1)
    assert measure_quietly(run, specs) is End.COMPLETE
    again = Run.open(run.path)
    assert again.manifest == run.manifest
    assert again.trials == run.trials
    assert [trial.status for trial in again.trials] == ["ok"] * 4
    assert again.torn == 0


def test_the_files_have_the_agreed_form(tmp_path, specs):
    run = new_run(tmp_path, blocks=1)
    measure_quietly(run, specs)
    raw = msgspec.json.decode((run.path / "run.json").read_bytes())
    assert raw["schema"] == 1
    assert raw["specification"]["cells"][0]["workload"]["outstanding"] == 2
    assert raw["contenders"][0].items() >= {"name": "a", "label": "A", "unavailable": None}.items()
    assert "replicate" in raw["contenders"][0]["hello"]["features"]
    trial = msgspec.json.decode((run.path / "trials.jsonl").read_bytes().splitlines()[0])
    assert trial["trial"] == f"{trial['cell']}/{trial['block']}/{trial['contender']}"
    assert trial["schema"] == 1
    assert trial["result"]["workload"] in ("replicate", "election")
    assert trial["cost"].keys() >= {"cpu_s", "peak_rss_bytes"}
    assert trial["machine"].keys() >= {"load_1m", "steal_share"}
    assert list(run.logs.iterdir()) == []


def test_a_run_killed_anywhere_in_its_file_resumes_without_loss_or_repetition(tmp_path):
    run = new_run(tmp_path, blocks=2)
    complete_quickly(run)
    path = run.path / "trials.jsonl"
    whole = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    cuts = [
        0,
        *ends,
        *(end - 1 for end in ends),
        *(end - 7 for end in ends),
        *(e + 1 for e in ends),
    ]
    for cut in sorted({cut for cut in cuts if cut <= len(whole)}):
        path.write_bytes(whole[:cut])
        kept = sum(end <= cut for end in ends)
        resumed = Run.open(run.path)
        assert [t.trial for t in resumed.trials] == [t.trial for t in run.trials[:kept]]
        assert resumed.torn == (cut not in [0, *ends])
        complete_quickly(resumed)
        final = Run.open(run.path)
        assert [t.trial for t in final.trials] == [t.trial for t in run.trials]
        assert final.torn == 0


def test_a_resumed_run_goes_on_with_the_same_schedule(tmp_path):
    run = new_run(tmp_path, blocks=3)
    order = [planned.id for planned in remaining(run)]
    for planned in remaining(run)[:5]:
        run.append(skipped_trial(planned, "made up"))
    assert [planned.id for planned in remaining(Run.open(run.path))] == order[5:]


def test_failed_trials_are_not_run_again(tmp_path):
    run = new_run(tmp_path, blocks=1)
    complete_quickly(run)
    assert {trial.status for trial in run.trials} == {"failed"}
    assert remaining(Run.open(run.path)) == []


@pytest.mark.parametrize("damage", [b"garbage\n", b"{}\n", b"\n", b'{"trial": 7}\n', b"\xff\n"])
def test_damage_within_the_file_is_refused_with_its_line(tmp_path, damage):
    run = new_run(tmp_path, blocks=1)
    complete_quickly(run)
    path = run.path / "trials.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for number in (1, len(lines)):
        path.write_bytes(b"".join([*lines[: number - 1], damage, *lines[number:]]))
        with pytest.raises(StoreError, match=rf"trials\.jsonl, line {number} is damaged"):
            Run.open(run.path)


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.update(leader_ns=e["crash_ns"]),
        lambda e: e.update(leader_ns=e["crash_ns"] - 10**9),
        lambda e: e.update(candidate_ns=e["leader_ns"]),
        lambda e: e.update(settled_ns=e["leader_ns"] - 1),
        lambda e: e.update(crash_ns=-1),
        lambda e: e.update(leader_ns=10**300),
        lambda e: e.update(leader_term=e["term"]),
        lambda e: e.update(leader=None),
    ],
)
def test_a_trial_whose_result_contradicts_itself_has_failed_and_costs_no_other(
    tmp_path, measured, change
):
    run, lines = Run.open(measured), (measured / "trials.jsonl").read_bytes().splitlines()
    raw = [msgspec.json.decode(line) for line in lines]
    number = next(n for n, trial in enumerate(raw) if trial["cell"] == "election-12-24")
    change(raw[number]["result"]["elections"][0])
    copy = tmp_path / "copy"
    shutil.copytree(measured, copy)
    (copy / "trials.jsonl").write_bytes(b"".join(msgspec.json.encode(t) + b"\n" for t in raw))
    again = Run.open(copy)
    failed = [trial for trial in again.trials if trial.status == "failed"]
    assert [trial.trial for trial in failed] == [raw[number]["trial"]]
    assert failed[0].failure is not None
    assert failed[0].failure.message.startswith("its result is none of election: ")
    cells = {cell.id: cell for cell in run.manifest.specification.cells}
    for trial in again.trials:
        assert bool(values(cells[trial.cell], trial)) == (trial.status == "ok")
    assert gather(again).failures != ()
    assert audit(copy).problems != []


def test_a_repeated_trial_is_refused(tmp_path):
    run = new_run(tmp_path, blocks=1)
    complete_quickly(run)
    path = run.path / "trials.jsonl"
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(StoreError, match="line 5 repeats"):
        Run.open(run.path)


def test_another_schema_is_refused(tmp_path):
    run = new_run(tmp_path)
    path = run.path / "run.json"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 9'))
    with pytest.raises(StoreError, match="schema 9"):
        Run.open(run.path)


def test_a_damaged_manifest_is_refused(tmp_path):
    run = new_run(tmp_path)
    (run.path / "run.json").write_text("{")
    with pytest.raises(StoreError, match=r"run\.json is damaged"):
        Run.open(run.path)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (["environment", "machine"], "a PC", "an environment: Expected `object`"),
        (["environment", "pyperf"], [1], "an environment: Expected `object`"),
        (["contenders", 0, "hello"], {"runtime": 7}, "hello of 'a': Expected `object`"),
        (["contenders", 0, "hello"], {"features": [[1]]}, "hello of 'a': Expected `str`"),
        (["specification", "cells", 0, "workload", "name"], [1], "cell .*: Expected `str`"),
        (["specification", "cells", 0, "workload", "outstanding"], "x", "cell .*: Expected `int`"),
        (["specification", "cells", 0, "cluster", "storage"], {}, "cell .*: Expected `str`"),
        (["specification", "cells", 0, "cluster"], {}, "cell .*: Object missing required field"),
    ],
)
def test_a_manifest_whose_parts_have_not_their_form_is_refused(tmp_path, place, value, said):
    run = new_run(tmp_path)
    path = run.path / "run.json"
    content = msgspec.json.decode(path.read_bytes())
    *way, last = place
    part = content
    for step in way:
        part = part[step]
    part[last] = value
    path.write_bytes(msgspec.json.encode(content))
    with pytest.raises(StoreError, match=rf"run\.json is damaged: {said}"):
        Run.open(run.path)


def test_a_directory_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(StoreError, match="is not a run"):
        Run.open(tmp_path)


def test_the_latest_run_is_linked(tmp_path):
    first = new_run(tmp_path)
    latest = tmp_path / "results" / "latest"
    assert latest.resolve() == first.path
    second = Run.create(
        tmp_path / "results", msgspec.structs.replace(first.manifest, run="another")
    )
    assert latest.resolve() == second.path
    assert Run.open(latest).manifest.run == "another"


def test_somebodys_own_latest_is_left_alone(tmp_path):
    (tmp_path / "results" / "latest").mkdir(parents=True)
    new_run(tmp_path)
    assert not (tmp_path / "results" / "latest").is_symlink()


def test_names_are_free(tmp_path):
    first = free_name(tmp_path, "quick")
    (tmp_path / first).mkdir()
    assert free_name(tmp_path, "quick") != first


def test_two_runs_that_are_begun_at_once_get_two_names(tmp_path):
    planned = manifest(["a"], [replicate_cell()])
    first, second, third = (Run.create(tmp_path, planned) for _ in range(3))
    assert len({run.path for run in (first, second, third)}) == 3
    for run in (first, second, third):
        assert Run.open(run.path).manifest.run == run.path.name
    assert not list(tmp_path.glob(".*"))


def test_a_run_is_measured_by_one_process_only(tmp_path):
    run = new_run(tmp_path)
    with run.lock(), pytest.raises(StoreError, match="another process"), run.lock():
        pass
    with run.lock():
        pass


def test_a_results_directory_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(StoreError, match="choose another --results"):
        new_run(tmp_path)


def test_a_full_disk_is_said_and_loses_nothing(tmp_path):
    run = new_run(tmp_path, blocks=2)
    program = """
import resource, sys
from pathlib import Path
from raftmark.bench.runs.store import Run, StoreError
from raftmark.bench.experiment.measure import remaining
from raftmark.bench.experiment.trial import skipped_trial
run = Run.open(Path(sys.argv[1]))
planned = remaining(run)
run.append(skipped_trial(planned[0], "kept"))
# No file may grow beyond a little more than this one: the system refuses, as a full disk does.
size = (run.path / "trials.jsonl").stat().st_size + 50
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
try:
    run.append(skipped_trial(planned[1], "too much"))
except StoreError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(run.path)], capture_output=True, text=True, check=True
    )
    assert "make room" in done.stdout
    assert "trials.jsonl" in done.stdout
    kept = Run.open(run.path)
    assert [trial.failure.message for trial in kept.trials] == ["kept"]
    assert kept.torn == 0
    assert os.path.getsize(run.path / "trials.jsonl") > 0
