"""The plan of the house is kept: a linter holds each arrow, and turns red at one that is wrong."""

import ast
import graphlib
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("bench", "impl_asyncio", "impl_multiprocessing", "impl_threading", "raft", "report")
DOCS = ROOT / "docs"
BIN = Path(sys.executable).parent

# A file, and a function in it, as prose names them; a module as prose does.
PLACE = re.compile(
    r"`((?:bench|docs|go_reference|impl_\w+|raft|raftmark|report|tests)/[\w./*-]+)"
    r"\.(go|html|md|py|toml)(?::([\w.]+))?`"
)
MODULE = re.compile(r"`(?:raftmark\.)?((?:bench|impl_\w+|raft|report)(?:\.(?!Test)[A-Za-z_]\w*)+)`")

_spec = importlib.util.spec_from_file_location("architecture", DOCS / "architecture.py")
assert _spec is not None
assert _spec.loader is not None
architecture = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(architecture)

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
    "a family of commands imports another": (
        "raftmark/commands/keeping.py",
        "import raftmark.commands.history",
        "Families of commands share what is below them, and are called by none but bench",
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
    ignored = shutil.ignore_patterns("__pycache__", "static", "templates")
    links = [path for path in (ROOT / "raftmark").iterdir() if path.is_symlink() and path.is_dir()]
    for room in (ROOT / "raftmark", *(link.resolve() for link in links)):
        to = copy / room.relative_to(ROOT)
        shutil.copytree(room, to, symlinks=True, ignore=ignored)
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


# What tests share, and those that are of more than one room.
OF_THE_TESTS = {"fakes", "lockstep"}


@pytest.mark.parametrize("floor", ["bench", "raft", "report"])
def test_the_tests_have_the_rooms_of_the_house(floor: str) -> None:
    rooms = {path.parent.name for path in (ROOT / floor).glob("*/__init__.py")}
    tested = {path.name for path in (ROOT / "tests" / floor).iterdir() if path.is_dir()}
    assert tested - OF_THE_TESTS - {"__pycache__"} <= rooms
    if floor == "bench":
        assert rooms <= tested


def test_the_picture_is_that_of_the_code() -> None:
    text = architecture.DOCUMENT.read_text(encoding="utf-8")
    assert text == architecture.drawn(text), "draw it again: make picture"


def test_an_arrow_that_another_way_has_is_not_drawn() -> None:
    imports = {"page": {"chart", "figure"}, "chart": {"figure"}, "figure": set()}
    expected = {"page": {"chart"}, "chart": {"figure"}, "figure": set()}
    assert architecture.reduced(imports) == expected


PAGES = ("CONTRIBUTING.md", "README.md", *(f"docs/{path.name}" for path in DOCS.glob("*.md")))


@pytest.mark.parametrize("page", PAGES)
def test_the_places_that_a_page_names_are_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    gone = []
    for path, suffix, name in PLACE.findall(text):
        file = ROOT / f"{path}.{suffix}"
        if "NAME" in path or "*" in path:
            continue
        if not file.is_file() or (name and not defines(file, name)):
            gone.append(f"{path}.{suffix}{':' if name else ''}{name}")
    assert gone == []


def defines(file: Path, name: str) -> bool:
    """Whether a file has a function, a method as `Class.method`, or a type of this name."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".go":
        return re.search(rf"^func (\([^)]*\) )?{name}\(", text, re.MULTILINE) is not None
    body = ast.parse(text).body
    for part in name.split("."):
        found = [node for node in body if getattr(node, "name", None) == part]
        if not found:
            return False
        body = getattr(found[0], "body", [])
    return True


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("`bench/runs/store.py:Run.append`", True),
        ("`bench/runs/store.py:Run.forget`", False),
        ("`go_reference/raft/node.go:Propose`", True),
        ("`go_reference/raft/node.go:Persuade`", False),
    ],
)
def test_a_place_is_looked_for(text: str, there: bool) -> None:
    ((path, suffix, name),) = PLACE.findall(text)
    assert defines(ROOT / f"{path}.{suffix}", name) is there


def test_the_modules_that_the_code_names_are_there() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    gone = []
    for file in listed.stdout.split():
        path = ROOT / file
        if path.is_file() and path.resolve() != Path(__file__):
            names = MODULE.findall(path.read_text(encoding="utf-8"))
            gone += [f"{file}: {name}" for name in names if not _is_there(name)]
    assert gone == []


def _is_there(name: str) -> bool:
    """Whether a dotted name leads to a module, or to a name that one of the modules on it has."""
    path, parts = ROOT, name.split(".")
    while parts and (path / parts[0]).is_dir():
        path /= parts.pop(0)
    module = path / f"{parts[0]}.py" if parts else path
    if parts and module.is_file():
        parts.pop(0)
    else:
        module = path / "__init__.py"
    return (
        not parts or re.search(rf"\b{parts[0]}\b", module.read_text(encoding="utf-8")) is not None
    )


def circle_in(graph: grimp.ImportGraph) -> list[str]:
    """Modules that import each other in a ring, if there are any, packages among them."""
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other_in_a_ring() -> None:
    graph = grimp.build_graph("raftmark", cache_dir=None)
    assert circle_in(graph) == []
    # What the linter's contract, which is of siblings, does not look at.
    graph.add_import(importer="raftmark.raft.log", imported="raftmark.raft")
    assert {"raftmark.raft.log", "raftmark.raft"} <= {*circle_in(graph)}
