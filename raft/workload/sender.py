"""The open loop's sender, a program: it keeps time, and says when each command was sent.

`sender.py RATE TOTAL LENGTH_NS` writes nanoseconds of CLOCK_MONOTONIC to its standard output, eight
bytes each: its start first, then for each command the moment at which it was sent. It ends after
the whole length, or when nobody reads any more.

It is a process of its own because a thread in the contender's would wait for the interpreter's
lock, and one in Go's for a processor of the runtime's; and it is the same program, with the same
waits, whatever waits for it. It imports nothing but the standard library, so as to start soon.
"""

import ctypes
import math
import os
import select
import struct
import sys
import time
from array import array
from contextlib import suppress

SECOND_NS = 1_000_000_000
LEAD_NS = 1_000_000
"""From saying when it starts to the start."""

AHEAD_NS = 20_000
"""How long before a command is due the sender stops sleeping, at most: timers are so late."""

SPINNING = 5
"""Of what lies between two commands it spends no more than this part awake."""

LONG_NS = 10_000_000
"""Before a longer wait it looks whether anybody reads."""


SLICE_NS = 100_000
"""The shortest turn on a processor that Linux gives (6.12 and newer): who asks for short turns, as
whoever may, gets them as soon as it wakes, from those who have long ones.
"""

SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
"""The number of that call of the system, by machine: Python has no name for it."""


def be_precise() -> None:
    """Let the kernel's timers be as late as they must, and wait for no other's turn (Linux)."""
    with suppress(OSError), open("/proc/self/timerslack_ns", "w", encoding="ascii") as slack:
        slack.write("1")
    number = SCHED_SETATTR.get(os.uname().machine) if sys.platform == "linux" else None
    if number is not None:
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        # Size, policy (the usual one), flags; niceness, priority; the slice, and what others have.
        wanted = struct.pack("=IIQiIQQQ", 48, 0, 0, nice, 0, SLICE_NS, 0, 0)
        ctypes.CDLL(None).syscall(number, 0, wanted, 0)


def wait_until(due_ns: int, ahead_ns: int, reader: "select.poll") -> bool:
    """Return when it is time; False where nobody reads any more."""
    while (left_ns := due_ns - time.monotonic_ns()) > 0:
        if left_ns > LONG_NS:
            if reader.poll((left_ns - LONG_NS // 2) / 1e6):
                return False
        elif left_ns > ahead_ns:
            time.sleep((left_ns - ahead_ns) / SECOND_NS)
    return True


def send(out: int, rate: float, total: int, length_ns: int) -> None:
    """Send so many commands, at that rate, and wait until so long has passed."""
    interval_ns = SECOND_NS / rate
    ahead_ns = min(AHEAD_NS, int(interval_ns / SPINNING))
    reader = select.poll()
    reader.register(out, 0)  # An end of the pipe without the other is told of all the same.
    start_ns = time.monotonic_ns() + LEAD_NS
    os.write(out, array("q", [start_ns]))
    sent = 0
    while sent < total:
        if not wait_until(start_ns + math.ceil(sent * interval_ns), ahead_ns, reader):
            return
        now_ns = time.monotonic_ns()
        due = min(total, int((now_ns - start_ns) / interval_ns) + 1)
        moments = memoryview(array("q", [now_ns]) * max(1, due - sent)).cast("B")
        sent = max(sent + 1, due)
        while moments:
            moments = moments[os.write(out, moments) :]
    wait_until(start_ns + length_ns, ahead_ns, reader)


if __name__ == "__main__":
    be_precise()
    with suppress(BrokenPipeError):
        send(1, float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
