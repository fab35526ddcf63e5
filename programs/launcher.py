"""How a node's program is started, and its pipe: here as a child of this process.

Where else a program may run, another launcher starts it there: `raftmark.hosts` on other hosts.
"""

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import IO, NamedTuple, Protocol

from raftmark.programs.clocks import Look

READ_SIZE = 1 << 16


class Command(NamedTuple):
    """A node program as it is started. `name` is what it is called, its contender's name."""

    name: str
    argv: Sequence[str]
    directory: str = "."


class Pipe(Protocol):
    """A node's program that was started, and both ends of its pipe. Any thread may call.

    `host` is where it runs, None where that is this host.
    """

    @property
    def host(self) -> str | None:
        """Where it runs."""

    def look(self) -> Look | None:
        """Look at the clock of its host once; None where that is this one's, or is gone."""

    def write(self, data: bytes, deadline_s: float) -> None:
        """Write all of it, whoever else does. TimeoutError if it is not taken by then (a clock's
        monotonic time); OSError if the program is gone.
        """

    def read(self) -> bytes:
        """What it says next, empty at the end."""

    def kill(self) -> None:
        """Kill it, if it runs."""

    def end(self, patience_s: float) -> str:
        """Close the pipe and wait for its end, though not for ever: it is killed then.

        How it has ended, in words.
        """


class Launcher(Protocol):
    """Starts node programs."""

    def place(self, nodes: Sequence[int]) -> None:
        """Find a place for each of these nodes' programs. OSError where there is none."""

    def directory(self, node: int, data_dir: str) -> str:
        """Where a node keeps its data, of a cluster that has this directory. OSError."""

    def address(self, node: int) -> str:
        """Where a node is to listen, so that the others reach it. Port 0 is any that is free."""

    def launch(self, node: int, command: Command) -> Pipe:
        """Start a program for a node. OSError where that cannot be."""


class Child:
    """A child process, in a process group of its own: a terminal's Ctrl-C is not for it.

    In its parent's session, though: when that is killed the system continues a child that was
    stopped, which then finds the end of its input as the others do.
    """

    host: str | None = None

    def __init__(
        self,
        command: Command,
        env: Mapping[str, str] | None = None,
        stderr: IO[bytes] | None = None,
    ) -> None:
        """`env` and `stderr` are this process's own where they are None."""
        self._process = subprocess.Popen(
            command.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=env,
            cwd=command.directory,
            process_group=0,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self.pid = self._process.pid
        os.set_blocking(self._stdin.fileno(), False)

    def look(self) -> None:
        """It has the clock of this process."""

    def write(self, data: bytes, deadline_s: float) -> None:
        """Write to its standard input."""
        left = memoryview(data)
        while left:
            with contextlib.suppress(BlockingIOError):
                left = left[os.write(self._stdin.fileno(), left) :]
                continue
            writable = select.poll()
            writable.register(self._stdin, select.POLLOUT)
            if not writable.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
                raise TimeoutError

    def read(self) -> bytes:
        """Read from its standard output."""
        return os.read(self._stdout.fileno(), READ_SIZE)

    def has_said(self) -> bool:
        """Whether there is more to be read now."""
        readable = select.poll()
        readable.register(self._stdout, select.POLLIN)
        return bool(readable.poll(0))

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()

    def end(self, patience_s: float) -> str:
        """Wait for the process, and close both pipes."""
        self._stdin.close()
        try:
            status = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._stdout.close()
        return f"signal {-status}" if status < 0 else f"exit status {status}"


class Children:
    """Starts programs as children of this process."""

    def place(self, nodes: Sequence[int]) -> None:
        """They are all here."""

    def directory(self, node: int, data_dir: str) -> str:
        """That directory itself."""
        return data_dir

    def address(self, node: int) -> str:
        """On loopback."""
        return "127.0.0.1:0"

    def launch(self, node: int, command: Command) -> Child:
        """Start a child."""
        return Child(command)
