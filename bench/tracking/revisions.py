"""Two revisions of a project side by side, each in a git worktree of its own.

A revision is checked out whole, so that it brings its own contenders' table, builds from its own
sources and runs in its own directory: `python -m impl_x` takes the package from there. Both lie
at paths of the same length, because even that can change how fast a program runs (Mytkowicz et
al., "Producing wrong data without doing anything obviously wrong!", ASPLOS 2009).

The worktrees lie in the project's cache, in a directory that is locked by the process that made
it. It is removed when that process is done, interrupted or not; after one that was killed, by what
that had started for it (`contenders/guardian.py`), or else by the next one.
"""

from __future__ import annotations

import compileall
import contextlib
import fcntl
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from raftmark.bench.contenders.guardian import Guardian
from raftmark.bench.contenders.registry import ContenderSpec, RegistryError, load_contenders
from raftmark.bench.contenders.variants import TCP as MIXED
from raftmark.bench.contenders.variants import Contenders, programs_argv
from raftmark.bench.design.cells import TCP
from raftmark.bench.git import GitError, git

WORKING_TREE = "the working tree"
TABLE = Path("bench/contenders.toml")
"""Where a revision has its contenders' table, from the top of the project."""


_TESTS = re.compile(r"/tests/")
_SUBMODULE = "160000"  # The mode under which git files one.


class RevisionError(Exception):
    """A revision cannot be checked out or used; the message says why."""


class UnknownRevision(RevisionError):
    """There is no revision of such a name."""


class NoTable(RevisionError):
    """A revision has no contenders' table."""


class Revision(NamedTuple):
    """A commit, and what a person calls it. `commit` is None for the files as they lie there."""

    name: str
    commit: str | None

    def __str__(self) -> str:
        if self.commit is None:
            return self.name
        short = self.commit[:10]
        return short if self.commit.startswith(self.name) else f"{self.name} ({short})"


class Placed(ContenderSpec, frozen=True, kw_only=True):
    """A contender of a revision: built and launched in that revision's directory.

    As deployed its nodes are the programs of its `members`, in turn; none are there otherwise.
    """

    members: list[Placed] = msgspec.field(default_factory=list)

    @classmethod
    def of(cls, spec: ContenderSpec, directory: Path, name: str, label: str) -> Placed:
        """Return a contender as it is in `directory`, under a name of its own."""
        cache = str(directory / ".cache")

        def place(arguments: list[str]) -> list[str]:
            return [argument.replace("{cache}", cache) for argument in arguments]

        fields = {field: getattr(spec, field) for field in ContenderSpec.__struct_fields__}
        fields |= {"name": name, "label": label}
        fields |= {"command": place(spec.command), "replay": place(spec.replay)}
        fields["node"] = place(spec.node)
        if spec.build is not None:
            fields["build"] = msgspec.structs.replace(
                spec.build,
                command=place(spec.build.command),
                cwd=str(spec.directory / spec.build.cwd),
                output=place([spec.build.output])[0],
            )
        return cls(**fields)

    @classmethod
    def deployed(cls, name: str, label: str, members: Sequence[Placed]) -> Placed:
        """Return a cluster whose nodes are the programs of these, in turn."""
        first = members[0]
        env = {variable: value for each in members for variable, value in each.env.items()}
        return msgspec.structs.replace(
            first, name=name, label=label, members=list(members), env=env, replay=[]
        )

    @property
    def started_in(self) -> Path:
        """The revision's own directory, not where this harness's package is found."""
        return self.directory

    def argv(self) -> list[str]:
        """Return the command that launches it."""
        return programs_argv(self.name, self.members) if self.members else super().argv()

    def prepare(self) -> None:
        """Build every program that it needs."""
        super().prepare()
        for each in self.members:
            each.prepare()


