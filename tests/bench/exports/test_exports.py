"""Every exported file, read back by the tool that it is for.

github-action-benchmark and Bencher are in no package registry. Their files are held against the
definitions that those projects publish, written here as JSON Schemas.
"""

import csv
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyperf
import pytest
from jsonschema import Draft202012Validator

from raftmark.bench.contenders.places import ROOT
from raftmark.bench.exports import FORMATS, ExportError, write_files
from raftmark.bench.exports.benchstat import benchmark_name
from raftmark.bench.exports.series import all_series, revision, timed
from raftmark.bench.runs.store import Run
from tests.bench.repositories import git
from tests.report.synthetic_runs import REALISTIC, Behaviour, write_run

BLOCKS = 8
BIN = Path(sys.executable).parent
CONTENDERS: Mapping[str, Behaviour] = {
    "threading": REALISTIC["threading"],
    "go": REALISTIC["go"],
    # A name that benchstat would take for GOMAXPROCS, and characters that forms of contenders have.
    "node-8": Behaviour(),
    "asyncio@3.13t+uvloop": REALISTIC["asyncio"],
    "go~": REALISTIC["go"],
    "broken": Behaviour(failure=("run", "died of signal 9")),
    "absent": Behaviour(unavailable="cannot be built"),
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> tuple[Path, list[str]]:
    """A git repository and its two commits, the earlier first."""
    path = tmp_path_factory.mktemp("repository")
    git("init", "--quiet", cwd=path)
    for message in ("before", "after"):
        git("commit", "--quiet", "--allow-empty", "-m", message, cwd=path)
    return path, git("log", "--reverse", "--format=%H", cwd=path).split()


@pytest.fixture(scope="module")
def measured(tmp_path_factory, repository) -> list[Run]:
    """Runs of both commits."""
    directory, (_, commits) = tmp_path_factory.mktemp("runs"), repository
    return [
        Run.open(
            write_run(
                directory / f"run-{number}",
                CONTENDERS,
                blocks=BLOCKS,
                outstanding=(64,),
                timeouts_ms=[(12, 24)],
                seed=number,
                environment={
                    "machine": {"cpus": 2, "memory_bytes": 2**32},
                    "kernel": {"system": "Linux", "release": "6.1", "architecture": "x86_64"},
                    "pyperf": {"cpu_model_name": "Synthetic CPU", "cpu_count": 2},
                    "revision": {"commit": commit, "dirty": False},
                },
            )
        )
        for number, commit in enumerate(commits)
    ]


@pytest.fixture(scope="module")
def run(measured) -> Run:
    return measured[0]


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory) -> Callable[[str], Path]:
    """The directory of a format's files."""
    directory = tmp_path_factory.mktemp("exported")

    def exported(name: str) -> Path:
        path = directory / name
        if not path.exists():
            path.mkdir()
            write_files(FORMATS[name].files(run), path)
        return path

    return exported


