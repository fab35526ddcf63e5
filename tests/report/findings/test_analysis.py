"""What the report says of a run besides its figures."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.design.specification import PROFILES, narrow
from raftmark.bench.runs.audit import audit
from raftmark.bench.runs.runtimes import runtime
from raftmark.bench.runs.store import Run, StoreError
from raftmark.bench.tracking.plans import Plan
from raftmark.report.findings.analysis import analyse, examine
from raftmark.report.findings.caveats import caveats
from raftmark.report.findings.sourcecode import keep_code, measure_code
from raftmark.report.model import Code
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


def test_the_cells_the_interpreters_the_variables_and_the_table_are_chosen_again(
    tmp_path: Path,
) -> None:
    specification = narrow(PROFILES["quick"](), cells=["replicate-w1", "election-100-200"])
    directory = write_run(tmp_path / "run", keep=lambda trial: False)
    changes = {
        "profile": "quick",
        "specification": msgspec.to_builtins(specification),
        "asked": {"table": "my table.toml", "python": ["3.14t"], "env": {"A": "b; rm -rf x"}},
    }
    repeated = command(directory, **changes)
    assert repeated == (
        "raftmark bench --profile quick --seed 7 --workloads election,replicate "
        "--cells election-100-200,replicate-w1 "
        "--contenders threading,asyncio,multiprocessing,go --no-twin --python 3.14t "
        "--env 'A=b; rm -rf x' --contenders-file 'my table.toml'"
    )
    again = analyse(Run.open(directory), load_contenders(), {}).again
    assert again == "raftmark report run --contenders-file 'my table.toml'"


@pytest.mark.parametrize(
    ("head_commit", "revisions"), [("b" * 40, f"{'a' * 40} {'b' * 40}"), (None, "a" * 40)]
)
def test_a_comparison_can_be_repeated(
    tmp_path: Path, head_commit: str | None, revisions: str
) -> None:
    directory = write_run(tmp_path / "run", keep=lambda trial: False)
    plan = Plan("main (aaaaaaaaaa)", "now", 0.1, 0.05, {"go": "Go"}, [], [], [], [])
    commits = {"base_commit": "a" * 40, "head_commit": head_commit}
    msgspec.structs.replace(plan, **commits).save(Run.open(directory))
    assert command(directory, profile="compare").startswith(
        f"raftmark compare {revisions} --contenders go --margin 10 --blocks "
    )


def test_a_command_to_be_copied_is_one_command_whatever_a_run_is_called(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", keep=lambda trial: False)
    evil = "$(touch pwned); `touch pwned`"
    repeated = command(directory, profile=evil)
    assert shlex.split(repeated)[:2] == ["raftmark", evil]


def entries(directory: Path) -> list[dict[str, Any]]:
    """Return the contenders of a run's manifest."""
    found: list[dict[str, Any]] = json.loads((directory / "run.json").read_bytes())["contenders"]
    return found


