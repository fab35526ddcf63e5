"""The plan of the house is kept: a linter holds each arrow, and turns red at one that is wrong."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("bench", "impl_asyncio", "impl_multiprocessing", "impl_threading", "raft", "report")
BIN = Path(sys.executable).parent

# A line at the end of a file, and what the linter says is broken by it.
ARROWS = {
    "the harness imports the report": (
        "bench/runs/store.py",
        "import raftmark.report.model",
        "The command line is above the report, the report above the harness",
    ),
    "the report imports the command line": (
        "report/model.py",
        "import raftmark.cli",
        "The command line is above the report, the report above the harness",
    ),
    "one model imports another": (
        "impl_asyncio/timer.py",
        "import raftmark.impl_threading.timer",
        "The command line is above the report, the report above the harness",
    ),
    "the harness imports the algorithm": (
        "bench/experiment/check.py",
        "import raftmark.raft.log",
        "The harness and the report know contenders by the protocol alone",
    ),
    "the algorithm imports a workload": (
        "raft/cluster.py",
        "import raftmark.raft.workload.closed_loop",
        "The algorithm is below the workloads, both are below the protocol's host",
    ),
    "the algorithm reads a clock": (
        "raft/node.py",
        "import time",
        "The algorithm does no input or output, reads no clock, starts nothing",
    ),
    "what is kept imports who measures": (
        "bench/runs/audit.py",
        "import raftmark.bench.experiment.trial",
        "The wings of the harness follow the data",
    ),
    "measuring imports its analysis": (
        "bench/experiment/trial.py",
        "import raftmark.bench.analysis.metrics",
        "The wings of the harness follow the data",
    ),
    "the harness draws in a terminal": (
        "bench/planning/pilot.py",
        "import rich.table",
        "Only the command line draws in a terminal",
    ),
    "the report's model imports its maker": (
        "report/model.py",
        "import raftmark.report.findings.evidence",
        "A report goes one way: what was found, how it is drawn, the pages",
    ),
    "a stage imports a later one": (
        "report/findings/evidence.py",
        "import raftmark.report.findings.estimates",
        "Each stage of what was found is made of those before it",
    ),
    "a section imports another": (
        "report/pages/sections/scaling.py",
        "import raftmark.report.pages.sections.frontier",
        "The sections of a page know nothing of each other",
    ),
    "two modules import each other for their types alone": (
        "raft/messages.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import raftmark.raft.log",
        "No circles",
    ),
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and of its rules."""
    copy = tmp_path_factory.mktemp("house")
    for room in (*ROOMS, "raftmark"):
        ignored = shutil.ignore_patterns("__pycache__", "static", "templates")
        shutil.copytree(ROOT / room, copy / room, symlinks=True, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def broken_in(house: Path) -> list[str]:
    """The names of the rules that the linter finds broken."""
    done = subprocess.run(
        [BIN / "lint-imports", "--no-cache"],
        cwd=house,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout
    assert "Contracts:" in said, said + done.stderr
    broken = re.findall(r"^(.+) BROKEN\b", said, re.MULTILINE)
    assert (done.returncode == 0) == (not broken), said
    return broken


def test_the_rooms_are_all_looked_into(house: Path) -> None:
    assert broken_in(house) == []
    for room in ROOMS:
        # A link that were not followed would leave a room without any rule.
        assert (ROOT / "raftmark" / room).resolve() == ROOT / room


@pytest.mark.parametrize("arrow", ARROWS)
def test_a_wrong_arrow_turns_the_linter_red(house: Path, arrow: str) -> None:
    file, line, rule = ARROWS[arrow]
    path = house / file
    text = path.read_text()
    path.write_text(f"{text}\n{line}\n")
    try:
        assert rule in broken_in(house)
    finally:
        path.write_text(text)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_imported_by_the_packages_name_alone(room: str) -> None:
    planted = f"import {room}.anything\n"
    options = ["check", "--config", ROOT / "pyproject.toml", "--select", "TID251", "--quiet"]
    done = subprocess.run(
        [BIN / "ruff", *options, "--stdin-filename", "planted.py", "-"],
        input=planted,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"import raftmark.{room}" in done.stdout
