"""A contender is begun, examined and measured as docs/adding-a-contender.md says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from raftmark.bench.contenders.conformance import LEVELS, Examination
from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.design.cells import Cell, election_cell, replicate_cell
from raftmark.bench.experiment.entries import describe
from raftmark.bench.runs.store import Run
from raftmark.commands.conforming import told
from tests.bench.support import LONG, manifest

# Each runs a suite of its own, and one of them measures too.
pytestmark = pytest.mark.timeout(900)

RAFTMARK = str(Path(sys.executable).with_name("raftmark"))
Command = Callable[..., subprocess.CompletedProcess[str]]


def raftmark(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own: it runs a pytest of its own."""
    return subprocess.run(
        [RAFTMARK, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def patient(cell: Cell) -> Cell:
    """Return the same, whose leader a busy machine does not cost its office."""
    cluster = {**cell.cluster, "election_timeout_ms": [1000, 2000]}
    return msgspec.structs.replace(cell, cluster=cluster, timeout_s=LONG)


def begun(language: str, cwd: Path) -> str:
    """Begin a contender called `mine`; return the path of its table."""
    if language == "other" and shutil.which("node") is None:
        pytest.skip("node is not here, which the contender in JavaScript runs on")
    done = raftmark("new-contender", "mine", "--language", language, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("language", ["python", "go"])
def test_a_contender_to_begin_with_passes_as_it_is(tmp_path: Path, language: str) -> None:
    reaches("elects", begun(language, tmp_path), tmp_path)


def reaches(level: str, table: str, cwd: Path) -> None:
    """Check that `mine` reaches a level, asked no further."""
    done = raftmark("conform", "mine", "--level", level, "--contenders-file", table, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"mine: {level}"
    assert "survives: not examined" in done.stdout


@pytest.mark.slow
def test_a_fault_is_found_and_remembered_until_it_is_mended(tmp_path: Path) -> None:
    table = begun("python", tmp_path)
    program = tmp_path / "mine" / "contender.py"
    whole = program.read_text()
    program.write_text(whole.replace('"learners": []', '"learners": None'))
    asked = ("conform", "mine", "--contenders-file", table)
    done = raftmark(*asked, cwd=tmp_path)
    assert done.returncode == 1
    assert "FAILED" in done.stdout
    assert done.stdout.splitlines()[-1] == "mine: does not reach the first level"
    assert "replicates: not examined" in done.stdout

    def remembered() -> str | None:
        listed = raftmark("contenders", "--json", "--contenders-file", table, cwd=tmp_path)
        (entry,) = msgspec.json.decode(listed.stdout)
        level: str | None = entry["level"]
        return level

    assert remembered() == "fails"
    program.write_text(whole)
    assert remembered() is None


@pytest.mark.slow
def test_a_contender_in_another_language_is_measured_and_shown_for_what_it_is(
    tmp_path: Path,
) -> None:
    table = begun("other", tmp_path)
    reaches("replicates", table, tmp_path)
    entry = describe(load_contenders(tmp_path / table)["mine"], print)
    assert entry.level == "replicates"
    loads = (replicate_cell(clients, warmup_s=0.1, duration_s=0.5) for clients in (1, 64))
    cells = [*map(patient, loads), election_cell((300, 600), elections=2, cap_s=60)]
    run = Run.create(tmp_path / "results", manifest([], cells, blocks=1, contenders=[entry]))
    done = raftmark("bench", "--resume", str(run.path), "--contenders-file", table, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = Run.open(run.path)
    assert [trial.failure for trial in run.trials] == [None, None, None]
    assert "mine (replicates only)" in done.stdout
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "mine (replicates only)" in page


def test_what_was_skipped_is_told() -> None:
    passed = dict.fromkeys(LEVELS, 2)
    found = Examination.of("mine", "complete", passed, {}, {"disk": 3, "read": 1})
    *_, skipped, conclusion = told(found)
    assert skipped == "not offered, so that tests were skipped: disk (3), read (1)"
    assert conclusion == "mine: survives"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("new-contender", "../mine"), 2, "cannot write ../mine: '../mine' is no name"),
        (("new-contender", "there"), 1, "cannot write there: File exists"),
        (("conform", "nobody"), 2, "no contender nobody; choose from threading, "),
        (("conform", "go", "--contenders-file", "gone.toml"), 2, "table gone.toml: No such file"),
        (("contenders", "--contenders-file", "gone.toml"), 2, "table gone.toml: No such file"),
    ],
)
def test_what_cannot_be_begun_or_examined_is_said_in_a_line(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], status: int, message: str
) -> None:
    (tmp_path / "there").mkdir()
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == status
    assert done.stdout == ""
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
