"""The Python implementations on the other interpreters of a supported version that are here.

On the one that runs the suite everything is tested; on each of the others, the distribution's own
among them, a selection that is fast. What is not here is left out, and said to be.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from raftmark.bench.contenders.interpreters import Interpreter, find
from raftmark.bench.contenders.places import ROOT
from raftmark.bench.contenders.registry import Unavailable, load_contenders

DISTRIBUTION = "/usr/bin/python3"
ASKED = [DISTRIBUTION, "3.11", "3.12", "3.13", "3.14", "3.14t"]

# What an interpreter may do in its own way: start and stop, tasks that are cancelled, errors that
# pass from one to another.
SELECTED = ("hello", "answers", "elections", "lifecycle", "sessions")
# The distribution's own is the one that people have.
MORE = ("workloads_faults",)
PYTHON_CONTENDERS = [name for name, spec in load_contenders().items() if spec.is_python]

# What the tests from within need there; their versions are those of the suite.
NEEDED = (
    *("pytest", "iniconfig", "packaging", "pluggy", "pygments", "pytest-timeout"),
    *("hypothesis", "sortedcontainers", "msgspec", "psutil", "uvloop", "platformdirs"),
    *("typer", "click", "rich", "markdown-it-py", "mdurl", "shellingham", "annotated-doc"),
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(params=ASKED)
def interpreter(request: pytest.FixtureRequest) -> Interpreter:
    """Return an interpreter that no other test runs on."""
    try:
        found = find(request.param)
    except Unavailable as reason:
        pytest.skip(f"not tested on Python {request.param}: {reason}")
    if found.is_running:
        pytest.skip(f"Python {request.param} is the one that runs all tests")
    if request.param != DISTRIBUTION and os.path.realpath(DISTRIBUTION) == os.path.realpath(
        found.executable
    ):
        pytest.skip(f"Python {request.param} is the distribution's own")
    return found


def run_tests(python: Path, *arguments: str) -> None:
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_contenders_conform(interpreter: Interpreter) -> None:
    chosen = [f"--contender={name}@{interpreter.executable}" for name in PYTHON_CONTENDERS]
    names = SELECTED + MORE * (interpreter.executable == DISTRIBUTION)
    files = [f"tests/conformance/test_{name}.py" for name in names]
    run_tests(Path(sys.executable), "-m", "not slow", *chosen, *files)


def test_the_runtimes_keep_their_promises(interpreter: Interpreter, tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("".join(map(pinned, NEEDED)))
    venv = tmp_path / "venv"
    uv("venv", "--python", interpreter.executable, str(venv))
    options = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", str(requirements)]
    uv("pip", "install", "--python", str(venv / "bin" / "python"), *options)
    # The sources are those of this checkout; only what is known of the package is copied.
    (known,) = Path(str(metadata.distribution("raftmark").locate_file(""))).glob("raftmark-*")
    (packages,) = venv.glob("lib/python*/site-packages")
    shutil.copytree(known, packages / known.name)
    # Those of the processes, which are slower, the contenders' tests reach too.
    run_tests(venv / "bin" / "python", "-k", "not multiprocessing", "tests/impl")


def pinned(package: str) -> str:
    """Return a package's line of the lock files, with its hashes."""
    locks = [(ROOT / name).read_text() for name in ("requirements.lock", "requirements-test.lock")]
    found = re.search(rf"^{package}==(?:.*\\\n)*.*\n", "".join(locks), re.MULTILINE)
    assert found is not None, package
    return found[0]


def uv(*arguments: str) -> None:
    command = [str(Path(sys.executable).with_name("uv")), "--quiet", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0 and "has no wheels" in done.stderr:
        pytest.skip(f"not tested from within: {' '.join(done.stderr.split())}")
    assert done.returncode == 0, done.stderr
