"""Other Python interpreters than the running one: how they are found, and given what they need.

An interpreter is asked for by a version, such as `3.14`, `3.14t` (the free-threaded build) or
`pypy3.11`, or by its path. What it needs besides its standard library lies in a virtual
environment of its own in the cache: the very releases that `requirements.lock` pins, hashes
checked, and only those that were built for it. A package that is not to be had there leaves out
what needs it and nothing else.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from raftmark.bench.contenders.places import CACHE, ROOT, how_to_install
from raftmark.bench.contenders.registry import Unavailable, UnknownName

OLDEST = (3, 11)

# Where interpreters lie that need not be on PATH; `*` is a directory an installer made for one.
_PLACES = (
    "~/.local/bin",
    "~/.local/share/uv/python/*/bin",
    "~/.pyenv/versions/*/bin",
    "/usr/local/bin",
    "/usr/bin",
    "/opt/*/bin",
)
_VERSION = re.compile(r"(?:python|cpython-?)?(pypy)?(\d+\.\d+(?:\.\d+)?)(t?)")
_ASK = """
import json, platform, sys, sysconfig
print(json.dumps({
    "executable": sys.executable,
    "implementation": platform.python_implementation(),
    "version": platform.python_version(),
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}))
"""
_ASK_TIMEOUT_S = 30.0
_INSTALL_TIMEOUT_S = 300.0


class Interpreter(msgspec.Struct, frozen=True):
    """A Python interpreter; `name` is its version as contenders' names have it."""

    executable: str
    implementation: str
    version: str
    free_threaded: bool
    name: str = ""

    @property
    def full_name(self) -> str:
        """The whole version, a `t` behind it for a free-threaded build."""
        other = "" if self.implementation == "CPython" else self.implementation.lower()
        return f"{other}{self.version}{'t' * self.free_threaded}"

    @property
    def short_name(self) -> str:
        """The same without the number of the bug-fix release."""
        return re.sub(r"(\d+\.\d+)\.\w+?(t?)$", r"\1\2", self.full_name)

    @property
    def is_running(self) -> bool:
        """Whether it is the one that runs this program."""
        return os.path.realpath(self.executable) == os.path.realpath(sys.executable)


class Request(NamedTuple):
    """A version that was asked for."""

    implementation: str
    version: str
    free_threaded: bool

    @property
    def is_exact(self) -> bool:
        """Whether the bug-fix release was named too."""
        return self.version.count(".") == 2

    @property
    def program(self) -> str:
        """The name under which such an interpreter is installed."""
        stem = "pypy" if self.implementation == "PyPy" else "python"
        series = ".".join(self.version.split(".")[:2])
        return f"{stem}{series}{'t' * self.free_threaded}"

    def is_met_by(self, found: Interpreter) -> bool:
        """Whether an interpreter is of this version, and with or without the GIL as asked."""
        return (
            found.implementation == self.implementation
            and f"{found.version}.".startswith(f"{self.version}.")
            and found.free_threaded == self.free_threaded
        )


def find(asked: str) -> Interpreter:
    """Find an interpreter by version or path. Raises `Unavailable` when there is none."""
    path = Path(asked).expanduser()
    if os.sep in asked:
        found = _ask(path)
        if found is None:
            raise UnknownName(f"{asked} is no Python interpreter")
        return _checked(msgspec.structs.replace(found, name=found.short_name))
    request = _parse(asked)
    for candidate in _candidates(request):
        found = _ask(candidate)
        if found is not None and request.is_met_by(found):
            name = found.full_name if request.is_exact else found.short_name
            return _checked(msgspec.structs.replace(found, name=name))
    uv = _uv_program()
    helps = f"'{shlex.quote(uv)} python install {asked}' installs it, or " if uv else ""
    raise Unavailable(f"no Python {asked} found: {helps}give the path of its executable")


def distinct(interpreters: Sequence[Interpreter]) -> list[Interpreter]:
    """Return the interpreters without repetitions, each with a name of its own.

    Where several are of one version, the whole version is their name. Raises `Unavailable` when
    that does not tell them apart either.
    """
    found: dict[str, Interpreter] = {}
    for interpreter in interpreters:
        found.setdefault(os.path.realpath(interpreter.executable), interpreter)
    names = [interpreter.name for interpreter in found.values()]
    named: dict[str, Interpreter] = {}
    for each in found.values():
        name = each.full_name if names.count(each.name) > 1 else each.name
        if name in named:
            raise Unavailable(
                f"{named[name].executable} and {each.executable} are both Python {name}: "
                "choose one of them"
            )
        named[name] = msgspec.structs.replace(each, name=name)
    return list(named.values())


class Environment(NamedTuple):
    """Where an interpreter finds packages: its executable there, and why what lacks does."""

    python: Path
    lacks: dict[str, str]


