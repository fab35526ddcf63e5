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
from raftmark.bench.runs.store import Run
from raftmark.commands.conforming import told

# Each runs a suite of its own, and one of them measures too.
pytestmark = pytest.mark.timeout(900)

RAFTMARK = str(Path(sys.executable).with_name("raftmark"))
Command = Callable[..., subprocess.CompletedProcess[str]]


def raftmark(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own: it runs a pytest of its own."""
    return subprocess.run(
        [RAFTMARK, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


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
    done = raftmark(
        *("bench", "--contenders-file", table, "--blocks", "1", "--no-twin"),
        *("--cells", "replicate-w1,replicate-w64,election-100-200"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    run = Run.open(tmp_path / "results" / "latest")
    assert [trial.status for trial in run.trials] == ["ok", "ok", "ok"]
    (entry,) = run.manifest.contenders
    assert entry.level == "replicates"
    assert "mine (replicates only)" in done.stdout
    page = (tmp_path / "results" / "latest" / "report.html").read_text(encoding="utf-8")
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
