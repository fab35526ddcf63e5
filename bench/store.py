"""A run's results on disk: results/<run>/.

- `run.json`, the manifest, written once (and again when the run is resumed): what is measured,
  with which contenders, on which machine;
- `trials.jsonl`, one line a trial, appended as it ends and never changed;
- `logs/`, what failed trials wrote to standard error.

A process that is killed while it appends leaves a torn last line, without a newline. Readers
ignore it and count it in `Run.torn`; the next append cuts it off, and the trial is run again. Any
other line that cannot be read is damage, and refused with file and line.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from bench.cost import Cost, MachineState
from bench.specification import Cell, Specification

SCHEMA = 1


class StoreError(Exception):
    """A run cannot be read or written; the message names the file and says what to do."""


class ContenderEntry(msgspec.Struct, frozen=True):
    """A contender of a run: its answer to `hello`, or why it could not run.

    `base` is the entry of the contenders' table that it is a form of, None if it is that entry
    itself: on another interpreter or loop, or, as a `twin`, the very same once more, which shows
    what differs where nothing does.
    """

    name: str
    label: str
    hello: dict[str, Any] | None
    unavailable: str | None
    base: str | None = None
    twin: bool = False

    def lacks(self, cell: Cell) -> frozenset[str]:
        """Return what the cell needs and the contender, by its `hello`, does not offer.

        It is then not asked for the cell, which is neither a failure nor a gap.
        """
        return frozenset() if self.hello is None else cell.needs - set(self.hello["features"])


class Resumption(msgspec.Struct, frozen=True):
    """A later time at which the run went on, and the environment as it was then."""

    at: str
    environment: dict[str, Any]


class Manifest(msgspec.Struct, frozen=True):
    """What a run is. Times are ISO 8601 in UTC."""

    run: str
    profile: str
    seed: int
    started_at: str
    specification: Specification
    contenders: list[ContenderEntry]
    environment: dict[str, Any]
    resumptions: list[Resumption] = []
    schema: int = SCHEMA


Stage = Literal["launch", "start", "run", "check", "stop"]


class Failure(msgspec.Struct, frozen=True):
    """Why a trial failed: at which stage, and the end of what the contender said of it."""

    stage: Stage
    message: str
    stderr: str = ""


class CheckOutcome(msgspec.Struct, frozen=True):
    """What the safety check found: its problems, and the number of log entries it read."""

    passed: bool
    problems: list[str]
    entries: int


class Trial(msgspec.Struct, frozen=True):
    """One trial; `result` is the contender's own, as it came."""

    trial: str
    cell: str
    block: int
    order: int
    contender: str
    status: Literal["ok", "failed"]
    failure: Failure | None
    result: dict[str, Any] | None
    check: CheckOutcome | None
    cost: Cost | None
    machine: MachineState | None
    started_at: str
    duration_s: float
    schema: int = SCHEMA


