"""A report is written whole or not at all, the same for the same run, in readable colours."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from raftmark.bench.runs.store import Run
from raftmark.report import pages
from raftmark.report.pages.build import write_report
from tests.report.example_runs import RUNS
from tests.report.synthetic_runs import write_run

STYLE = (Path(pages.__file__).with_name("static") / "report.css").read_text(encoding="utf-8")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.open(write_run(tmp_path / "run", **RUNS["small"]))


def test_the_same_run_gives_the_same_report(run: Run, tmp_path: Path) -> None:
    files = [tmp_path / "one.html", tmp_path / "two.html"]
    for file in files:
        write_report(run, file)
    first, second = (file.read_bytes() for file in files)
    assert first == second


def test_a_write_that_fails_leaves_the_report_of_before(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "report.html"
    file.write_text("the report of before")

    def full_disk(path: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_report(run, file)
    monkeypatch.undo()
    assert file.read_text() == "the report of before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "run"]
    write_report(run, file)
    assert file.read_text().startswith("<!doctype html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "run"]


def test_a_report_that_cannot_take_its_place_leaves_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_report(run, tmp_path / "taken")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "taken"]


def test_a_torn_last_line_is_left_out_and_said(
    tmp_path: Path, report_file: Callable[[str], Path]
) -> None:
    directory = write_run(tmp_path / "run", **RUNS["small"])
    with (directory / "trials.jsonl").open("a") as trials:
        trials.write('{"schema": 1, "trial": "replicate-w')
    write_report(Run.open(directory), tmp_path / "report.html")
    assert "1 torn last line was left out" in (tmp_path / "report.html").read_text()
    assert "torn" not in report_file("small").read_text()


def palette(*, dark: bool) -> dict[str, str]:
    """The colours of the screen's light or dark mode."""
    both = re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", STYLE)
    return {name: darker if dark else light for name, light, darker in both}


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio, as WCAG 2.2 defines it."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_computed_as_defined() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read(dark: bool) -> None:
    colours = palette(dark=dark)
    assert len(colours) == 10
    on = {"paper": ("ink", "muted", "link", "better", "worse"), "panel": ("ink",), "warn": ("ink",)}
    for ground, texts in on.items():
        for text in texts:
            assert contrast(colours[text], colours[ground]) >= 4.5, f"{text} on {ground}"
