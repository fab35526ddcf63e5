"""Reports of made-up runs, each analysed and written once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from page_reader import Page, read_page
from synthetic_runs import LABELS, REALISTIC, Behaviour, write_run

from bench.registry import ROOT, load_contenders
from bench.store import Run
from report.analysis import analyse, measure_code
from report.build import write_report
from report.model import Analysis

HOSTILE = """<script>alert("x")</script><img src=x onerror='alert(1)'>&amp;{{ 7 * 7 }}"""

FAILING = {
    **REALISTIC,
    "asyncio": Behaviour(failure=("check", "two leaders in term 3"), stderr="Traceback: a log"),
}
ABSENT = {**REALISTIC, "go": Behaviour(unavailable="no Go toolchain was found")}
ATTACKED = {
    **REALISTIC,
    "threading": Behaviour(failure=("run", HOSTILE), stderr=HOSTILE),
    "multiprocessing": Behaviour(unavailable=HOSTILE),
}

# What a page can look like, by name; the keywords are those of `write_run`.
RUNS: Mapping[str, Mapping[str, Any]] = {
    "complete": {"behaviours": REALISTIC},
    "failing": {"behaviours": FAILING},
    "absent": {"behaviours": ABSENT},
    "partial": {"keep": lambda trial: trial["block"] == 0 and trial["order"] < 3, "blocks": 3},
    "small": {"blocks": 1, "elections": 1, "outstanding": (64,), "timeouts_ms": ((150, 300),)},
    "empty": {"keep": lambda trial: False},
    "attacked": {
        "behaviours": ATTACKED,
        "labels": {**LABELS, "asyncio": HOSTILE},
        "environment": {"machine": {HOSTILE: HOSTILE}, HOSTILE: HOSTILE},
    },
}

Examine = Callable[..., Analysis]


@pytest.fixture
def examine(tmp_path: Path) -> Examine:
    """Analyse a run made with the keywords of `write_run`."""
    specs = load_contenders()

    def examine(**options: Any) -> Analysis:
        run = Run.open(write_run(tmp_path / "run", **options))
        return analyse(run, specs, measure_code(specs, ROOT))

    return examine


@pytest.fixture(scope="session")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The file of the report on one of `RUNS`, by its name."""

    @cache
    def written(name: str) -> Path:
        directory = write_run(tmp_path_factory.mktemp("reports") / name, **RUNS[name])
        file = directory / "report.html"
        write_report(Run.open(directory), file)
        return file

    return written


@pytest.fixture(scope="session")
def read_report(report_file: Callable[[str], Path]) -> Callable[[str], Page]:
    """The same, read into its elements."""
    return cache(lambda name: read_page(report_file(name).read_text(encoding="utf-8")))