def now() -> str:
    """Return the time of day as the store writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def free_name(results: Path, profile: str) -> str:
    """Return a name for a new run in `results`: the time of day and the profile."""
    stem = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{profile}"
    names = (stem if number == 1 else f"{stem}-{number}" for number in itertools.count(1))
    return next(name for name in names if not (results / name).exists())


class Run:
    """A run: its manifest and its trials so far, in the order in which they ended."""

    def __init__(self, path: Path, manifest: Manifest, trials: list[Trial], torn: int) -> None:
        self.path = path
        self.manifest = manifest
        self.trials = trials
        self.torn = torn

    @property
    def logs(self) -> Path:
        """Where the standard error of failed trials is kept."""
        return self.path / "logs"

    @classmethod
    def create(cls, results: Path, manifest: Manifest) -> Run:
        """Make the run's directory in `results`, and make it the latest."""
        path = results.resolve() / manifest.run
        with explained(path):
            results.mkdir(parents=True, exist_ok=True)
            path.mkdir()
            (path / "logs").mkdir()
            (path / "trials.jsonl").touch()
            _write_manifest(path, manifest)
        _point_latest_to(path)
        return cls(path, manifest, [], torn=0)

    @classmethod
    def open(cls, path: Path) -> Run:
        """Read a run. Raises `StoreError` when `path` is not one or is damaged."""
        path = path.resolve()
        manifest_path, trials_path = path / "run.json", path / "trials.jsonl"
        if not manifest_path.is_file():
            raise StoreError(f"{path} is not a run: it has no {manifest_path.name}")
        with explained(manifest_path):
            try:
                manifest = msgspec.json.decode(manifest_path.read_bytes(), type=Manifest)
            except msgspec.DecodeError as error:
                raise StoreError(f"{manifest_path} is damaged: {error}") from error
        if manifest.schema != SCHEMA:
            raise StoreError(
                f"{manifest_path} has schema {manifest.schema}, not {SCHEMA}: "
                "read it with the version of raftmark that wrote it"
            )
        with explained(trials_path):
            content = trials_path.read_bytes() if trials_path.exists() else b""
        *lines, tail = content.split(b"\n")
        return cls(path, manifest, list(_decode(trials_path, lines)), torn=1 if tail else 0)

    def append(self, trial: Trial) -> None:
        """Add a trial and see it safely on disk before returning.

        Raises `StoreError` when it cannot be written; what was written before stays readable.
        """
        path = self.path / "trials.jsonl"
        line = msgspec.json.encode(trial) + b"\n"
        with explained(path), path.open("r+b", buffering=0) as file:
            if self.torn:
                file.truncate(file.readall().rfind(b"\n") + 1)
                self.torn = 0
            end = file.seek(0, os.SEEK_END)
            try:
                while line:
                    line = line[file.write(line) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise
        self.trials.append(trial)

    def resume(self, environment: dict[str, Any]) -> None:
        """Note in the manifest that the run goes on."""
        resumption = Resumption(at=now(), environment=environment)
        self.manifest = msgspec.structs.replace(
            self.manifest, resumptions=[*self.manifest.resumptions, resumption]
        )
        with explained(self.path):
            _write_manifest(self.path, self.manifest)

    def lock(self) -> _Lock:
        """Return a context in which no other process can add to this run."""
        return _Lock(self.path / "trials.jsonl")


class _Lock:
    """An exclusive lock that ends with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        with explained(self._path):
            self._file = self._path.open("rb")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise StoreError(f"{self._path.parent} is being measured by another process") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


def _decode(path: Path, lines: list[bytes]) -> Iterator[Trial]:
    decoder = msgspec.json.Decoder(Trial)
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        try:
            trial = decoder.decode(line)
        except msgspec.DecodeError as error:
            raise StoreError(
                f"{path}, line {number} is damaged: {error}; "
                "restore the file, or delete that line to lose its trial"
            ) from error
        if trial.schema != SCHEMA:
            raise StoreError(f"{path}, line {number} has schema {trial.schema}, not {SCHEMA}")
        if trial.trial in seen:
            raise StoreError(f"{path}, line {number} repeats trial {trial.trial}")
        seen.add(trial.trial)
        yield trial


def _write_manifest(path: Path, manifest: Manifest) -> None:
    encoded = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    new = path / "run.json.new"
    new.write_bytes(encoded + b"\n")
    new.replace(path / "run.json")


def _point_latest_to(path: Path) -> None:
    """Let the link `latest` beside a run name it, where the file system has links."""
    latest = path.parent / "latest"
    if latest.exists() and not latest.is_symlink():
        return  # Somebody's own file of that name is not ours to replace.
    new = path.parent / f".latest-{os.getpid()}"
    with contextlib.suppress(OSError):  # The link is a convenience that no result depends on.
        new.symlink_to(path.name)
        new.replace(latest)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an `OSError` over a run's files into a `StoreError` that says what to do."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot use {error.filename or path}: {error.strerror}; "
            "make room or permit it, or choose another --results"
        ) from error
