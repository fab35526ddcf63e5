"""What an actor leaves on its host, whatever becomes of the actor: nothing.

It has one directory, which all that it starts knows by an environment variable. When the actor has
ended, in good order or killed, a guardian beside it ends those processes and removes the directory:
`python -m raftmark.hosts.hearth DIRECTORY`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from raftmark.bench.contenders.guardian import Guardian
from raftmark.bench.contenders.orphans import end_orphans, environment
from raftmark.bench.contenders.places import CACHE


class Hearth:
    """An actor's directory. It is on a disk, where a directory for temporary files often is not."""

    def __init__(self, place: Path = CACHE / "hosts") -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.path = Path(tempfile.mkdtemp(dir=place))
        self._guardian = Guardian()
        command = [sys.executable, "-m", "raftmark.hosts.hearth", str(self.path)]
        self._afterwards = self._guardian.afterwards(command)
        self._afterwards.__enter__()

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which what is started is found again."""
        return environment(self.path)


def clear(directory: Path) -> list[int]:
    """End the processes of a directory, and remove it; returns those that do not end."""
    left = end_orphans(directory)
    shutil.rmtree(directory, ignore_errors=True)
    return left


if __name__ == "__main__":
    if pids := clear(Path(sys.argv[1])):
        print(f"processes do not end: {', '.join(map(str, pids))}", file=sys.stderr)
        sys.exit(1)
