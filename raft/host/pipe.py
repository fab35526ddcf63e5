"""Standard input and output as lines of JSON: the framing of docs/protocol.md, both ways."""

import json
import os
import queue
import sys
import threading
from collections.abc import Iterator
from typing import Any

MAX_LINE = 1 << 20


class Lines:
    """Splits a byte stream into lines of bounded length."""

    def __init__(self) -> None:
        self._partial = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """The lines that `data` completes, without newline; None for one too long."""
        *complete, rest = data.split(b"\n")
        for piece in complete:
            if self._skipping or len(self._partial) + len(piece) >= MAX_LINE:
                yield None
            else:
                yield bytes(self._partial + piece)
            self._partial.clear()
            self._skipping = False
        if len(self._partial) + len(rest) >= MAX_LINE:
            self._partial.clear()
            self._skipping = True
        elif not self._skipping:
            self._partial += rest


class Output:
    """Standard output: lines in the order in which they were queued, from any thread."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="output")
        self._writer.start()

    def put(self, value: dict[str, Any]) -> None:
        """Queue an object."""
        self._lines.put(json.dumps(value, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Write what is queued and end."""
        self._lines.put(None)
        self._writer.join()

    def _write(self) -> None:
        lines = self._lines
        ended = False
        while not ended:
            waiting = [lines.get()]
            waiting += [lines.get() for _ in range(lines.qsize())]
            ended = None in waiting
            data = memoryview(b"".join(line for line in waiting if line is not None))
            try:
                while data:
                    data = data[os.write(sys.stdout.fileno(), data) :]
            except OSError as error:
                # No one listens any more; the end of standard input is to follow.
                if not isinstance(error, BrokenPipeError):
                    print(f"standard output: {error.strerror}", file=sys.stderr)
                return


def open_closed_streams() -> None:
    """Let a standard stream that is closed be the null device, as in Go.

    Otherwise the next file to be opened is taken for it.
    """
    for number, (name, mode) in enumerate([("stdin", "r"), ("stdout", "w"), ("stderr", "w")]):
        if getattr(sys, name) is None:
            # The lowest number that is free: this one, as long as nothing else was opened.
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(number, mode))
