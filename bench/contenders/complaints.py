"""What a contender writes to standard error: kept, but not without end.

Of what is short all is kept; of what is not the beginning, where the cause often stands, and the
end, where a program says why it dies. So neither memory nor disk fills, and the contender is never
kept waiting for long.
"""

from __future__ import annotations

import os
import select
import threading
from typing import IO, BinaryIO

_HEAD = _TAIL = 64 * 2**10
_QUOTED = 4096
_READ = 64 * 2**10
_MOST_READS = 64
_LONGEST = 500


def readable(text: str, longest: int = _LONGEST) -> str:
    """Return a text of a contender's for people: on one line, without end and harmless."""
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text[:longest])
    return shown + "..." * (len(text) > longest)


class Complaints:
    """The beginning and the end of what comes through a pipe; in a file, if there is one."""

    def __init__(self, pipe: IO[bytes], file: BinaryIO | None) -> None:
        os.set_blocking(pipe.fileno(), False)
        self._pipe = pipe
        self._file = file
        self._lock = threading.Lock()
        self._head_left = _HEAD
        self._left_out = 0
        self._tail = b""
        self._end = b""
        self._failure: OSError | None = None

    def read(self) -> None:
        """Keep what comes until nobody can write any more: the life of a thread."""
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        while self._take():
            poll.poll()

    def end(self) -> str:
        """Return the end of what has been written by now."""
        self._take()
        with self._lock:
            return self._end.decode(errors="backslashreplace").strip()

    def close(self) -> None:
        """Complete the file. Raises `OSError` if it could not be written."""
        with self._lock:
            self._pipe.close()
            if self._file is None:
                return
            with self._file as file:
                if self._failure is not None:
                    raise self._failure
                if self._left_out:
                    file.write(b"\n[... %d bytes are left out here ...]\n" % self._left_out)
                file.write(self._tail)

    def _take(self) -> bool:
        """Keep what is there; false once no more can come."""
        with self._lock:
            if self._pipe.closed:
                return False
            for _ in range(_MOST_READS):
                try:
                    data = os.read(self._pipe.fileno(), _READ)
                except BlockingIOError:
                    return True
                if not data:
                    return False
                self._keep(data)
            return True

    def _keep(self, data: bytes) -> None:
        self._end = (self._end + data)[-_QUOTED:]
        head, rest = data[: self._head_left], data[self._head_left :]
        self._head_left -= len(head)
        if self._file is not None and head and self._failure is None:
            try:
                self._file.write(head)
            except OSError as error:
                self._failure = error
        tail = self._tail + rest
        self._left_out += max(0, len(tail) - _TAIL)
        self._tail = tail[-_TAIL:]