def said(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a tool that has to succeed, and return what it said."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == "", done.stderr
    return done.stdout


def seconds_of(run: Run, cell: str, key: str, contender: str) -> list[float]:
    """What the metrics say, in seconds."""
    (found,) = [
        found.seconds
        for series in all_series(run)
        if (series.cell.id, series.contender.name) == (cell, contender)
        and (found := timed(series)) is not None
        and found.key == key
    ]
    assert len(found) == BLOCKS
    return found


# pyperf


def test_pyperf_has_one_value_a_process(run, exported):
    suite = pyperf.BenchmarkSuite.load(str(exported("pyperf") / "go.json"))
    benchmark = suite.get_benchmark("replicate-w64/seconds_per_command")
    assert benchmark.get_unit() == "second"
    assert [run.values for run in benchmark.get_runs()] == [
        (value,) for value in seconds_of(run, "replicate-w64", "seconds_per_command", "go")
    ]
    metadata = benchmark.get_metadata()
    assert metadata["runtime"] == "Go 1.27.3"
    assert metadata["cpu_model_name"] == "Synthetic CPU"
    assert suite.get_benchmark("replicate-w64/peak_memory").get_unit() == "byte"
    files = {path.stem for path in exported("pyperf").iterdir()}
    assert files == set(CONTENDERS) - {"broken", "absent"}


@pytest.mark.parametrize("command", ["show", "hist", "stats", "check", "metadata"])
def test_pyperf_reads_it(exported, command):
    out = subprocess.run(
        [sys.executable, "-m", "pyperf", command, "go.json"],
        cwd=exported("pyperf"),
        capture_output=True,
        text=True,
        check=False,
    )
    # Its check of stability has an opinion on these samples, and a status of its own for it.
    assert out.returncode == 0 or command == "check", out.stderr
    assert "Traceback" not in out.stderr
    assert "replicate-w64/seconds_per_command" in out.stdout


def test_pyperf_calls_what_takes_longer_slower(exported):
    command = [sys.executable, "-m", "pyperf", "compare_to", "go.json", "threading.json"]
    lines = said(*command, cwd=exported("pyperf")).splitlines()
    (line,) = [line for line in lines if line.startswith("replicate-w64/seconds_per_command: ")]
    assert line.endswith("x slower")


# pytest-benchmark


def test_pytest_benchmark_replays_the_samples_exactly(run, exported):
    written = json.loads((exported("pytest-benchmark") / "pytest-benchmark.json").read_bytes())
    by_name = {benchmark["name"]: benchmark for benchmark in written["benchmarks"]}
    found = by_name["replicate-w64/seconds_per_command/go"]
    samples = seconds_of(run, "replicate-w64", "seconds_per_command", "go")
    assert found["stats"]["data"] == samples
    assert found["stats"]["median"] == statistics.median(samples)
    assert found["stats"]["rounds"] == BLOCKS
    assert found["group"] == "replicate-w64/seconds_per_command"
    assert found["extra_info"]["runtime"] == "Go 1.27.3"
    assert written["commit_info"]["id"] == run.manifest.environment["revision"]["commit"]
    assert written["machine_info"]["cpu"] == {"brand_raw": "Synthetic CPU"}


def test_pytest_benchmark_compares_it(exported):
    command = [BIN / "pytest-benchmark", "compare", "pytest-benchmark.json", "--sort=name"]
    out = said(*command, cwd=exported("pytest-benchmark"))
    assert "benchmark 'replicate-w64/seconds_per_command'" in out
    assert "replicate-w64/seconds_per_command/asyncio@3.13t+uvloop" in out


# benchstat


@pytest.fixture(scope="session")
def benchstat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tool itself: Go says what it downloads for it, and this test hears every complaint."""
    tool = tmp_path_factory.mktemp("tools") / "benchstat"
    command = [BIN / "go", "build", "-o", tool, "golang.org/x/perf/cmd/benchstat"]
    env = os.environ | {"GOTOOLCHAIN": "local"}
    subprocess.run(command, cwd=ROOT / "go_reference", env=env, check=True)
    return tool


@pytest.mark.slow
def test_benchstat_sets_contenders_side_by_side(run, exported, benchstat):
    path = exported("benchstat") / "benchstat.txt"
    options = ["-format", "csv", "-col", "/impl"]
    out = said(benchstat, *options, "-filter", ".unit:ns/op", path, cwd=ROOT)
    rows = list(csv.reader(out.splitlines()))
    (heading,) = [row for row in rows if "go~" in row]
    contenders = [name for name in heading if name]
    assert contenders == [name for name in CONTENDERS if name not in ("broken", "absent")]
    cell = run.manifest.specification.cells[0]
    (row,) = [row for row in rows if row and "cell=replicate-w64" in row[0]]
    # The name without what is in the columns, so without a suffix taken for GOMAXPROCS.
    name = benchmark_name(cell, "x").removeprefix("Benchmark").replace("/impl=x", "")
    assert row[0] == name
    for contender in contenders:
        median = float(row[heading.index(contender)])
        wanted = seconds_of(run, "replicate-w64", "seconds_per_command", contender)
        assert median == pytest.approx(statistics.median(wanted), rel=1e-5)
    assert "p=0.000 n=8" in out
    # And everything at once, without a complaint; more throughput is better.
    assert "commands/s" in said(benchstat, path, cwd=ROOT)
    assert "Unit commands/s better=higher" in path.read_text()


def test_no_name_for_benchstat_ends_as_if_in_gomaxprocs(exported):
    lines = (exported("benchstat") / "benchstat.txt").read_text().splitlines()
    names = [line.split()[0] for line in lines if line.startswith("Benchmark")]
    assert len(names) == BLOCKS * 2 * 5
    assert any("impl=node-8" in name for name in names)
    assert not any(name.rpartition("-")[2].isdigit() for name in names)


# asv


def test_asv_shows_compares_and_publishes_two_runs(measured, repository, tmp_path):
    path, commits = repository
    for run in measured:
        write_files(FORMATS["asv"].files(run), tmp_path)
    configuration = json.loads((tmp_path / "asv.conf.json").read_bytes())
    assert Path(configuration["repo"]).is_dir()
    configuration["repo"] = str(path)
    (tmp_path / "asv.conf.json").write_text(json.dumps(configuration))
    env = {"HOME": str(tmp_path)}
    asv = [sys.executable, "-m", "asv"]

    shown = said(*asv, "show", commits[1], cwd=tmp_path, env=env)
    assert "replicate_w64.seconds_per_command" in shown
    assert "asyncio@3.13t+uvloop" in shown

    compared = said(*asv, "compare", *commits, cwd=tmp_path, env=env)
    (line,) = [line for line in compared.splitlines() if "w64.seconds_per_command('go')" in line]
    medians = [
        statistics.median(seconds_of(run, "replicate-w64", "seconds_per_command", "go"))
        for run in measured
    ]
    ratio = next(float(part.strip(" ~")) for part in line.split("|")[4:5])
    assert ratio == pytest.approx(medians[1] / medians[0], abs=0.01)

    subprocess.run(
        [*asv, "publish"], cwd=tmp_path, env={**os.environ, **env}, check=True, capture_output=True
    )
    graphs = list((tmp_path / "html" / "graphs").rglob("replicate_w64.seconds_per_command.json"))
    assert graphs
    index = json.loads((tmp_path / "html" / "index.json").read_bytes())
    assert "replicate_w64.seconds_per_command" in index["benchmarks"]


def test_asv_needs_a_commit(tmp_path):
    run = Run.open(write_run(tmp_path / "run", blocks=1))
    with pytest.raises(ExportError, match="outside of git"):
        FORMATS["asv"].files(run)


# github-action-benchmark: the array that its `extractCustomBenchmarkResult` reads

CUSTOM = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["name", "unit", "value"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "unit": {"type": "string", "minLength": 1},
            "value": {"type": "number"},
            "range": {"type": "string", "pattern": "^± [0-9.e+-]+$"},
            "extra": {"type": "string"},
        },
    },
}

# Bencher Metric Format, and the longest names that Bencher takes

BMF = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"maxLength": 1024},
    "additionalProperties": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"maxLength": 64, "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"},
        "additionalProperties": {
            "type": "object",
            "required": ["value"],
            "additionalProperties": False,
            "properties": {
                "value": {"type": "number"},
                "lower_value": {"type": "number"},
                "upper_value": {"type": "number"},
            },
        },
    },
}


def read_by_schema(schema: Mapping[str, Any], file: Path) -> Any:
    content = json.loads(file.read_bytes())
    Draft202012Validator(schema).validate(content)
    return content


@pytest.mark.parametrize("name", ["customBiggerIsBetter", "customSmallerIsBetter"])
def test_github_action_benchmarks_form(run, exported, tmp_path, name):
    entries = read_by_schema(CUSTOM, exported(name) / f"{name}.json")
    by_name = {entry["name"]: entry for entry in entries}
    assert len(by_name) == len(entries)
    assert ("replicate-w64/go/throughput" in by_name) == (name == "customBiggerIsBetter")
    assert ("replicate-w64/go/latency_p99" in by_name) == (name == "customSmallerIsBetter")
    if name == "customBiggerIsBetter":
        seconds = seconds_of(run, "replicate-w64", "seconds_per_command", "go")
        value = by_name["replicate-w64/go/throughput"]["value"]
        assert value == pytest.approx(statistics.median(1 / s for s in seconds))


def test_bencher_metric_format(run, exported, tmp_path):
    benchmarks = read_by_schema(BMF, exported("bencher") / "bencher.json")
    throughput = benchmarks["replicate-w64/go"]["throughput"]
    assert throughput["lower_value"] <= throughput["value"] <= throughput["upper_value"]
    assert "broken" not in str(benchmarks)


# CSV


def test_the_tables_have_a_row_for_each_trial_and_figure(run, exported):
    trials = list(csv.DictReader((exported("csv") / "trials.csv").open(newline="")))
    assert [row["trial"] for row in trials] == [trial.trial for trial in run.trials]
    failed = [row for row in trials if row["status"] == "failed"]
    assert {row["contender"] for row in failed} == {"broken"}
    assert {row["message"] for row in failed} == {"died of signal 9"}
    rows = list(csv.DictReader((exported("csv") / "values.csv").open(newline="")))
    values = [
        1 / float(row["value"])
        for row in rows
        if (row["cell"], row["metric"], row["contender"]) == ("replicate-w64", "throughput", "go")
    ]
    assert values == seconds_of(run, "replicate-w64", "seconds_per_command", "go")
    assert len(rows) == sum(len(series.values) for series in all_series(run))


def test_a_figure_has_its_unit_its_interval_and_its_ratio(run, exported):
    rows = list(csv.DictReader((exported("csv") / "figures.csv").open(newline="")))
    (found,) = (
        row
        for row in rows
        if (row["cell"], row["metric"], row["contender"])
        == ("replicate-w64", "throughput", "threading")
    )
    rates = {
        name: [1 / s for s in seconds_of(run, "replicate-w64", "seconds_per_command", name)]
        for name in ("threading", "go")
    }
    assert float(found["median"]) == pytest.approx(statistics.median(rates["threading"]))
    ratio = statistics.median(a / b for a, b in zip(rates["threading"], rates["go"], strict=True))
    assert (found["reference"], found["unit"]) == ("go", "commands/s")
    assert float(found["ratio"]) == pytest.approx(ratio, rel=0.01)
    assert float(found["ratio_low_95"]) <= ratio <= float(found["ratio_high_95"])


# All of them


@pytest.mark.parametrize("name", FORMATS)
def test_one_block_is_enough_for_every_format(tmp_path, name, repository):
    run = Run.open(
        write_run(
            tmp_path / "run",
            {"go": Behaviour(), "asyncio": Behaviour()},
            blocks=1,
            outstanding=(1,),
            timeouts_ms=[(12, 24)],
            environment={"revision": {"commit": repository[1][0]}},
        )
    )
    for file, text in FORMATS[name].files(run).items():
        assert "NaN" not in text, file


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"revision": {"commit": "1" * 40, "dirty": True}}, "with changes to 1111111111: commit"),
        ({"revision": {"commit": "1" * 40}, "project": None}, "outside of git"),
    ],
)
def test_asv_takes_no_commit_for_what_it_is_not(tmp_path, environment, said):
    run = Run.open(write_run(tmp_path / "run", {"go": Behaviour()}, environment=environment))
    with pytest.raises(ExportError, match=said):
        FORMATS["asv"].files(run)


def test_the_commit_of_a_run_is_that_of_what_was_measured(tmp_path):
    environment = {
        "revision": {"commit": "1" * 40, "dirty": False},
        "project": {"commit": "2" * 40, "dirty": True},
    }
    run = Run.open(write_run(tmp_path / "run", {"go": Behaviour()}, environment=environment))
    assert revision(run)["commit"] == "2" * 40
    for text in FORMATS["pyperf"].files(run).values():
        assert f"{'2' * 40} with changes" in text


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "csv"])
def test_a_run_without_a_figure_cannot_be_exported(tmp_path, name):
    run = Run.open(
        write_run(
            tmp_path / "run",
            {"go": Behaviour(failure=("run", "hung"))},
            blocks=1,
            environment={"revision": {"commit": "0" * 40}},
        )
    )
    with pytest.raises(ExportError, match="no trial that is ok"):
        FORMATS[name].files(run)


def test_a_format_nobody_knows(run, tmp_path, command):
    done = command("export", str(run.path), "--format", "xml", cwd=tmp_path)
    assert done.returncode == 2
    assert "choose from pyperf, pytest-benchmark" in done.stderr


def test_the_command_writes_beside_the_run_or_where_it_is_asked_to(run, tmp_path, command):
    done = command("export", str(run.path), "--format", "csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    directory = run.path / "exports" / "csv"
    assert done.stdout.split() == [
        str(directory / f"{n}.csv") for n in ("figures", "values", "trials")
    ]
    failed = BLOCKS * len(run.manifest.specification.cells)
    assert done.stderr == f"{failed} of {len(run.trials)} trials failed and are in no figure\n"

    options = ["--format", "benchstat", "-o", "go.txt"]
    done = command("export", str(run.path), *options, cwd=tmp_path)
    assert done.stdout == "go.txt\n", done.stderr
    assert "BenchmarkReplicate" in (tmp_path / "go.txt").read_text()


def test_what_cannot_be_written_is_said(run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match=r"cannot write .*name another place with -o"):
        write_files(FORMATS["csv"].files(run), tmp_path / "file" / "inside")
