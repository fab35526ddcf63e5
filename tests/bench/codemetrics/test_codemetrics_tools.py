"""The counts of `bench.codemetrics` against well-kept tools, on all code of the project.

Every function of the exhibits and of the harness is counted by both. Where a tool counts by
another definition, the difference is computed from the source and must explain all of it.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import complexipy
import lizard
import pytest
from radon.visitors import ComplexityVisitor, Function

from raftmark.bench.codemetrics import FunctionMetrics, measure_file
from raftmark.bench.codemetrics.complexity import cognitive
from raftmark.bench.codemetrics.go import read_go
from raftmark.bench.codemetrics.python import read_python
from raftmark.bench.codemetrics.skeleton import Node
from raftmark.bench.contenders.places import ROOT

PYTHON = sorted(
    path
    for directory in ("raft", "impl_threading", "impl_asyncio", "impl_multiprocessing", "bench")
    for path in (ROOT / directory).rglob("*.py")
)
GO = sorted(
    path
    for directory in ("raft", "cluster", "host", "workload", "cmd", "linearizability")
    for path in (ROOT / "go_reference" / directory).rglob("*.go")
    if not path.stem.endswith("_test")
)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> dict[int, FunctionMetrics]:
    """What we count, by the function's first line."""
    return {f.line: f for f in measure_file(path).functions if f.name != "<module>"}


def of_kind(nodes: Iterator[Node] | list[Node], *kinds: str) -> int:
    """How many nodes of these kinds a function has."""
    return sum((node.kind in kinds) + of_kind(list(node.children), *kinds) for node in nodes)


@cache
def definitions(path: Path) -> dict[int, ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions of a Python file, by their first line."""
    return {
        node.lineno: node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("path", PYTHON, ids=named)
def test_cyclomatic_complexity_is_that_of_radon(path: Path) -> None:
    """radon counts an `else` after a loop or a `try`, but no guard of a `case` and no `except*`."""

    def counted(found: Function) -> int:
        return int(found.complexity) + sum(counted(inner) - 1 for inner in found.closures)

    visitor = ComplexityVisitor.from_code(path.read_text(), no_assert=True)
    methods = [m for c in classes(visitor.classes) for m in c.methods]
    theirs = {f.lineno: counted(f) for f in [*visitor.functions, *methods]}
    ours = {}
    for line, function in functions(path).items():
        inside = list(ast.walk(definitions(path)[line]))
        loops = [n for n in inside if isinstance(n, ast.For | ast.AsyncFor | ast.While | ast.Try)]
        guards = [n for n in inside if isinstance(n, ast.match_case) and n.guard is not None]
        groups = [h for n in inside if isinstance(n, ast.TryStar) for h in n.handlers]
        ours[line] = function.complexity - len(guards) - len(groups)
        ours[line] += sum(bool(n.orelse) for n in loops)
    assert {line: theirs[line] for line in ours if line in theirs} == {
        line: count for line, count in ours.items() if line in theirs
    }
    assert len(theirs) >= len(ours) * 0.9


def classes(found: list) -> Iterator:  # type: ignore[type-arg]
    for one in found:
        yield one
        yield from classes(one.inner_classes)


def test_cognitive_complexity_is_that_of_complexipy() -> None:
    """complexipy looks into some expressions and not into others, and takes any name for recursion.

    So functions are compared that have none of those; half of all have not.
    """
    compared = total = 0
    for path in PYTHON:
        theirs = {
            f.line_start: f.complexity for f in complexipy.file_complexity(str(path)).functions
        }
        for function in read_python(path.read_text()).functions:
            total += 1
            if function.name == "<module>" or of_kind(list(function.nodes), *EXPRESSIONS):
                continue
            definition = definitions(path)[function.line]
            if any(isinstance(n, ast.Try) and n.finalbody for n in ast.walk(definition)):
                continue  # Whatever is in a `finally` is nested to complexipy.
            calls = [n.func for n in ast.walk(definition) if isinstance(n, ast.Call)]
            if any(isinstance(f, ast.Name) and f.id == definition.name for f in calls):
                continue  # A function of the same name is the same function to complexipy.
            first = min([function.line, *(d.lineno for d in definition.decorator_list)])
            assert theirs[first] == cognitive(function.nodes), f"{named(path)}: {function.name}"
            compared += 1
    assert compared > total / 2


EXPRESSIONS = (
    *("each", "filter", "conditional", "sequence", "operator", "function", "decorator"),
    "recursion",
)


@cache
def go_tool(name: str, *options: str) -> list[list[str]]:
    """The lines of a Go tool about all of `GO`, as words."""
    directory = ROOT / "go_reference"
    # The pinned one beside this Python, as for every build: not whichever the machine has.
    go = str(Path(sys.executable).with_name("go"))
    command = [go, "tool", name, *options, *(str(path.relative_to(directory)) for path in GO)]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def of_tool(name: str, path: Path) -> dict[int, int]:
    """What gocyclo or gocognit count in a file, by the function's line."""
    place = str(path.relative_to(ROOT / "go_reference"))
    counts = {}
    for words in go_tool(name):
        file, line, _ = words[-1].split(":")
        if file == place:
            counts[int(line)] = int(words[0])
    return counts


@pytest.mark.parametrize("path", GO, ids=named)
def test_cyclomatic_complexity_is_that_of_gocyclo(path: Path) -> None:
    assert {f.line: f.complexity for f in functions(path).values()} == of_tool("gocyclo", path)


@pytest.mark.parametrize("path", GO, ids=named)
def test_cognitive_complexity_is_that_of_gocognit(path: Path) -> None:
    """gocognit finds recursion through several functions too, and by any receiver."""
    skeleton = {f.line: f for f in read_go(path.read_text()).functions}
    theirs = of_tool("gocognit", path)  # It prints no function without any.
    for line, function in functions(path).items():
        ours = function.cognitive - of_kind(list(skeleton[line].nodes), "recursion")
        assert theirs.get(line, 0) - ours in (0, 1), function.name


@pytest.mark.parametrize("path", [*PYTHON, *GO], ids=named)
def test_cyclomatic_complexity_is_near_that_of_lizard(path: Path) -> None:
    """lizard has definitions of its own for either language, so only the whole is compared.

    It counts Python's `case _` and `finally`, takes a Go function literal for a function of its
    own, and knows nothing outside of functions.
    """
    text = path.read_text()
    theirs = lizard.analyze_file.analyze_source_code(path.name, text).function_list
    ours = sum(function.complexity for function in functions(path).values())
    read = read_go if path.suffix == ".go" else read_python
    nodes = [node for f in read(text).functions for node in f.nodes]
    explained = of_kind(nodes, "function", "decorator") + text.count("case _")
    explained += text.count("finally:") + 1
    difference = abs(sum(f.cyclomatic_complexity for f in theirs) - ours)
    assert difference <= explained + 0.1 * ours
