"""A contender to begin with: a program that elects leaders, and its contenders' table."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from raftmark.bench.contenders.registry import ContenderSpec, faults

_PROGRAMS = Path(__file__).parent / "skeletons"

_TABLE = """\
# The contenders' table of docs/adding-a-contender.md. Paths are relative to this file. To measure
# it beside contenders of the project's own, name them here: include = ["asyncio", "go"]

[[contender]]
name = "{name}"
label = "{name}"
color = "#56b4e9"
marker = "v"
"""


class SkeletonError(Exception):
    """A contender of that name cannot be begun; the message says why."""


class _Language(NamedTuple):
    """The program as it is kept here, how it is called there, and the rest of the table's entry."""

    program: str
    file: str
    entry: str


LANGUAGES = {
    "python": _Language(
        "contender.py",
        "contender.py",
        """\
command = ["{python}", "contender.py"]
sources = { cluster = ["contender.py"] }
""",
    ),
    "go": _Language(
        "contender.go",
        "main.go",
        """\
command = ["./build/contender"]
sources = { cluster = ["main.go"] }

[contender.build]
command = ["{bin}/go", "build", "-o", "{output}", "."]
cwd = "."
env = { GOTOOLCHAIN = "local" }
inputs = ["*.go", "go.mod"]
output = "build/contender"
""",
    ),
    "other": _Language(
        "contender.js",
        "contender.js",
        """\
command = ["node", "contender.js"]
sources = { cluster = ["contender.js"] }
""",
    ),
}
"""The languages that there is a program in."""


def write_skeleton(directory: Path, language: str) -> None:
    """Make a directory with a contender of its name in a language of `LANGUAGES`.

    Raises `SkeletonError` for a name that no contender can have, and OSError where the directory
    exists or cannot be made.
    """
    name = str(directory)
    if fault := next(faults(ContenderSpec(name, name, "#56b4e9", "v", ["x"])), None):
        raise SkeletonError(fault.partition(": ")[2])
    chosen = LANGUAGES[language]
    program = (_PROGRAMS / chosen.program).read_text(encoding="utf-8")
    directory.mkdir()
    files = {
        chosen.file: program.replace('"NAME"', f'"{name}"'),
        "contenders.toml": _TABLE.format(name=name) + chosen.entry,
    }
    if language == "go":
        files["go.mod"] = "module contender\n\ngo 1.23\n"
    for file, content in files.items():
        (directory / file).write_text(content, encoding="utf-8")
