"""Small git repositories of projects whose contenders are the stub."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from raftmark.bench import git as plain_git

from .support import FAKES, write_table

STUB = ["{python}", "{root}/stub.py"]
IDENTITY = ("-c", "user.name=Nobody", "-c", "user.email=nobody@localhost")


def git(*arguments: str, cwd: Path, **environment: str) -> str:
    """Run git as somebody who has set nothing up; return what it prints."""
    done = subprocess.run(
        ["git", *IDENTITY, *arguments],
        cwd=cwd,
        env={
            **plain_git.environment(),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Project:
    """A repository with a contenders' table and the stub in it."""

    def __init__(self, path: Path, contenders: Mapping[str, list[str]] = {"a": STUB}) -> None:
        self.path = path
        (path / "bench").mkdir(parents=True)
        (path / ".gitignore").write_text("results/\n.cache/\n__pycache__/\n")
        shutil.copy(FAKES / "stub.py", path / "stub.py")
        self.set_table(contenders)
        self.git("init", "--quiet", "--initial-branch", "main")
        self.commit()

    def set_table(self, contenders: Mapping[str, list[str]]) -> None:
        write_table(self.path / "bench" / "contenders.toml", dict(contenders))

    def edit_stub(self, old: str, new: str) -> None:
        stub = self.path / "stub.py"
        text = stub.read_text()
        assert old in text
        stub.write_text(text.replace(old, new))

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "Change something")
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str, **environment: str) -> str:
        return git(*arguments, cwd=self.path, **environment)

    def worktrees(self) -> list[str]:
        """The worktrees besides the repository itself, and what is left of them."""
        listed = self.git("worktree", "list", "--porcelain").splitlines()
        paths = [line.partition(" ")[2] for line in listed if line.startswith("worktree ")]
        left = (self.path / ".cache" / "revisions").glob("*/")
        return [path for path in paths if Path(path) != self.path] + [str(path) for path in left]
