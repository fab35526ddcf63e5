"""The bare models of the contenders: how the programs that have no Raft in them are launched.

`bench.primitives.models` has Python's, `go_reference/primitives` Go's. A variant's programs run on
its own interpreter, which needs pyperf for them, and on its own event loop.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from raftmark.bench.contenders.interpreters import environment
from raftmark.bench.contenders.places import ROOT, start_directory
from raftmark.bench.contenders.registry import Build, ContenderSpec, Unavailable
from raftmark.bench.contenders.surroundings import clean
from raftmark.bench.contenders.variants import Variant

# By the contender whose model it is.
PYTHON_MODELS = {"threading": "threads", "asyncio": "tasks", "multiprocessing": "processes"}
GO_DIRECTORY = ROOT / "go_reference" / "primitives"


class PythonModel(NamedTuple):
    """A Python contender's model."""

    contender: str
    model: str
    python: Path
    loop: str
    env: Mapping[str, str] = MappingProxyType({})


class GoModel(NamedTuple):
    """Go's, with its program."""

    contender: str
    program: Path
    env: Mapping[str, str] = MappingProxyType({})


class ProgramFailed(Exception):
    """A program could not be run to its end; the message says why."""


def models(
    specs: Mapping[str, ContenderSpec], build_go: Callable[[], Path], say: Callable[[str], None]
) -> list[PythonModel | GoModel]:
    """Return the models of those contenders that have one of the project's.

    One whose programs cannot be run here is said and left out. A control has none of its own: it
    runs another contender's model, or its language, in another way.
    """
    found: list[PythonModel | GoModel] = []
    for name, spec in specs.items():
        if spec.control:
            continue
        base = spec.base or spec.name
        try:
            if base == "go":
                found.append(GoModel(name, build_go(), spec.env))
            elif base in PYTHON_MODELS:
                found.append(_python_model(name, PYTHON_MODELS[base], spec))
        except Unavailable as reason:
            say(f"{name} is left out: {reason}")
    return found


def _python_model(name: str, model: str, spec: ContenderSpec) -> PythonModel:
    python, loop = Path(sys.executable), "asyncio"
    if isinstance(spec, Variant):
        loop = spec.form or loop
        if spec.interpreter is not None:
            needed = frozenset(["pyperf"] if loop == "asyncio" else ["pyperf", loop])
            python, lacks = environment(spec.interpreter, needed)
            if lacks:
                raise Unavailable("; ".join(lacks.values()))
    return PythonModel(name, model, python, loop, spec.env)


def go_benchmarks() -> Path:
    """Build Go's benchmarks; return the program. Raises `Unavailable` if that cannot be done."""
    return _go_program("primitives.test", "test", "-c", "./primitives")


def go_races() -> Path:
    """Build Go's race programs; return the program. Raises `Unavailable` if it cannot be done."""
    return _go_program("races", "build", "./cmd/races")


def _go_program(name: str, *command: str) -> Path:
    return Build(
        command=["{bin}/go", *command[:-1], "-o", "{output}", command[-1]],
        cwd="go_reference",
        inputs=["**/*.go", "go.mod", "go.sum"],
        output=f"{{cache}}/{name}",
        env={"GOTOOLCHAIN": "local"},
    ).bring_up_to_date()


def output_of(
    command: list[str],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    env: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Run a program to its end, as contenders are, with `env` besides; return what it prints.

    Raises `ProgramFailed`.
    """
    try:
        done = subprocess.run(
            command,
            cwd=cwd or start_directory(),
            env=clean(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=timeout_s,
            check=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProgramFailed(str(error)) from error
    except subprocess.CalledProcessError as error:
        raise ProgramFailed((error.stderr or error.stdout).strip()[-2000:]) from error
    return done.stdout
