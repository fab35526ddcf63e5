"""All that the project asks git: one place, so that git always answers for the directory it is in.

Whoever runs the harness from a git hook has git's variables set: which repository, which index,
which objects. Inherited, they would let a checkout of ours be written into the index of a commit
that is being made. Here they are dropped, as git itself drops them for a submodule; nor does a hook
of the user's run, or a lock of theirs get taken, because a figure is wanted.
"""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

_CONFIG = (f"core.hooksPath={os.devnull}", "core.fsmonitor=false")
_ADDED = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}


class GitError(Exception):
    """git is not there, or refused; the message is what it said, in one line."""


def git(*arguments: str, cwd: Path, config: Sequence[str] = ()) -> str:
    """Run git in a directory and return what it prints. Raises `GitError` when it fails.

    `config` are settings for this time only, as `name=value`. Names of files come as Python has
    them everywhere: bytes that are no UTF-8 are kept.
    """
    options = [option for setting in (*_CONFIG, *config) for option in ("-c", setting)]
    try:
        done = subprocess.run(
            ["git", *options, *arguments],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env=environment() | _ADDED,
        )
    except OSError as error:
        raise GitError(f"cannot run git: {error.strerror}") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.decode(errors="backslashreplace").split())
        raise GitError(f"git {arguments[0]}: {said or f'exit status {done.returncode}'}")
    return os.fsdecode(done.stdout).strip("\n")


def revision(directory: Path) -> dict[str, object] | None:
    """Return the commit of a directory's files, and whether they differ from it (`dirty`).

    None outside of git, and before the first commit.
    """
    try:
        commit = git("rev-parse", "--verify", "HEAD", cwd=directory)
        changes = git("status", "--porcelain", "--untracked-files=normal", cwd=directory)
    except GitError:
        return None
    return {"commit": commit, "dirty": bool(changes)}


def top(directory: Path) -> Path | None:
    """Return the top of the working tree that a directory lies in, None outside of one."""
    try:
        return Path(git("rev-parse", "--show-toplevel", cwd=directory))
    except GitError:
        return None


def environment() -> dict[str, str]:
    """Return this process's environment without what would lead git to another repository."""
    local = _local_variables()
    return {name: value for name, value in os.environ.items() if name not in local}


@functools.cache
def _local_variables() -> frozenset[str]:
    """Return the variables that belong to one repository, as the git that is here has them."""
    sound = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--local-env-vars"], env=sound, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return frozenset()
    return frozenset(done.stdout.decode().split())
