"""The contenders' table: which contenders there are, how each is built and launched.

The table is a TOML file; `bench/contenders.toml` is the project's own, and any other file of the
same form can take its place to try a further contender. Relative paths in a table are relative to
it, but those in a project's own table to that project.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from raftmark.bench.contenders.contender import Contender, ContenderError, ContenderFailed
from raftmark.bench.contenders.places import CACHE, ROOT, how_to_install, start_directory
from raftmark.bench.contenders.surroundings import clean, for_builds
from raftmark.bench.files import read_file, replace_file

DEFAULT_TABLE = ROOT / "bench" / "contenders.toml"
PEERS_TABLE = ROOT / "peers" / "contenders.toml"
"""Other people's Rafts, and who is held against them."""

# The first build of a Go program compiles the standard library, on a slow machine for minutes.
_BUILD_TIMEOUT_S = 600.0
_PROBE_TIMEOUT_S = 30.0


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_LONGEST_LABEL = 60
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
MARKERS = "os^vD<>pPhHX*d8."
"""The markers that a contender may have: matplotlib's filled ones."""

_PLACEHOLDERS = ("python", "bin", "root", "cache", "output")
_LONGEST_TABLE = 2**20


class RegistryError(Exception):
    """The contenders' table cannot be used; the message names file and fault."""


class NoSuchTable(RegistryError):
    """There is no contenders' table where one was named."""


class Unavailable(Exception):
    """A contender cannot run here; the message is the reason."""


class UnknownName(Unavailable):
    """Nothing has the name that was given; the message says what there is."""


