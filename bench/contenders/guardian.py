"""Whoever is stopped has somebody who lives: a process that ends what a killed harness had begun.

A contender ends with its standard input, and so with its harness. One that is stopped does not even
see that, and would stand there for ever. No handler runs in a harness that is killed outright
(SIGKILL), and what Linux can send to the children of a dead process, it sends to no grandchildren,
and macOS not at all. So a harness that stops processes starts this program beside it, and tells it
through a pipe whom; when the pipe ends, for whatever reason, it kills those that were not released.
What else is to be done after a harness that cannot do it any more, is a command that it then runs.

This file is run by itself: it needs the standard library alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_GUARD, _RELEASE, _AFTERWARDS, _NEVER_MIND = "guard", "release", "afterwards", "never_mind"


class Guardian:
    """The guardian of one harness. A context manager, at whose end it is gone."""

    def __init__(self) -> None:
        """Start it, in a session of its own: no Ctrl-C at the terminal reaches it.

        Raises OSError when it cannot be started.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            encoding="utf-8",
            bufsize=1,
        )
        assert self._process.stdout is not None
        with self._process.stdout as output:
            output.readline()  # No signal but SIGKILL ends it from here on.

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # It was killed.
            self._process.stdin.close()
        self._process.wait()

    def guard(self, targets: Iterable[int]) -> None:
        """Let it kill these if this process ends: pids, or negative, process groups.

        It has to be told as often to forget them.

        Raises OSError when it has died.
        """
        self._tell(_GUARD, targets)

    def release(self, targets: Iterable[int]) -> None:
        """Let it forget these; one that has died has forgotten them already."""
        with contextlib.suppress(BrokenPipeError):
            self._tell(_RELEASE, targets)

    @contextlib.contextmanager
    def afterwards(self, command: Sequence[str]) -> Iterator[None]:
        """Let it run a command if this process ends before the block does.

        Raises OSError when it has died.
        """
        encoded = json.dumps(list(command))
        self._tell(_AFTERWARDS, [encoded])
        try:
            yield
        finally:
            with contextlib.suppress(BrokenPipeError):
                self._tell(_NEVER_MIND, [encoded])

    def _tell(self, what: str, arguments: Iterable[object]) -> None:
        assert self._process.stdin is not None
        for argument in arguments:
            self._process.stdin.write(f"{what} {argument}\n")


def _main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    print("ready", flush=True)
    guarded: Counter[str] = Counter()
    commands: Counter[str] = Counter()
    for line in sys.stdin:
        what, _, argument = line.rstrip("\n").partition(" ")
        its = guarded if what in (_GUARD, _RELEASE) else commands
        its[argument] += 1 if what in (_GUARD, _AFTERWARDS) else -1
    for target in +guarded:
        # Who may not be killed could not be stopped, and must not save the others.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(int(target), signal.SIGKILL)
    for command in +commands:
        subprocess.run(json.loads(command), stdin=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    _main()
