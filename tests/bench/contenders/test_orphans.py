"""What an earlier harness left running is ended, whatever it does meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from raftmark.bench.contenders import orphans as orphans_module
from raftmark.bench.contenders.orphans import end_orphans, environment, orphans

WAITS = [sys.executable, "-c", "import signal; print(flush=True); signal.pause()"]


def started(run: Path) -> subprocess.Popen[bytes]:
    """Start a process of a run, and return it when it waits."""
    process = subprocess.Popen(WAITS, stdout=subprocess.PIPE, env=environment(run))
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_what_belongs_to_a_run_is_ended_and_nothing_else(tmp_path: Path) -> None:
    with started(tmp_path / "run") as mine, started(tmp_path / "another") as another:
        assert [process.pid for process in orphans(tmp_path / "run")] == [mine.pid]
        assert end_orphans(tmp_path / "run") == []
        assert mine.poll() is not None
        assert another.poll() is None
        another.kill()


def test_one_that_ends_before_it_is_killed_is_no_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(tmp_path) as process:
        found = orphans(tmp_path)
        process.kill()
    looks = iter([found, []])
    monkeypatch.setattr(orphans_module, "orphans", lambda _: next(looks))
    assert end_orphans(tmp_path) == []
