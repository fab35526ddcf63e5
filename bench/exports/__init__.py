"""A run in the formats of other tools: `raftmark export`.

Each format is one module with a function from a run to files, by name; `FORMATS` is the table of
them. Every figure comes from `bench.analysis.metrics`, one for each trial that is ok, and a trial
that failed is in none; `docs/exports.md` says which tool reads what.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from raftmark.bench.exports.asv import asv
from raftmark.bench.exports.bencher import bencher
from raftmark.bench.exports.benchstat import benchstat
from raftmark.bench.exports.github_action import bigger_is_better, smaller_is_better
from raftmark.bench.exports.kept import kept
from raftmark.bench.exports.pyperf import pyperf
from raftmark.bench.exports.pytest_benchmark import pytest_benchmark
from raftmark.bench.exports.series import ExportError
from raftmark.bench.exports.tables import csv
from raftmark.bench.files import replace_file
from raftmark.bench.runs.store import Run

__all__ = ["FORMATS", "ExportError", "Files", "Format", "write_files"]

Files = dict[str, str]


class Format(NamedTuple):
    """What a run becomes: `files` returns texts by file name, a single one for one file."""

    files: Callable[[Run], Files]
    read_by: str


FORMATS = {
    "pyperf": Format(pyperf, "python -m pyperf show, compare_to, hist; a file per contender"),
    "pytest-benchmark": Format(pytest_benchmark, "pytest-benchmark compare"),
    "benchstat": Format(benchstat, "benchstat; Go's text form of benchmarks"),
    "customBiggerIsBetter": Format(bigger_is_better, "github-action-benchmark"),
    "customSmallerIsBetter": Format(smaller_is_better, "github-action-benchmark"),
    "bencher": Format(bencher, "bencher run --adapter json; Bencher Metric Format"),
    "asv": Format(asv, "asv show, compare, publish; a results directory"),
    "csv": Format(csv, "anything; figures.csv, values.csv and trials.csv"),
    "kept": Format(kept, "this project's reports, from docs/runs"),
}
"""The formats by the name that `--format` takes."""


def write_files(files: Files, output: Path) -> list[Path]:
    """Write the only file as `output`, or several into that directory; return their paths.

    Raises `ExportError` when one cannot be written; each is replaced whole.
    """
    single = len(files) == 1 and not output.is_dir()
    written = []
    for name, text in files.items():
        path = output if single else output / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, text)
        except OSError as error:
            raise ExportError(
                f"cannot write {path}: {error.strerror}; name another place with -o"
            ) from error
        written.append(path)
    return written
