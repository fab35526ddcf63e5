"""A run's results on disk: results/<run>/.

- `run.json`, the manifest, written once (and again when the run is resumed): what is measured,
  with which contenders, on which machine;
- `trials.jsonl`, one line a trial, appended as it ends and never changed;
- `logs/`, what failed trials wrote to standard error.

The directory appears under its name with all of these or not at all, and the manifest is replaced
whole. A process that is killed while it appends leaves a torn last line, without a newline.
Readers ignore it and count it in `Run.torn`; the next append cuts it off, and the trial is run
again. Any other line that cannot be read is damage, and refused with file and line.

Whatever else a killed process leaves (its contender, a data directory, the log of the trial under
way) is ended and removed by the next one that locks the run.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from raftmark.bench.contenders.orphans import end_orphans
from raftmark.bench.design.specification import Cell
from raftmark.bench.files import NEW, read_file, replace_file
from raftmark.bench.runs.forms import SCHEMA, Elsewhere, Failure, Manifest, Resumption, Trial
from raftmark.bench.runs.results import RESULT_TYPES, parse_result
from raftmark.bench.runs.shapes import misshapen

MANIFEST, TRIALS, LOGS = "run.json", "trials.jsonl", "logs"
DATA_PREFIX = "data-"
"""What the names of the directories begin with in which contenders keep their data meanwhile."""

# A process that was killed holds its lock until the system has taken it down.
_LOCK_PATIENCE_S = 2.0


# Far above any run that was measured: what is longer, or has more, is not read into memory.
_LONGEST_MANIFEST, LONGEST_FILE = 2**26, 2**32
_MOST_TRIALS = 10**6


class StoreError(Exception):
    """A run cannot be read or written; the message names the file and says what to do."""


class OtherForm(StoreError):
    """A file of a run is of a form that this version does not read, which is no damage."""


class _AnyForm(msgspec.Struct):
    schema: int | None = None


class _Form(Protocol):
    @property
    def schema(self) -> int: ...


T = TypeVar("T", bound=_Form)


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
        return self.path / LOGS

    def place(self, *names: str) -> Path:
        """Return a directory in the run's own, made if it is not there; `StoreError` for a link."""
        path = self.path.joinpath(*names)
        if path.resolve() != path:
            raise StoreError(f"{path} is a link: put what it leads to in its place")
        with explained(path, "name another place with -o"):
            path.mkdir(parents=True, exist_ok=True)
        return path

    @classmethod
    def create(cls, results: Path, manifest: Manifest) -> Run:
        """Make the run's directory in `results`, and make it the latest.

        Where another run has taken its name meanwhile, it gets the next one.
        """
        path = results.resolve() / manifest.run
        new = path.with_name(f".{path.name}-{os.getpid()}{NEW}")
        try:
            with explained(path):
                results.mkdir(parents=True, exist_ok=True)
                new.mkdir()
                (new / LOGS).mkdir()
                (new / TRIALS).touch()
                _write_manifest(new, manifest)
                while not _renamed(new, path):
                    name = free_name(results, manifest.profile)
                    path = path.with_name(name)
                    manifest = msgspec.structs.replace(manifest, run=name)
                    _write_manifest(new, manifest)
                _sync_directory(path.parent)
        finally:
            shutil.rmtree(new, ignore_errors=True)  # It is there where it could not be finished.
        _point_latest_to(path)
        return cls(path, manifest, [], torn=0)

    @classmethod
    def open(cls, path: Path) -> Run:
        """Read a run. Raises `StoreError` when `path` is not one or is damaged.

        A trial that is said to be ok, but whose result is none of its cell's, has failed: that
        costs the trial, and no figure is made of it.
        """
        path = path.resolve()
        require_run(path)
        manifest = read_manifest(path / MANIFEST)
        lines, torn = read_lines(path / TRIALS)
        return cls(path, manifest, list(_decode(path / TRIALS, lines, manifest)), torn)

    def append(self, trial: Trial) -> None:
        """Add a trial and see it safely on disk before returning.

        Raises `StoreError` when it cannot be written; what was written before stays readable.
        """
        path = self.path / TRIALS
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

    def resume(self, environment: dict[str, Any], elsewhere: Elsewhere | None = None) -> None:
        """Note in the manifest that the run goes on, and on which hosts."""
        resumption = Resumption(at=now(), environment=environment)
        self.manifest = msgspec.structs.replace(
            self.manifest,
            resumptions=[*self.manifest.resumptions, resumption],
            asked=msgspec.structs.replace(self.manifest.asked, elsewhere=elsewhere),
        )
        with explained(self.path):
            _write_manifest(self.path, self.manifest)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Let no other process add to this run, and take over from the one before.

        The run is read again, since that one may have added to it; the contender that it left
        running is ended, and what else it left is removed. The lock ends with this process,
        however that ends. Raises `StoreError` when another process holds it.
        """
        with _locked(self.path / TRIALS):
            if left := end_orphans(self.path):
                pids = ", ".join(map(str, left))
                raise StoreError(f"{self.path} is still used by processes that do not end: {pids}")
            again = Run.open(self.path)
            self.manifest, self.trials, self.torn = again.manifest, again.trials, again.torn
            with explained(self.path):
                for leftover in self.leftovers():
                    shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            yield

    def leftovers(self) -> list[Path]:
        """Return what belongs to no trial that has ended: of one under way, or cut short."""
        logs = {trial.log for trial in self.trials}
        return sorted(
            [
                *self.path.glob(f"{DATA_PREFIX}*"),
                *self.path.glob(f"*{NEW}"),
                *(log for log in self.logs.glob("*.stderr") if log.name not in logs),
            ]
        )


def require_run(path: Path) -> None:
    """Raise `StoreError` where there is no run, or one that leads out of its directory.

    What a run keeps lies in its directory: a link in it could have other files read as its own, or
    written and removed by the next command.
    """
    with explained(path):
        if not os.path.lexists(path / MANIFEST):
            raise StoreError(f"{path} is not a run: it has no {MANIFEST}")
        for entry in sorted(path.iterdir()):
            if entry.is_symlink():
                raise StoreError(f"{entry} is a link: put what it leads to in its place")


def read_manifest(path: Path) -> Manifest:
    """Read `run.json`. Raises `StoreError` when it is damaged or of another schema."""
    with explained(path):
        content = read_file(path, _LONGEST_MANIFEST)
    manifest = decoded(content, Manifest, str(path))
    for fault in _faults(manifest):
        raise StoreError(f"{path} is damaged: {fault}")
    return manifest


def read_lines(path: Path) -> tuple[list[bytes], int]:
    """Return the whole lines of `trials.jsonl`, and how many (0 or 1) are torn."""
    with explained(path):
        *lines, tail = read_file(path, LONGEST_FILE).split(b"\n")
    return lines, 1 if tail else 0


def decoded(content: bytes, form: type[T], where: str, remedy: str = "", known: int = SCHEMA) -> T:
    """Decode JSON that a run keeps, of a type with a field `schema`.

    Raises `OtherForm` when that is not the one that is `known`, however the rest looks, and
    `StoreError` for damage; `where` and `remedy` are for their messages.
    """
    fault, found = "", None
    schema: int | None
    try:
        found = msgspec.json.decode(content, type=form)
        schema = found.schema
    except (msgspec.DecodeError, RecursionError) as error:
        fault, schema = str(error), _schema_of(content)
    if schema not in (None, known):
        raise OtherForm(
            f"{where} has schema {schema}, not {known}: "
            "read it with the version of raftmark that wrote it"
        )
    if found is None:
        raise StoreError(f"{where} is damaged: {fault}{f'; {remedy}' if remedy else ''}")
    return found


def _schema_of(content: bytes) -> int | None:
    try:
        return msgspec.json.decode(content, type=_AnyForm).schema
    except (msgspec.DecodeError, RecursionError):
        return None


def _faults(manifest: Manifest) -> Iterator[str]:
    """Yield what is wrong with a manifest that has the right form."""
    for at in (manifest.started_at, *(resumption.at for resumption in manifest.resumptions)):
        if not _is_time(at):
            yield f"{at!a} is no time of day with its zone"
    cells, contenders = manifest.specification.cells, manifest.contenders
    for what, names in (
        ("cell", [cell.id for cell in cells]),
        ("contender", [entry.name for entry in contenders]),
    ):
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            yield f"{what} {twice[0]!a} is there twice"
    names = [manifest.run, manifest.profile, *(cell.id for cell in cells)]
    names += [name for entry in contenders for name in (entry.name, entry.label, entry.base or "-")]
    for name in names:
        if not (name and name.isprintable()):
            yield f"{name!a} is no name that can be printed"
    if manifest.specification.blocks * len(cells) * len(contenders) > _MOST_TRIALS:
        yield f"it has more than {_MOST_TRIALS:,} trials"
    yield from misshapen(manifest)
    for cell in cells:
        if cell.workload["name"] not in RESULT_TYPES:
            yield f"cell {cell.id!a} has no workload that is known here"


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    with explained(path):
        file = path.open("rb")
    with file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"{path.parent} is being measured by another process"
                    ) from None
                time.sleep(0.02)
        yield


def _decode(path: Path, lines: list[bytes], manifest: Manifest) -> Iterator[Trial]:
    cells = {cell.id: cell for cell in manifest.specification.cells}
    contenders = {entry.name for entry in manifest.contenders}
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        here = f"{path}, line {number}"
        remedy = "restore the file, or delete that line to lose its trial"
        trial = decoded(line, Trial, here, remedy)
        if trial.trial in seen:
            raise StoreError(f"{here} repeats trial {trial.trial}")
        if trial.cell not in cells or trial.contender not in contenders:
            raise StoreError(f"{here}: {MANIFEST} knows no {trial.cell!a} of {trial.contender!a}")
        seen.add(trial.trial)
        yield _believed(trial, cells[trial.cell])


def _believed(trial: Trial, cell: Cell) -> Trial:
    """Return a trial as it came, or as failed where its result is none of its cell's."""
    if trial.status != "ok":
        return trial
    try:
        parse_result(cell.workload["name"], trial.result or {})
    except msgspec.ValidationError as error:
        failure = Failure("check", f"its result is none of {cell.workload['name']}: {error}")
        return msgspec.structs.replace(trial, status="failed", failure=failure)
    return trial


def _write_manifest(directory: Path, manifest: Manifest) -> None:
    encoded = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    replace_file(directory / MANIFEST, encoded + b"\n", synced=True)
    _sync_directory(directory)


def _sync_directory(path: Path) -> None:
    """See a directory's entries safely on disk: a file's own fsync does not do that."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _point_latest_to(path: Path) -> None:
    """Let the link `latest` beside a run name it, where the file system has links."""
    latest = path.parent / "latest"
    if latest.exists() and not latest.is_symlink():
        return  # Somebody's own file of that name is not ours to replace.
    new = path.parent / f".latest-{os.getpid()}"
    with contextlib.suppress(OSError):  # The link is a convenience that no result depends on.
        new.symlink_to(path.name)
        new.replace(latest)


def _renamed(directory: Path, path: Path) -> bool:
    """Rename a directory; return whether that was possible, because nothing was there."""
    try:
        directory.rename(path)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        return False
    return True


@contextlib.contextmanager
def explained(
    path: Path, remedy: str = "make room or permit it, or choose another --results"
) -> Iterator[None]:
    """Turn an `OSError` over a run's files into a `StoreError` that says what to do."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot use {error.filename or path}: {error.strerror}; {remedy}"
        ) from error
