"""Runs that are kept in short tell a report of one run how far ratios move from run to run."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from raftmark.bench.analysis.metrics import THROUGHPUT
from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.exports import write_files
from raftmark.bench.exports.kept import DIRECTORY, Kept, in_short, kept, load
from raftmark.bench.runs.store import Run, StoreError
from raftmark.report.findings.analysis import Analysis, analyse
from raftmark.report.findings.answers import answers
from raftmark.report.findings.wording import moved, reach
from raftmark.report.pages.sections import verdict
from tests.report.synthetic_runs import REALISTIC, write_run

Measure = Callable[..., Run]


@pytest.fixture
def measure(tmp_path: Path) -> Measure:
    """Make up a run of a machine that is so busy, on which Go is so many times as fast as usual."""

    def measured(name: str, speed: float = 1.0, pressure: float = 0.1, **options: Any) -> Run:
        def pressed(trial: dict[str, Any]) -> bool:
            trial["machine"]["cpu_pressure"] = pressure
            return True

        go = REALISTIC["go"]
        go = replace(go, capacity=speed * go.capacity, latency_us=go.latency_us / speed)
        directory = write_run(
            tmp_path / name,
            {**REALISTIC, "go": go},
            seed=len(name),
            keep=pressed,
            **{"outstanding": (1, 64), "timeouts_ms": (), "blocks": 4, **options},
        )
        return Run.open(directory)

    return measured


def analysed(run: Run, *runs: Kept) -> Analysis:
    return analyse(run, load_contenders(), {}, kept=runs)


def drifts(analysis: Analysis) -> dict[str, float | None]:
    return {headline.key: headline.drift for headline in analysis.headlines}


def test_kept_runs_tell_how_far_ratios_move(measure: Measure) -> None:
    others = [in_short(measure(f"run{'-' * n}", speed)) for n, speed in enumerate((0.7, 1.3, 1.4))]
    analysis = analysed(measure("own"), *others)
    moved = drifts(analysis)
    still = drifts(analysed(measure("own-too"), *[in_short(measure(f"{n}")) for n in range(3)]))
    assert moved["throughput"] is not None
    assert still["throughput"] is not None
    assert moved["throughput"] > 1.3 > still["throughput"]
    said = [s.text for s in answers(analysis) if s.text.startswith("From run to run")]
    (sentence,) = said
    # The one that moves most stands for all; the table of figures has each.
    most = max(drift for drift in (moved["alone"], moved["throughput"]) if drift is not None)
    assert f"moves by {reach(most)} where it moves most, by four runs" in sentence
    assert sentence.endswith(
        "by four runs of a machine like this, when it was quiet, within one hour."
    )
    assert verdict.section(analysis).facts["grouped_by"] == "run"
    # The intervals stay those of the one run.
    alone = analysed(measure("own-again"))
    assert drifts(alone)["throughput"] is None
    assert not any(s.text.startswith("From run to run") for s in answers(alone))
    assert verdict.section(alone).facts["grouped_by"] is None


def changed(each: Kept, **changes: Any) -> Kept:
    return msgspec.structs.replace(each, **changes)


@pytest.mark.parametrize(
    "change",
    [
        {"pressure": 0.9},
        {"pressure": None},
        {"machine": "another processor, 2 processors"},
        {"counting": 99},
        {"run": "own"},
        {"contenders": dict.fromkeys(REALISTIC, "Another runtime 1.0")},
    ],
)
def test_what_is_unlike_tells_nothing(measure: Measure, change: dict[str, Any]) -> None:
    others = [changed(in_short(measure(f"run-{n}")), **change) for n in range(3)]
    assert drifts(analysed(measure("own"), *others))["throughput"] is None


def test_quiet_runs_tell_nothing_of_a_busy_one(measure: Measure) -> None:
    others = [in_short(measure(f"run-{n}")) for n in range(3)]
    assert drifts(analysed(measure("own", pressure=0.9), *others))["throughput"] is None


def test_one_contender_on_another_runtime_leaves_the_others(measure: Measure) -> None:
    own = measure("own")
    others = [in_short(measure(f"run-{n}")) for n in range(3)]
    others = [changed(o, contenders={**o.contenders, "go": "Go 1.0"}) for o in others]
    told = analysed(own, *others).kept
    assert len(told) == 3
    assert all("go" not in each.contenders and len(each.contenders) == 3 for each in told)


def test_for_how_long_a_run_measured_makes_no_difference(measure: Measure) -> None:
    other = in_short(measure("other"))
    longer = {
        name: changed(cell, workload={**cell.workload, "duration_s": 9, "warmup_s": 3})
        for name, cell in other.cells.items()
    }
    elsewhere = {
        name: changed(cell, cluster={**cell.cluster, "nodes": 5})
        for name, cell in other.cells.items()
    }
    run = measure("own")
    assert len(analysed(run, changed(other, cells=longer)).kept) == 1
    assert not analysed(run, changed(other, cells=elsewhere)).kept


def test_what_is_kept_is_read_again(measure: Measure, tmp_path: Path) -> None:
    run = measure("own", twin="go")
    directory = tmp_path / "kept"
    directory.mkdir()
    (file,) = write_files(kept(run), directory)
    assert file == directory / "own.json"
    assert load(directory) == [in_short(run)]
    assert set(in_short(run).contenders) == set(REALISTIC), "its twin is another one in another run"
    samples = load(directory)[0].samples(run.manifest.specification.cells[0], THROUGHPUT)
    assert {name: len(found) for name, found in samples.items()} == dict.fromkeys(REALISTIC, 4)
    file.write_text(json.dumps({"run": "x"}), encoding="utf-8")
    with pytest.raises(StoreError, match=r"own.json is no kept run .*: restore or delete it"):
        load(directory)
    assert load(tmp_path / "nowhere") == []


def test_the_runs_that_the_project_keeps_can_be_read_and_were_of_a_quiet_machine() -> None:
    found = load()
    assert len(found) == len(list(DIRECTORY.glob("*.json"))) > 0
    assert all(each.quiet for each in found)
    assert all({"threading", "asyncio", "multiprocessing", "go"} <= {*k.contenders} for k in found)


def test_no_movement_that_was_found_is_not_told_as_none() -> None:
    assert moved(1.06) == "by \N{MULTIPLICATION SIGN}0.94 to 1.06"
    assert moved(1.0) == "no further than within one"


def test_the_page_of_runs_has_what_is_kept() -> None:
    found = importlib.util.spec_from_file_location("runs", DIRECTORY.with_suffix(".py"))
    assert found is not None
    assert found.loader is not None
    runs = importlib.util.module_from_spec(found)
    found.loader.exec_module(runs)
    table = runs.made(load())
    page = DIRECTORY.with_suffix(".md").read_text(encoding="utf-8")
    assert table in page, "docs/runs has other runs than docs/runs.md: python docs/runs.py"
    assert all(f", {run.started_at[11:16]} |" in table for run in load() if run.quiet)