def test_a_contender_that_no_table_knows_keeps_its_look(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", {"trio": REALISTIC["go"]}, keep=lambda trial: False)
    [entry] = entries(directory)
    command(directory, contenders=[{**entry, "color": "#56b4e9", "marker": "v"}])
    [shown] = analyse(Run.open(directory), {}, {}).contenders.values()
    assert (shown.colour, shown.marker) == ("#56b4e9", "v")


@pytest.mark.parametrize(
    ("color", "marker"),
    [("red;}</style><script>alert(1)</script>", "v"), ("#56b4e9", "$\\oops$"), (None, None)],
)
def test_a_look_that_no_table_could_have_is_none(
    tmp_path: Path, color: str | None, marker: str | None
) -> None:
    directory = write_run(tmp_path / "run", {"go": REALISTIC["go"]}, keep=lambda trial: False)
    [entry] = entries(directory)
    command(directory, contenders=[{**entry, "color": color, "marker": marker}])
    specs = load_contenders()
    [shown] = analyse(Run.open(directory), specs, {}).contenders.values()
    assert (shown.colour, shown.marker) == (specs["go"].color, specs["go"].marker)


def test_a_contender_that_no_table_knows_keeps_its_counts(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", {"trio": REALISTIC["go"]})
    specs = {"trio": load_contenders()["threading"]}
    keep_code(Run.open(directory), specs)
    [counted] = measure_code(specs).values()
    [kept] = examine(Run.open(directory)).code.values()
    assert isinstance(counted, Code)
    assert isinstance(kept, Code)
    assert kept.runtime_total == counted.runtime_total
    assert kept.core_total == counted.core_total
    assert not [each for each in caveats(examine(Run.open(directory))) if "count" in each]
    (directory / "code.json").write_text("{}")
    with pytest.raises(StoreError, match=r"code\.json is damaged.*delete it to go without"):
        examine(Run.open(directory))
    assert any("code.json" in problem for problem in audit(directory).problems)


def test_every_machine_of_a_run_that_was_resumed_is_shown(tmp_path: Path) -> None:
    directory = write_run(
        tmp_path / "run",
        keep=lambda trial: False,
        environment={"machine": {"cpus_usable": 2}, "pyperf": {"cpu_model_name": "First"}},
    )
    later = {
        "machine": {"cpus_usable": 64},
        "pyperf": {"cpu_model_name": "Second"},
        "load": [1.0, 1.0, 1.0],
    }
    command(directory, resumptions=[{"at": "2026-03-02T12:00:00Z", "environment": later}])
    analysis = analyse(Run.open(directory), load_contenders(), {})
    assert ("cpu model name", "First") in analysis.environment["pyperf"]
    resumed = "pyperf, when resumed at 2026-03-02T12:00:00Z"
    assert ("cpu model name", "Second") in analysis.environment[resumed]
    [caution] = analysis.cautions
    assert "First, 2 processors" in caution
    assert "Second, 64 processors" in caution


def test_what_a_contender_was_started_with_is_said_before_the_figures(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", {"go": REALISTIC["go"]})
    [entry] = entries(directory)
    command(directory, contenders=[{**entry, "env": {"GOGC": "5"}}])
    analysis = analyse(Run.open(directory), load_contenders(), {})
    said = "Go goroutines was started with variables of its own: GOGC=5."
    assert said in caveats(analysis)


def test_how_a_runtime_was_built_is_told(tmp_path: Path) -> None:
    python = {"pgo": True, "lto": False, "debug": False, "options": []}
    assert (
        runtime(
            {
                "language": "Python",
                "runtime": {"name": "CPython", "version": "3.14", "gil": True, "build": python},
            }
        )
        == "CPython 3.14, GIL on, PGO, LTO not configured"
    )
    told = {
        "name": "go",
        "version": "go1.27",
        "gomaxprocs": 2,
        "gogc": 50,
        "gomemlimit": 2**63 - 1,
        "build": {"-race": "true", "GOAMD64": "v1", "-tags": ""},
    }
    assert runtime({"language": "Go", "runtime": told}) == (
        "Go 1.27, GOMAXPROCS 2, GOGC 50, -race=true, GOAMD64=v1"
    )


def test_a_run_of_another_command_names_it(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", keep=lambda trial: False, blocks=4)
    assert command(directory, profile="floors") == "raftmark floors --blocks 4 --seed 7"


def test_who_is_deployed_follows_from_the_form_and_mixtures_are(tmp_path: Path) -> None:
    forms = {"asyncio@tcp": True, "asyncio@uvloop-tcp": True, "asyncio@3.14+tcp": True}
    forms |= {"tcp:go+asyncio": True, "asyncio@uvloop": False, "asyncio@mypyc": False}
    behaviours = {**REALISTIC, **dict.fromkeys(forms, REALISTIC["asyncio"])}
    bases = {name: "asyncio" for name in forms if "@" in name}
    directory = write_run(tmp_path / "run", behaviours, forms=bases, keep=lambda trial: False)
    found = analyse(Run.open(directory), load_contenders(), {}).contenders
    assert {name: found[name].deployed for name in forms} == forms
    assert not any(found[name].deployed for name in REALISTIC)


def test_a_legend_tells_of_its_own_chart(read_report: Callable[[str], Page]) -> None:
    # A contender whose trials all failed still has code.
    *measured, code = (
        " ".join(entry.text for entry in legend.children)
        for legend in read_report("failing").every("ul", of_class="legend")
    )
    assert len(measured) == 2
    assert all(f"{LABELS['asyncio']} (every trial failed)" in legend for legend in measured)
    assert LABELS["asyncio"] in code
    assert "failed" not in code


def test_only_blocks_that_were_measured_are_told_of(
    tmp_path: Path, code: Mapping[str, Code | str]
) -> None:
    """A run that was ended early is as little as it is, however much was planned."""
    path = write_run(
        tmp_path / "run", blocks=10, outstanding=[64], keep=lambda trial: trial["block"] < 2
    )
    analysis = analyse(Run.open(path), load_contenders(), code)
    assert analysis.measured_over == "2 blocks"
    assert any("Two blocks are too few" in caution for caution in caveats(analysis))


def test_of_a_run_without_a_trial_no_block_is_told_of(
    tmp_path: Path, code: Mapping[str, Code | str]
) -> None:
    path = write_run(tmp_path / "run", outstanding=[64], keep=lambda _trial: False)
    analysis = analyse(Run.open(path), load_contenders(), code)
    assert analysis.measured_over == "0 blocks"
    assert not any("too few" in caution for caution in caveats(analysis))
