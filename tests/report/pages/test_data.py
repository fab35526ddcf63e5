"""Data: the page hands out all that it was made of."""

from __future__ import annotations

import base64
import csv
import gzip
import io
from collections.abc import Callable

from raftmark.report.findings.analysis import Analysis
from raftmark.report.pages.sections import data


def contents(analysis: Analysis) -> dict[str, bytes]:
    """What can be downloaded, by name, unpacked."""
    found = {}
    for file in data.section(analysis).facts["files"]:
        content = base64.b64decode(file.uri.partition("base64,")[2])
        assert len(content) == file.size
        name = file.name.removesuffix(".gz")
        found[name] = content if name == file.name else gzip.decompress(content)
    return found


def test_what_a_run_keeps_besides_its_trials_is_there(examine: Callable[..., Analysis]) -> None:
    analysis = examine(bare=True, blocks=1)
    found = contents(analysis)
    assert list(found)[-2:] == ["primitives.jsonl", "races.json"]
    for name in ("run.json", "trials.jsonl", "primitives.jsonl", "races.json"):
        assert found[name] == (analysis.path / name).read_bytes()


def test_nothing_is_handed_out_that_is_not_there(examine: Callable[..., Analysis]) -> None:
    found = contents(examine(blocks=1))
    assert list(found) == ["figures.csv", "values.csv", "run.json", "trials.jsonl"]


def test_all_figures_are_there_whatever_else_the_page_shows(
    examine: Callable[..., Analysis],
) -> None:
    analysis = examine(blocks=2)
    header, *rows = csv.reader(io.StringIO(contents(analysis)["figures.csv"].decode()))
    figures = [dict(zip(header, row, strict=True)) for row in rows]
    measured = {
        (trial.cell, trial.contender, metric.key)
        for trial in analysis.evidence.measured
        for metric in trial.values
    }
    assert {(f["cell"], f["contender"], f["metric"]) for f in figures} == measured
    assert len(figures) == len(measured)
    assert {figure["blocks"] for figure in figures} == {"2"}


def test_what_the_page_has_no_room_for_is_left_with_the_run(
    examine: Callable[..., Analysis],
) -> None:
    analysis = examine(blocks=1)
    manifest = analysis.path / "run.json"
    manifest.write_bytes(manifest.read_bytes().ljust(2_000_000))
    files = {file.name: file for file in data.section(analysis).facts["files"]}
    assert files["run.json"].uri is None
    assert files["run.json"].size == 2_000_000
    assert files["trials.jsonl.gz"].uri is not None
