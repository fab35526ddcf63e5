"""The Python contenders with their core compiled: the very same sources, through mypyc.

A contender whose form `compiles` modules is started in a copy of the package in which those are
extension modules; nothing else differs. The copy is made when it is first needed, for each
interpreter its own, and anew when the sources, mypy, the C compiler or the interpreter have
changed.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

from raftmark.bench.contenders.registry import Build, Unavailable

# What mypy needs besides itself, where it has to be installed.
NEEDED = (
    "ast-serialize",
    "librt",
    "mypy",
    "mypy-extensions",
    "pathspec",
    "setuptools",
    "typing-extensions",
)
_PACKAGE = Path(str(files("raftmark")))
_PROGRAM = Path(__file__).with_name("compiling.py")
_ASK = "import platform, mypy.version; print(platform.python_version(), mypy.version.__version__)"
_ASK_TIMEOUT_S = 60.0


def compiled(python: Path, modules: list[str]) -> Build:
    """Return how the copy for an interpreter is made, which has mypy.

    Raises `Unavailable` where there is no C compiler, or no mypy.
    """
    compiler = _compiler()
    name = hashlib.sha256(repr((str(python), modules)).encode()).hexdigest()[:8]
    paths = sorted(
        str(path.relative_to(_PACKAGE)) for module in modules for path in _PACKAGE.glob(module)
    )
    return Build(
        command=[str(python), str(_PROGRAM), str(_PACKAGE), "{output}", *paths],
        cwd=str(_PACKAGE),
        inputs=[f"{room}/**/*.py" for room in sorted({Path(path).parts[0] for path in paths})],
        output=f"{{cache}}/compiled/{name}",
        env={"CC": compiler},
        made_with=[_version(compiler, "--version"), _version(str(python), "-c", _ASK)],
    )


def _compiler() -> str:
    """Return the C compiler, as it is found."""
    for name in ("cc", "gcc", "clang"):
        if found := shutil.which(name):
            return found
    raise Unavailable("needs a C compiler, and none of cc, gcc and clang is on PATH; install one")


@functools.cache
def _version(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", timeout=_ASK_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"cannot compile: {command[0]} does not tell its version") from error
    return done.stdout.partition("\n")[0]
