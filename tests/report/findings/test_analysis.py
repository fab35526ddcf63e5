"""What the report says of a run besides its figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.design.specification import PROFILES, narrow
from raftmark.bench.runs.store import Run
from raftmark.report.findings.analysis import analyse
from tests.report.page_reader import Page
from tests.report.synthetic_runs import LABELS, REALISTIC, write_run


def command(directory: Path, **changes: Any) -> str:
    """Return the command that the report gives for repeating a run with a changed manifest."""
    manifest = directory / "run.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **changes}))
    return analyse(Run.open(directory), load_contenders(), {}).command


@pytest.mark.parametrize(
    ("narrowed", "added"),
    [
        ({}, ""),
        ({"blocks": 3}, " --blocks 3"),
        ({"workloads": ["election"]}, " --workloads election"),
        ({"workloads": ["election"], "blocks": 3}, " --blocks 3 --workloads election"),
    ],
)
def test_the_run_can_be_repeated(tmp_path: Path, narrowed: dict[str, Any], added: str) -> None:
    specification = msgspec.to_builtins(narrow(PROFILES["quick"](), **narrowed))
    directory = write_run(tmp_path / "run", keep=lambda trial: False)
    repeated = command(directory, profile="quick", specification=specification)
    assert repeated == f"raftmark bench --profile quick --seed 7{added} --no-twin"


def test_the_run_of_some_contenders_can_be_repeated(tmp_path: Path) -> None:
    some = {name: REALISTIC[name] for name in ("go", "asyncio")}
    directory = write_run(tmp_path / "run", some, keep=lambda trial: False)
    specification = msgspec.to_builtins(PROFILES["full"]())
    repeated = command(directory, profile="full", specification=specification)
    assert repeated == "raftmark bench --profile full --seed 7 --contenders go,asyncio --no-twin"


def test_the_twin_is_chosen_again_by_its_name(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", keep=lambda trial: False)
    contenders = json.loads((directory / "run.json").read_text())["contenders"]
    twin = {**contenders[1], "name": "asyncio~", "base": "asyncio", "twin": True}
    specification = msgspec.to_builtins(PROFILES["quick"]())
    changes = {"specification": specification, "contenders": [*contenders, twin]}
    repeated = command(directory, profile="quick", **changes)
    assert repeated == "raftmark bench --profile quick --seed 7 --twin asyncio"


def test_a_run_of_another_command_names_it(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", keep=lambda trial: False, blocks=4)
    assert command(directory, profile="floors") == "raftmark floors --blocks 4 --seed 7"


def test_a_legend_tells_of_its_own_chart(read_report: Callable[[str], Page]) -> None:
    # A contender whose trials all failed still has code.
    *measured, code = (
        " ".join(entry.text for entry in legend.children)
        for legend in read_report("failing").every("ul", of_class="legend")
    )
    assert len(measured) == 3
    assert all(f"{LABELS['asyncio']} (every trial failed)" in legend for legend in measured)
    assert LABELS["asyncio"] in code
    assert "failed" not in code
