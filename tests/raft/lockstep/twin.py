"""The Go core as a process that runs scripts, so that thousands of them cost one start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[3]
GO = Path(sys.executable).with_name("go")


def build(binary: Path, *flags: str) -> None:
    """Build the test binary of the Go core, which contains the interpreter."""
    subprocess.run(
        [GO, "test", "-c", *flags, "-o", binary, "./raft"], cwd=ROOT / "go_reference", check=True
    )


class Twin:
    """The process; between `send` and `receive` it works while this one does something else."""

    def __init__(self, binary: Path) -> None:
        self._process = subprocess.Popen(
            [binary, "-test.run=^TestServe$", "-serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout

    def __enter__(self) -> Twin:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._input.close()
        self._output.close()
        self._process.wait()

    def run(self, script: str) -> str:
        """What the Go core makes of a script."""
        self.send(script)
        return self.receive()

    def send(self, script: str) -> None:
        """Let it begin a script. The answer to the one before must have been received."""
        data = script.encode()
        self._input.write(b"%d\n%b" % (len(data), data))
        self._input.flush()

    def receive(self) -> str:
        """The script with what its commands did."""
        length = self._output.readline()
        assert length, "the Go process ended; its standard error says why"
        return self._output.read(int(length)).decode()