@functools.cache
def environment(interpreter: Interpreter, packages: frozenset[str]) -> Environment:
    """Make a virtual environment with those of the packages that can be had there.

    Raises `Unavailable` when it cannot be made at all.
    """
    identity = hashlib.sha256(interpreter.executable.encode()).hexdigest()[:8]
    directory = CACHE / "python" / f"{interpreter.full_name}-{identity}"
    python = directory / "bin" / "python"
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with open(directory.with_name(directory.name + ".lock"), "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _ask(python) != _ask(Path(interpreter.executable), executable=str(python)):
                _uv("venv", "--quiet", "--clear", "--no-project", "--no-python-downloads",
                    "--python", interpreter.executable, str(directory))  # fmt: skip
            lacks = {name: why for name in sorted(packages) if (why := _install(name, directory))}
    except OSError as error:
        raise Unavailable(
            f"cannot use {error.filename or directory}: {error.strerror}; make room or permit it"
        ) from error
    return Environment(python, lacks)


def _install(package: str, directory: Path) -> str | None:
    """Install a package at its pinned version; return why that cannot be done."""
    pin = _pin(package)
    requirements = directory / f"{package}.txt"
    if requirements.exists() and requirements.read_text(encoding="utf-8") == pin:
        return None
    new = directory / f"{package}.new"
    new.write_text(pin, encoding="utf-8")
    try:
        _uv("pip", "install", "--quiet", "--python", str(directory / "bin" / "python"),
            "--require-hashes", "--no-deps", "--only-binary", ":all:",
            "--requirement", str(new))  # fmt: skip
    except Unavailable as error:
        found = re.search(r"Because (.*?)(?:{.*?})?(==.*?) and you require", str(error))
        return "".join(found.groups()) if found else str(error)
    new.replace(requirements)
    return None


def _pin(package: str) -> str:
    """Return a package's requirement with its hashes, as `requirements.lock` has it.

    What measuring needs for some contenders only, a checkout has in the lock of its tests.
    """
    for lock in (ROOT / "requirements.lock", ROOT / "requirements-test.lock"):
        if lock.is_file():
            text = lock.read_text(encoding="utf-8")
            pin = re.search(rf"^{re.escape(package)}==(?:.*\\\n)*.*\n", text, re.MULTILINE)
            if pin is not None:
                return pin[0]
    raise Unavailable(f"{ROOT / 'requirements.lock'} pins no {package}")


def _uv_program() -> str | None:
    """Return uv as it is called from here: the one beside the interpreter, or one on PATH."""
    beside, found = Path(sys.executable).with_name("uv"), shutil.which("uv")
    if not beside.exists():
        return found
    if found is not None and os.path.samefile(beside, found):
        return "uv"
    here = Path.cwd()
    return str(beside.relative_to(here) if beside.is_relative_to(here) else beside)


def _uv(*arguments: str) -> str:
    """Run uv and return what it prints; `Unavailable` has its complaint in one line."""
    uv = _uv_program()
    if uv is None:
        raise Unavailable(f"other interpreters need uv; {how_to_install('pythons')} installs it")
    try:
        done = subprocess.run(
            [uv, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=_INSTALL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"uv {arguments[0]} not done after {error.timeout:g} s") from error
    if done.returncode != 0:
        raise Unavailable(" ".join(done.stderr.split()))
    return done.stdout.strip()


def _parse(asked: str) -> Request:
    match = _VERSION.fullmatch(asked)
    if match is None:
        raise UnknownName(
            f"{asked!r} is no interpreter: name a version, such as 3.14t, or a path such as "
            "./bin/python"
        )
    pypy, version, free_threaded = match.groups()
    return Request("PyPy" if pypy else "CPython", version, bool(free_threaded))


def _checked(found: Interpreter) -> Interpreter:
    if tuple(int(part) for part in found.version.split(".")[:2]) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise Unavailable(f"{found.executable} is Python {found.version}: {oldest} is the oldest")
    return found


def _candidates(request: Request) -> Iterator[Path]:
    """Yield where an interpreter may be: on PATH, in well-known places, where uv finds it."""
    directories = [Path(entry) for entry in os.get_exec_path()]
    for place in _PLACES:
        root, star, rest = os.path.expanduser(place).partition("*")
        directories += sorted(Path(root).glob(star + rest)) if star else [Path(root)]
    for directory in directories:
        yield directory / request.program
    try:
        version = f"{request.version}{'t' * request.free_threaded}"
        request_uv = f"{request.implementation.lower()}-{version}"
        yield Path(_uv("python", "find", "--no-project", "--system", request_uv))
    except Unavailable:
        return  # Neither does uv know one.


def _ask(path: Path, **changes: str) -> Interpreter | None:
    """Return what an interpreter says it is, or None if there is none at `path`."""
    if not path.is_file():
        return None
    try:
        done = subprocess.run(
            [path, "-I", "-c", _ASK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ASK_TIMEOUT_S,
            check=True,
        )
        found = msgspec.json.decode(done.stdout, type=Interpreter)
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError):
        return None
    return msgspec.structs.replace(found, **changes)
