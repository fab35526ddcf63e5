"""The open loop's sender as its contender has it: a process, and the pipe that it writes to."""

import fcntl
import os
import signal
import subprocess
import sys
from array import array
from contextlib import suppress
from pathlib import Path

from raftmark.raft.errors import Unavailable

PROGRAM = Path(__file__).with_name("sender.py")
PIPE_BYTES = 1 << 20
"""Room for twice as many commands as may be outstanding by default, so that none is sent late."""

READ_BYTES = 1 << 16


class Sender:
    """A sender from its start to its end. Unavailable where the machine has no process for it."""

    def __init__(self, rate: float, total: int, length_ns: int) -> None:
        self._out, end = os.pipe()
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(PermissionError):  # Others of this user have as much already.
                fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        arguments = [repr(rate), str(total), str(length_ns)]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(PROGRAM), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=end,
            )
        except OSError as error:
            os.close(self._out)
            raise Unavailable(f"no process for the sender: {error}") from error
        finally:
            os.close(end)
        self._rest = b""

    def fileno(self) -> int:
        """The end of the pipe to be read, for whoever waits for several."""
        return self._out

    def read(self) -> "array[int]":
        """The moments (ns) that have come, once some have; none when the time is over."""
        moments = array("q")
        while not moments and (read := os.read(self._out, READ_BYTES)):
            read = self._rest + read
            whole = len(read) & ~7
            self._rest = read[whole:]
            moments.frombytes(read[:whole])
        return moments

    def end(self) -> int:
        """End it, over or not; the CPU time (ns) of its whole life, the interpreter's start too."""
        os.close(self._out)
        # Not by `terminate`, which would wait for one that has ended, and lose what it used.
        os.kill(self._process.pid, signal.SIGTERM)
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return round((usage.ru_utime + usage.ru_stime) * 1e9)