class Repository:
    """The git repository of a project."""

    def __init__(self, path: Path) -> None:
        """Find the repository that `path` lies in. Raises `RevisionError` where there is none."""
        self.path = path
        self.path = Path(self._git("rev-parse", "--show-toplevel"))

    def resolve(self, name: str) -> Revision:
        """Find a revision. Raises `UnknownRevision` for one that is not there."""
        try:
            commit = self._git(
                "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
            )
        except RevisionError:
            shallow = self._git("rev-parse", "--is-shallow-repository") == "true"
            raise UnknownRevision(
                f"{name} is neither a run nor a revision of {self.path}"
                + "; this clone is shallow: fetch it first" * shallow
            ) from None
        return Revision(name, commit)

    @contextlib.contextmanager
    def checked_out(self, *revisions: Revision) -> Iterator[list[Path]]:
        """Check revisions out side by side, and remove them at the end.

        Raises `RevisionError` when that cannot be done.
        """
        cache = self.path / ".cache" / "revisions"
        with contextlib.ExitStack() as stack:
            try:
                cache.mkdir(parents=True, exist_ok=True)
                (cache / ".gitignore").write_text("*\n", encoding="utf-8")
                with _lock(cache, wait=True):
                    self._remove_abandoned(cache)
                    place = Path(tempfile.mkdtemp(prefix="", dir=cache))
                    stack.enter_context(_lock(place))
                guardian = stack.enter_context(Guardian())
                stack.enter_context(guardian.afterwards(_command_to_tidy(self.path)))
            except OSError as error:
                raise RevisionError(f"cannot use {error.filename}: {error.strerror}") from error
            try:
                yield [
                    self._check_out(revision, place / str(number))
                    for number, revision in enumerate(revisions)
                ]
            finally:
                self._remove(place)

    def submodules(self, revision: Revision) -> list[str]:
        """Return the paths of a revision's submodules, which a worktree has not got."""
        listed = (
            self._git("ls-files", "-z", "--stage")
            if revision.commit is None
            else self._git("ls-tree", "-r", "-z", revision.commit)
        )
        entries = [entry.partition("\t") for entry in _names(listed)]
        return [_printable(name) for mode, _, name in entries if mode.startswith(_SUBMODULE)]

    def _check_out(self, revision: Revision, path: Path) -> Path:
        commit = revision.commit or self._git("rev-parse", "--verify", "HEAD")
        # Whole, also where the user has chosen to see only a part.
        add = ("worktree", "add", "--quiet", "--detach", str(path), commit)
        self._git(*add, config=["core.sparseCheckout=false"])
        if revision.commit is None:
            self._copy_changes(commit, path)
        # Neither is to write its bytecode while it is measured.
        compileall.compile_dir(path, quiet=2, workers=1, rx=_TESTS)
        return path

    def _copy_changes(self, commit: str, path: Path) -> None:
        """Bring a checkout of a commit to what the files are now, staged or not.

        What is to be removed goes first: a file may have become a directory, or the reverse. Names
        that lead through a link are left alone; what they lead to is no file of the project.
        """
        differing = ("diff-index", "-z", "--name-only", "--no-renames")
        for name in _names(self._git(*differing, "--diff-filter=a", commit)):
            if not (path / name).is_dir() or (path / name).is_symlink():
                (path / name).unlink(missing_ok=True)
        changed = self._git(*differing, commit)
        added = self._git("ls-files", "-z", "--others", "--exclude-standard")
        for name in [*_names(changed), *_names(added)]:
            if not _leads_through_link(self.path, name):
                self._copy(name, path)

    def _copy(self, name: str, path: Path) -> None:
        source, target = self.path / name, path / name
        try:
            if not source.is_symlink() and not source.is_file():
                return
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
        except OSError as error:
            raise RevisionError(f"cannot copy {_printable(name)}: {error.strerror}") from error

    def tidy(self) -> None:
        """Remove what processes left behind that were killed."""
        cache = self.path / ".cache" / "revisions"
        if cache.exists():
            with _lock(cache, wait=True):
                self._remove_abandoned(cache)

    def _remove_abandoned(self, cache: Path) -> None:
        for place in cache.glob("*/"):
            with _lock(place) as locked:
                if locked:
                    self._remove(place)

    def _remove(self, place: Path) -> None:
        """Remove checkouts, and git's notes of them; those of the user's worktrees stay."""
        shutil.rmtree(place, ignore_errors=True)
        if place.exists():
            raise RevisionError(f"cannot remove {place}; remove it by hand, then prune worktrees")
        for line in self._git("worktree", "list", "--porcelain").splitlines():
            worktree = line.removeprefix("worktree ")
            if worktree != line and Path(worktree).is_relative_to(place):
                self._git("worktree", "remove", "--force", "--force", worktree)

    def _git(self, *arguments: str, config: Sequence[str] = ()) -> str:
        try:
            return git(*arguments, cwd=self.path, config=config)
        except GitError as error:
            raise RevisionError(str(error)) from error


def contenders_of(
    directory: Path, table: Path, side: str, asked: Collection[str] = ()
) -> dict[str, Placed]:
    """Return the contenders of a checked-out revision, by the names in its own table.

    With them those clusters of programs that are `asked` for, as far as the revision has them. As
    contenders of a run they are called `NAME@SIDE`. Raises `NoTable` when the revision has
    none, and `RevisionError` when it cannot be read.
    """
    if not (directory / table).exists():
        raise NoTable(f"{side} has no contenders' table {table}")
    try:
        specs = load_contenders(directory / table)
    except RegistryError as error:
        raise RevisionError(f"{side}: {error}") from error
    found = {
        name: Placed.of(spec, directory, f"{name}@{side}", f"{spec.label}, {side}")
        for name, spec in specs.items()
    }
    for name in asked:
        if name not in found and (members := _members(name, specs)):
            placed = [Placed.of(each, directory, each.name, each.label) for each in members]
            label = Contenders(specs)[name].label
            found[name] = Placed.deployed(f"{name}@{side}", f"{label}, {side}", placed)
    return found


def _members(name: str, specs: Mapping[str, ContenderSpec]) -> list[ContenderSpec]:
    """Return whose programs a cluster of programs has; none where this is the name of no such."""
    if name.startswith(MIXED):
        members = [specs.get(each) for each in name.removeprefix(MIXED).split("+")]
        return [each for each in members if each is not None and each.node] * (None not in members)
    base, _, form = name.partition("@")
    spec = specs.get(base)
    chosen = None if spec is None else spec.forms.get(form)
    if spec is None or chosen is None or chosen.transport != TCP or chosen.compiles:
        return []
    return [msgspec.structs.replace(spec, node=[*spec.node, *chosen.arguments])]


def _names(listed: str) -> list[str]:
    return [name for name in listed.split("\0") if name]


def _printable(name: str) -> str:
    return os.fsencode(name).decode(errors="backslashreplace")


def _leads_through_link(root: Path, name: str) -> bool:
    return any((root / parent).is_symlink() for parent in Path(name).parents)


def _command_to_tidy(project: Path) -> list[str]:
    return [sys.executable, "-m", __name__, str(project)]


@contextlib.contextmanager
def _lock(place: Path, *, wait: bool = False) -> Iterator[bool]:
    """Lock a directory until the end or this process's death, if no other process has."""
    file = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(file)


if __name__ == "__main__":
    Repository(Path(sys.argv[1])).tidy()