class Build(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a contender's program is made from its sources.

    `command` is run in `cwd`, with what `surroundings.KEPT_FOR_BUILDS` lists and `env`, when a
    file matching `inputs` (globs relative to `cwd`) is newer than `output`, or when `output` was
    made in another way or of other files; it must write `{output}`, a file or a directory.
    `made_with` are versions that count besides.
    """

    command: list[str]
    cwd: str
    inputs: list[str]
    output: str
    env: dict[str, str] = {}
    made_with: list[str] = []

    def is_done(self, root: Path = ROOT) -> bool:
        """Whether the program is there, made of its sources as they are."""
        return _is_fresh(self.place(root), self, root)

    def bring_up_to_date(self, root: Path = ROOT) -> Path:
        """Make the program anew if its sources have changed; return its path.

        `cwd` and `output` are relative to `root`. Raises `Unavailable` when that cannot be done.
        """
        output = self.place(root)
        if self.is_done(root):
            return output  # Also where nothing can be written.
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            # The lock lets several harnesses share one program: one builds, the others wait.
            with open(output.with_name(output.name + ".lock"), "wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not _is_fresh(output, self, root):
                    _run_build(output, self, root)
        except OSError as error:
            raise Unavailable(
                f"cannot build: {error.filename or output}: {error.strerror}; "
                "make room or permit it"
            ) from error
        return output

    def place(self, root: Path = ROOT) -> Path:
        """Return where the program is, or is to be."""
        return root / expand([self.output], root=str(root))[0]


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another way to run a contender: further arguments of its command, and what they need.

    With the `transport` "tcp" its nodes are programs of their own, which have the arguments.
    A `control` takes part where controls do, as an entry that is one. `compiles` are modules that
    it has compiled, as globs below the package (see `compiled`).
    """

    label: str
    arguments: list[str] = []
    requires: list[str] = []
    transport: Literal["native", "tcp"] = "native"
    control: bool = False
    compiles: list[str] = []


class Peer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody else's Raft is, which an entry measures beside the project's own.

    `library` and `version` are what it builds on, `about` says with which transport, storage and
    settings, and `left_out` what of the protocol its node program had to do without or tells only
    approximately. One that is not `synced` acknowledges on disk what no sync has made durable: it
    is `NOT_SYNCED`, and called so wherever figures on disk are shown.
    """

    library: str
    version: str
    about: str
    synced: bool = True
    left_out: list[str] = []


NOT_SYNCED = "not synced"
"""What a peer is called, beside its label, whose saves no sync makes durable."""


class ContenderSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the contenders' table; its relative paths are relative to `root`.

    `root` is itself relative to the table, and the table's directory where the entry says nothing.
    `node` is the command of its node program, where it has one. `excerpts` are the functions that
    show how its model does one thing, as `file:function`. `requires` are the packages without which
    it cannot start, and `uses` those without which it offers less: what another interpreter is
    given, as far as it can be had there. `base` is the entry of which this is a form, None as a
    rule. `env` are variables that it starts with besides those of `surroundings.KEPT`. `replay` is
    a command that gives the core a kept recording and prints what that took (see
    `bench.tracking.replayed`); none where nothing is counted so. A `control` is no answer to
    which model to choose: it differs from a contender in one thing, and so tells what that one
    does. It takes part where it is asked for. `one_processor`: revisions of it that are
    compared in turns share one at a time; what a second one would do is not compared then. One
    without a `command` is its node programs, and is deployed always. `peer` says what it is, where
    it is somebody else's.
    """

    name: str
    label: str
    color: str
    marker: str
    command: list[str] = []
    node: list[str] = []
    core: list[str] = []
    sources: dict[str, list[str]] = {}
    excerpts: dict[str, list[str]] = {}
    build: Build | None = None
    requires: list[str] = []
    uses: list[str] = []
    forms: dict[str, Form] = {}
    base: str | None = None
    root: str = ""
    env: dict[str, str] = {}
    replay: list[str] = []
    control: bool = False
    one_processor: bool = False
    peer: Peer | None = None

    @property
    def directory(self) -> Path:
        """What its relative paths are relative to."""
        return Path(self.root or ROOT)

    @property
    def started_in(self) -> Path:
        """Where it is started: in its directory, the project's own where their package is found."""
        return start_directory() if self.directory == ROOT else self.directory

    @property
    def elsewhere(self) -> bool:
        """Whether its nodes run on other hosts than it."""
        return False

    @property
    def is_python(self) -> bool:
        """Whether it is a program for the Python interpreter, which can be another one."""
        return "{python}" in self.command

    def argv(self) -> list[str]:
        """Return the command that launches the contender."""
        return expand(self.command, root=str(self.directory))

    def replaying(self) -> list[str]:
        """Return the command that replays what is kept for its core."""
        return expand(self.replay, root=str(self.directory))

    @property
    def transports(self) -> list[str]:
        """What its nodes can speak over: `tcp` too, where they can be programs."""
        return [*(["native"] if self.command else []), *(["tcp"] if self.node else [])]

    def node_argv(self) -> list[str]:
        """Return the command that launches its node program. Raises `Unavailable` without one."""
        if not self.node:
            raise Unavailable(
                f"{self.name} has no node program: say in its entry which command starts one, as "
                '`node = ["…"]`'
            )
        return expand(self.node, root=str(self.directory))

    def launch(
        self, *, stderr: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Contender:
        """Start the contender in its directory, with `env` besides; see `Contender`."""
        return Contender(
            self.argv(), cwd=self.started_in, stderr=stderr, env=self.environment(env or {})
        )

    def with_env(self, env: Mapping[str, str]) -> Self:
        """Return the same with variables that it starts with besides."""
        return msgspec.structs.replace(self, env={**self.env, **env})

    def environment(self, more: Mapping[str, str] = {}) -> dict[str, str]:
        """Return all variables that the contender starts with, `more` among them."""
        return clean({**self.env, **more})

    def prepare(self) -> None:
        """Build the contender's program if its sources have changed.

        Raises `Unavailable` when the build cannot be done.
        """
        if self.build is not None:
            self.build.bring_up_to_date(self.directory)

    def probe(self) -> dict[str, Any]:
        """Build and launch the contender, and return its answer to `hello`.

        Raises `Unavailable` with the reason when it cannot run.
        """
        self.prepare()
        try:
            with self.launch() as contender:
                hello = contender.call("hello", reply_timeout=_PROBE_TIMEOUT_S)
        except (ContenderError, ContenderFailed) as error:
            raise Unavailable(str(error)) from error
        try:
            msgspec.convert(hello, Hello)
        except msgspec.ValidationError as error:
            raise Unavailable(f"does not speak protocol 1: its hello is wrong: {error}") from error
        return hello

    def available(self) -> str | None:
        """Return None, or the reason why the contender cannot run."""
        try:
            self.probe()
        except Unavailable as reason:
            return str(reason)
        return None


class _Runtime(msgspec.Struct):
    name: str
    version: str
    gil: bool | None = None


class Hello(msgspec.Struct):
    """What every contender answers to `hello`; more is allowed."""

    contender: str
    protocol: Literal[1]
    language: str
    runtime: _Runtime
    features: list[str]


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    contender: list[ContenderSpec]
    include: list[str] = []


def load_contenders(table: Path = DEFAULT_TABLE) -> dict[str, ContenderSpec]:
    """Read a contenders' table; return its entries by name, in the table's order.

    After them come those of the project's own that it includes.

    Raises `RegistryError`, naming file, entry and field, when the file is missing or malformed, or
    an entry is not as docs/adding-a-contender.md says.
    """
    try:
        decoded = msgspec.toml.decode(read_file(table, _LONGEST_TABLE), type=_Table)
    except OSError as error:
        kind = NoSuchTable if isinstance(error, FileNotFoundError) else RegistryError
        raise kind(f"cannot read the contenders' table {table}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RegistryError(
            f"{table} is not a contenders' table: byte {error.start} is no UTF-8"
        ) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise RegistryError(f"{table} is not a contenders' table: {error}") from error
    base = _base(table)
    contenders: dict[str, ContenderSpec] = {}
    for number, entry in enumerate(decoded.contender, 1):
        if fault := next(faults(entry), None):
            raise RegistryError(f"{table}, contender {number} ({entry.name!a}): {fault}")
        if entry.name in contenders:
            raise RegistryError(f"{table}, contender {number}: `name`: {entry.name} is there twice")
        contenders[entry.name] = msgspec.structs.replace(
            entry, root=os.path.normpath(base / entry.root)
        )
    for name in decoded.include:
        own = load_contenders()
        if name in contenders:
            raise RegistryError(f"{table}, `include`: {name} is there already")
        if name not in own:
            raise RegistryError(f"{table}, `include`: no {name!a}; choose from {', '.join(own)}")
        contenders[name] = own[name]
    return contenders


def _base(table: Path) -> Path:
    """Return what a table's paths are relative to: its directory, or the project of which it is."""
    table = table.absolute()
    directory = table.parent
    is_a_projects = (directory.name, table.name) == (DEFAULT_TABLE.parent.name, DEFAULT_TABLE.name)
    return directory.parent if is_a_projects else directory


def faults(entry: ContenderSpec) -> Iterator[str]:
    """Yield what is wrong with an entry of a table, each beginning with its field."""
    for field, name in (("name", entry.name), *((f"forms.{form}", form) for form in entry.forms)):
        if not _NAME.fullmatch(name):
            yield (
                f"`{field}`: {name!a} is no name: use up to 40 letters, digits and ._-, "
                "beginning with a letter or digit"
            )
    labels = {"label": entry.label, **{f"forms.{n}.label": f.label for n, f in entry.forms.items()}}
    for field, label in labels.items():
        if not (label.strip() and label.isprintable() and len(label) <= _LONGEST_LABEL):
            yield (
                f"`{field}`: {label!a} is no label: "
                f"use up to {_LONGEST_LABEL} characters, in a line"
            )
    if not is_color(entry.color):
        yield f"`color`: {entry.color!a} is no colour: write it as #56b4e9"
    if not is_marker(entry.marker):
        yield f"`marker`: {entry.marker!a} is no marker: choose one of {' '.join(MARKERS)}"
    commands = {} if entry.node and not entry.command else {"command": entry.command}
    if entry.build is not None:
        commands |= {"build.command": entry.build.command, "build.output": [entry.build.output]}
    for field, command in commands.items():
        if not command or not command[0]:
            yield f"`{field}`: it is empty: name the program to start"
    if any(form.transport == "tcp" for form in entry.forms.values()) and not entry.node:
        yield "`node`: it is empty, and a form's transport is tcp: name the node program to start"
    commands["node"] = entry.node
    commands |= {f"forms.{name}.arguments": form.arguments for name, form in entry.forms.items()}
    for field, command in commands.items():
        for found in re.findall(r"\{(\w+)\}", " ".join(command)):
            if found not in _PLACEHOLDERS:
                known = ", ".join(f"{{{name}}}" for name in _PLACEHOLDERS)
                yield f"`{field}`: {{{found}}} is no placeholder: choose from {known}"
    paths = {
        "core": entry.core,
        **{f"sources.{name}": patterns for name, patterns in entry.sources.items()},
        **{f"excerpts.{name}": places for name, places in entry.excerpts.items()},
    }
    for field, patterns in paths.items():
        for pattern in patterns:
            parts = Path(pattern).parts
            if not parts or Path(pattern).is_absolute() or ".." in parts:
                yield f"`{field}`: {pattern!a} leaves the project: name files below it"


def is_color(text: str) -> bool:
    """Whether a text is a colour as tables have it, safe in CSS and SVG."""
    return _COLOR.fullmatch(text) is not None


def is_marker(text: str) -> bool:
    """Whether a text is one of `MARKERS`."""
    return len(text) == 1 and text in MARKERS


def expand(arguments: list[str], **more: str) -> list[str]:
    """Fill the placeholders of a command."""
    # The interpreter's path is not resolved: a virtual environment is found by its link.
    values = {
        "python": sys.executable,
        "bin": os.path.dirname(sys.executable),
        "root": str(ROOT),
        "cache": str(CACHE),
        **more,
    }
    for placeholder, value in values.items():
        arguments = [argument.replace(f"{{{placeholder}}}", value) for argument in arguments]
    return arguments


def _is_fresh(output: Path, build: Build, root: Path) -> bool:
    made = _made(output)
    if not output.exists() or not made.exists():
        return False
    if made.read_text(encoding="utf-8") != _how(build, root):
        return False
    built = output.stat().st_mtime_ns
    return all(path.stat().st_mtime_ns <= built for path in _inputs(build, root))


def _made(output: Path) -> Path:
    """Return the file that says how `output` was made."""
    return output.with_name(output.name + ".made")


def _how(build: Build, root: Path) -> str:
    """Say how a program is made: what no file's time tells, such as a flag that is gone again."""
    command = expand(build.command, root=str(root))
    tool = shutil.which(command[0]) or command[0]
    facts: dict[str, object] = {
        "command": command,
        "env": build.env,
        # Another release of the compiler has another size, or another time.
        "tool": [tool, *_stamp(Path(tool))],
        "with": build.made_with,
        "inputs": [str(path.relative_to(root / build.cwd)) for path in _inputs(build, root)],
    }
    return msgspec.json.format(msgspec.json.encode(facts, order="deterministic")).decode() + "\n"


def _stamp(path: Path) -> tuple[int, ...]:
    if not path.exists():
        return ()
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _inputs(build: Build, root: Path) -> list[Path]:
    return sorted({path for glob in build.inputs for path in (root / build.cwd).glob(glob)})


def _run_build(output: Path, build: Build, root: Path) -> None:
    new = output.with_name(output.name + ".new")
    command = expand(build.command, root=str(root), output=str(new))
    started = time.time_ns()
    how = _how(build, root)
    try:
        done = subprocess.run(
            command,
            cwd=root / build.cwd,
            env=for_builds(build.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_BUILD_TIMEOUT_S,
            check=False,
        )
    except OSError as error:
        raise Unavailable(
            f"cannot build: {error.filename or command[0]}: {error.strerror}; "
            f"{how_to_install('go')} installs the toolchain"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"cannot build: not done after {_BUILD_TIMEOUT_S:g} s") from error
    if done.returncode != 0:
        said = done.stdout.decode(errors="backslashreplace").strip()
        raise Unavailable(f"cannot build: {' '.join(build.command)} failed:\n{said}")
    # Sources edited while the build ran are newer than it, and the program is replaced whole.
    os.utime(new, ns=(started, started))
    # Nothing is said of a program between two.
    _made(output).unlink(missing_ok=True)
    if output.is_dir():
        shutil.rmtree(output)
    new.replace(output)
    replace_file(_made(output), how)
