"""Reports of made-up runs, each analysed and written once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.runs.store import Run
from raftmark.report.findings.analysis import Analysis, analyse
from raftmark.report.findings.sourcecode import measure_code
from raftmark.report.model import Code
from raftmark.report.pages.build import render

from .example_runs import RUNS
from .page_reader import Page, read_page
from .synthetic_runs import write_run


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser to look at reports with."""
    executable = shutil.which("chromium")
    if executable is None:
        if os.environ.get("RAFTMARK_NO_BROWSER") == "1":
            pytest.skip("RAFTMARK_NO_BROWSER=1")
        pytest.fail(
            "there is no chromium to look at the report with: install the apt package chromium, "
            "or set RAFTMARK_NO_BROWSER=1 to go without these tests"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def code() -> Mapping[str, Code | str]:
    """The contenders' code, measured once."""
    return measure_code(load_contenders())


@pytest.fixture
def examine(tmp_path: Path, code: Mapping[str, Code | str]) -> Callable[..., Analysis]:
    """Analyse a run made with the keywords of `write_run`."""
    specs = load_contenders()

    def examine(**options: Any) -> Analysis:
        run = Run.open(write_run(tmp_path / "run", **options))
        return analyse(run, specs, code)

    return examine


@pytest.fixture(scope="session")
def report_file(
    tmp_path_factory: pytest.TempPathFactory, code: Mapping[str, Code | str]
) -> Callable[[str], Path]:
    """The file of the report on one of `RUNS`, by its name."""
    specs = load_contenders()

    @cache
    def written(name: str) -> Path:
        directory = write_run(tmp_path_factory.mktemp("reports") / name, **RUNS[name])
        file = directory / "report.html"
        file.write_text(render(analyse(Run.open(directory), specs, code)), encoding="utf-8")
        return file

    return written


@pytest.fixture(scope="session")
def read_report(report_file: Callable[[str], Path]) -> Callable[[str], Page]:
    """The same, read into its elements."""
    return cache(lambda name: read_page(report_file(name).read_text(encoding="utf-8")))
