"""What an actor leaves on its host, whatever becomes of the actor: nothing.

It has one directory, which all that it starts knows by an environment variable. A process beside it
reads from a pipe that only the actor holds, and so outlives it by a moment, in which it ends those
processes and removes the directory. Ray kills what an actor has started itself, with the actor: so
it is no child of the actor's, but a grandchild (`python -m raftmark.hosts.hearth DIRECTORY`).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from raftmark.bench.contenders.orphans import end_orphans, environment
from raftmark.bench.contenders.places import CACHE, start_directory


class Hearth:
    """An actor's directory. It is on a disk, where a directory for temporary files often is not."""

    def __init__(self, place: Path = CACHE / "hosts") -> None:
        """Raises OSError where there can be none."""
        place.mkdir(parents=True, exist_ok=True)
        self.path = Path(tempfile.mkdtemp(dir=place))
        process = subprocess.Popen(
            [sys.executable, "-m", "raftmark.hosts.hearth", str(self.path)],
            cwd=start_directory(),
            stdin=subprocess.PIPE,
        )
        if process.wait() != 0:
            raise OSError(f"nobody would remove {self.path}")
        self._pipe = process.stdin

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which what is started is found again."""
        return environment(self.path)


def clear(directory: Path) -> list[int]:
    """End the processes of a directory, and remove it; returns those that do not end."""
    left = end_orphans(directory)
    shutil.rmtree(directory, ignore_errors=True)
    return left


def _main(directory: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if os.fork():
        return
    os.setsid()
    sys.stdin.buffer.read()  # Nothing comes but the end.
    if left := clear(directory):
        print(f"processes do not end: {', '.join(map(str, left))}", file=sys.stderr)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
