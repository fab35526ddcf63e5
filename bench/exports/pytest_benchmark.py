"""pytest-benchmark's JSON, written by the plugin itself: our samples, replayed.

The plugin runs a test per series whose rounds take exactly as long as our trials' seconds, by a
clock that only we advance (`raftmark.bench.exports.replay`). So the file is whatever the installed
version of the plugin writes, with its own statistics.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from raftmark.bench.contenders.places import how_to_install
from raftmark.bench.exports.series import (
    ExportError,
    all_series,
    environment_text,
    named,
    revision,
    runtime,
    timed,
)
from raftmark.bench.runs.store import Run


class Replayed(msgspec.Struct):
    """One series to replay: the test's name and group, its seconds, and what is told of it."""

    name: str
    group: str
    seconds: list[float]
    extra: dict[str, object]


class Recording(msgspec.Struct):
    """All that is replayed, and on what machine and revision it was measured."""

    series: list[Replayed]
    machine: dict[str, object]
    commit: dict[str, object]


def pytest_benchmark(run: Run) -> dict[str, str]:
    """Return the plugin's JSON. Raises `ExportError` where it is not installed or fails."""
    if importlib.util.find_spec("pytest_benchmark") is None:
        raise ExportError(
            f"this format is written by pytest-benchmark; {how_to_install('exports')} installs it"
        )
    with tempfile.TemporaryDirectory() as directory:
        recording, written = Path(directory, "recording.json"), Path(directory, "written.json")
        recording.write_bytes(msgspec.json.encode(_record(run)))
        _replay(recording, written)
        return {"pytest-benchmark.json": written.read_text(encoding="utf-8")}


def _record(run: Run) -> Recording:
    found = [found for series in all_series(run) if (found := timed(series)) is not None]
    return Recording(
        series=[
            Replayed(
                name=named(series.cell.id, key, series.contender.name),
                group=named(series.cell.id, key),
                seconds=seconds,
                extra={
                    "raftmark_run": run.manifest.run,
                    "contender": series.contender.name,
                    "label": series.contender.label_on_disk,
                    "runtime": runtime(series.contender),
                    "blocks": [trial.block for trial in series.trials],
                },
            )
            for series, key, seconds in found
        ],
        machine={
            "system": environment_text(run, "kernel", "system"),
            "release": environment_text(run, "kernel", "release"),
            "machine": environment_text(run, "kernel", "architecture"),
            "cpu": {"brand_raw": environment_text(run, "pyperf", "cpu_model_name")},
        },
        commit={
            "id": revision(run).get("commit"),
            "time": run.manifest.started_at,
            "dirty": revision(run).get("dirty", False),
            "project": "raftmark",
            "branch": None,
        },
    )


def _replay(recording: Path, written: Path) -> None:
    replay = Path(__file__).with_name("replay.py")
    options = [
        *("-q", "-c", os.devnull, "--rootdir", str(written.parent), "--noconftest"),
        *("-p", "no:cacheprovider", "-p", "pytest_benchmark.plugin"),
        *("-p", "raftmark.bench.exports.replay"),
        *("--assert=plain", "--benchmark-timer=raftmark.bench.exports.replay.now"),
        f"--benchmark-json={written}",
    ]
    # Other plugins, and options of the surroundings, must not have a say.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(replay)],
        cwd=written.parent,
        env={**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "RAFTMARK_RECORDING": str(recording)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="backslashreplace",
        check=False,
    )
    if done.returncode != 0 or not written.exists():
        raise ExportError(f"pytest-benchmark failed to replay the run:\n{done.stdout.strip()}")
