"""Mutants are tried here: each in its own copy of the sources, never in the sources themselves."""

from __future__ import annotations

import contextlib
import enum
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from .table import ROOT, Mutant, TableError

TIMEOUT_S = 60.0
"""For one test. Its runner stops it then, and says so."""
HOPELESS_S = 600.0
"""For a command with all that it starts: a busy machine is slow to compile and to import."""
MEMORY = 4 << 30

_SOURCES = (
    "raft",
    "impl_*",
    "bench",
    "report",
    "raftmark",
    "tests",
    "go_reference",
    "pyproject.toml",
)
_NO_SOURCES = shutil.ignore_patterns("__pycache__", ".*")
_ASSERTIONS = ("assert ", "AssertionError", "Failed:", "tests.impl.runtimes.Hang")
_OUT_OF_TIME = re.compile(r"Timeout \(>|panic: test timed out")
_GO_PANIC = re.compile(r"^(panic|fatal error):", re.MULTILINE)
_GO_COMPLAINT = re.compile(r"^ +\w+_test\.go:\d+: ", re.MULTILINE)


class Verdict(enum.Enum):
    """What became of a mutant."""

    CAUGHT = "caught"
    HUNG = "caught by timeout"
    SURVIVED = "survived"
    ERROR = "error"

    @property
    def good(self) -> bool:
        """Whether the rule's tests did what they are for."""
        return self in (Verdict.CAUGHT, Verdict.HUNG)


@dataclass(frozen=True)
class Result:
    """What tests did: those that passed, and for those that failed, why."""

    passed: frozenset[str]
    failed: dict[str, str]
    """By test: "assertion", "timeout", or the exception."""


class CannotRun(Exception):
    """The tests did not even begin: the code does not compile, import, or have such a test."""


def copy_sources(to: Path, source: Path = ROOT) -> None:
    """Copy what the tests of either language need."""
    for pattern in _SOURCES:
        for path in source.glob(pattern):
            if path.is_dir():
                shutil.copytree(path, to / path.name, symlinks=True, ignore=_NO_SOURCES)
            else:
                shutil.copy(path, to / path.name)


@contextlib.contextmanager
def copy_of(source: Path) -> Iterator[Path]:
    """A copy of the sources for a while."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as directory:
        copy_sources(Path(directory), source)
        yield Path(directory)


def judge(mutant: Mutant, sources: Path) -> tuple[Verdict, str]:
    """Try the mutant; what became of it, and where that is no success, why."""
    with copy_of(sources) as tree:
        try:
            mutant.apply(tree)
            result = run_tests(mutant.language, mutant.red, tree)
        except (TableError, CannotRun) as error:
            return Verdict.ERROR, str(error)
    if green := [test for test in mutant.red if test in result.passed]:
        return Verdict.SURVIVED, f"green: {', '.join(green)}"
    hung = "timeout" in result.failed.values()
    expected = {mutant.raises or "assertion"} | ({"timeout"} if mutant.hangs else set())
    if other := {test: why for test, why in result.failed.items() if why not in expected}:
        return Verdict.ERROR, "; ".join(f"{test} is red by {why}" for test, why in other.items())
    return Verdict.HUNG if hung else Verdict.CAUGHT, ""


def run_tests(language: str, tests: Iterable[str], tree: Path) -> Result:
    """Run these tests in a copy of the sources; CannotRun unless each came to an end."""
    run = {"python": _run_pytest, "go": _run_go}[language]
    names = list(dict.fromkeys(tests))
    result = run(names, tree)
    if missing := [n for n in names if n not in result.passed and n not in result.failed]:
        raise CannotRun(f"did not run: {', '.join(missing)}")
    return result


def _run_pytest(tests: Sequence[str], tree: Path) -> Result:
    report = tree / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--seed=1"]
    command += [f"--timeout={TIMEOUT_S}", f"--junitxml={report}", *tests]
    status, output = _run(command, tree)
    if status not in (0, 1) or not report.is_file():
        raise CannotRun(_tail(output))
    outcomes: list[tuple[str, str]] = []
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        if (error := case.find("error")) is not None:
            raise CannotRun(f"{name}: {error.get('message')}")
        failure = case.find("failure")
        outcomes.append((name, "" if failure is None else _reason(failure.get("message", ""))))
    passed, failed = set(), {}
    for test in tests:
        # A test that has parameters fails with any of them.
        of_test = [why for name, why in outcomes if name == test or name.startswith(f"{test}[")]
        if reasons := list(filter(None, of_test)):
            failed[test] = reasons[0]
        elif of_test:
            passed.add(test)
    return Result(frozenset(passed), failed)


def _reason(message: str) -> str:
    if _OUT_OF_TIME.search(message):
        return "timeout"
    return "assertion" if message.startswith(_ASSERTIONS) else message.partition(":")[0]


def _run_go(tests: Sequence[str], tree: Path) -> Result:
    passed: set[str] = set()
    failed: dict[str, str] = {}
    for package in dict.fromkeys(test.partition(".")[0] for test in tests):
        directory = tree / "go_reference" / package
        binary = directory / "mutant.test"
        status, output = _run(["go", "test", "-c", "-o", str(binary)], directory)
        if status != 0:
            raise CannotRun(_tail(output))
        names = [test.partition(".")[2] for test in tests if test.startswith(f"{package}.")]
        # One by one: a panic ends all tests of its process.
        for name in names:
            test = f"{package}.{name}"
            command = [str(binary), "-test.v", f"-test.run=^{name}$"]
            command += [f"-test.timeout={TIMEOUT_S}s"]
            status, output = _run(command, directory, MEMORY)
            if f"\n--- PASS: {name} " in output and status == 0:
                passed.add(test)
            elif _OUT_OF_TIME.search(output):
                failed[test] = "timeout"
            elif _GO_COMPLAINT.search(_GO_PANIC.split(output)[0]):
                # Perhaps it panics afterwards, as it leaves a bubble that still runs.
                failed[test] = "assertion"
            elif _GO_PANIC.search(output):
                failed[test] = "panic"
            else:
                raise CannotRun(f"{test}: {_tail(output) or 'no such test'}")
    return Result(frozenset(passed), failed)


def _run(command: list[str], directory: Path, memory: int | None = None) -> tuple[int, str]:
    """Run a command to its end; its status and all that it wrote."""

    def limit_memory() -> None:
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "GOMEMLIMIT": f"{MEMORY // 2}"}
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        preexec_fn=limit_memory,
    )
    try:
        output, _ = process.communicate(timeout=HOPELESS_S)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        return -1, f"{command[0]} did not end within {HOPELESS_S:.0f} s"
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Leave nothing behind of a command that is still running."""
    if process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        process.kill()
        process.communicate()


def _tail(output: str, count: int = 6) -> str:
    """The end of what was written, which says what is wrong; of pytest, the errors alone."""
    lines = output.strip().splitlines()
    errors = [line for line in lines if line.startswith("E  ")]
    return "\n".join((errors or lines)[-count:])
