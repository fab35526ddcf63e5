"""What a contender's core spends on work that never changes, counted instead of timed.

A contender's table may name a command, `replay`, that gives its core a kept recording of a
cluster's inputs, and prints what that took as one JSON object: by the recording's name an object of
`commands`, how many were answered, and any further counts, whole numbers that are the same each
time. What bytecode instructions a command takes is one; no noise touches it, so that one replay of
each side says all.

Such a number is a trip-wire and no estimate of time: instructions differ in what they take, and
what C code does is in none. So it has a margin of its own, above which it is called worse.
"""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Mapping

import msgspec

from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.tracking.counting import Count

MARGIN = 0.02
"""A refactoring that changes less than that has the right to."""
_PATIENCE_S = 120
_LONGEST = 1 << 16


class ReplayError(Exception):
    """A replay did not end, or printed something else; the message says what."""


def count_replays(
    base: Mapping[str, ContenderSpec], head: Mapping[str, ContenderSpec]
) -> tuple[list[Count], list[str]]:
    """Return what changed, and what did not, of all that the replays of both sides count.

    The contenders by their names in both. Also returned are sentences on what could not be counted.
    """
    counts, left_out = [], []
    known: dict[tuple[str, ...], dict[str, float]] = {}

    def counted(spec: ContenderSpec) -> dict[str, float]:
        # Contenders that share a core are counted once.
        command = (str(spec.started_in), *spec.replaying())
        if command not in known:
            known[command] = count(spec)
        return known[command]

    for name in [name for name in head if name in base]:
        if not (base[name].replay and head[name].replay):
            continue
        try:
            before, after = counted(base[name]), counted(head[name])
        except ReplayError as error:
            left_out.append(f"what {name}'s core spends on a recording: {error}")
            continue
        counts += [
            Count(name, what, number, after[what], gated=True, margin=MARGIN)
            for what, number in before.items()
            if what in after
        ]
    return counts, left_out


def count(spec: ContenderSpec) -> dict[str, float]:
    """Replay the recordings; return each count a command by what it is of.

    Raises `ReplayError`.
    """
    printed, status = _printed(spec)
    *_, last = ["it said nothing", *printed.decode(errors="backslashreplace").splitlines()]
    if status:
        raise ReplayError(f"its replay ended with {status}: {last}")
    try:
        stories = msgspec.json.decode(last, type=dict[str, dict[str, int]])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ReplayError(f"what its replay prints is no object of counts: {error}") from None
    found = {}
    for story, counts in stories.items():
        commands = counts.pop("commands", 0)
        if commands < 1:
            raise ReplayError(f"its replay answered no command of {story!a}")
        for what, number in counts.items():
            found[f"{what} a command, {story}"] = round(number / commands, 2)
    return found


def _printed(spec: ContenderSpec) -> tuple[bytes, int]:
    """Return what a replay printed, its last line being its answer, and how it ended."""
    try:
        process = subprocess.Popen(
            spec.replaying(),
            cwd=spec.started_in,
            # What an interpreter draws of itself must not move a count.
            env=spec.environment({"PYTHONHASHSEED": "0"}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise ReplayError(f"its replay cannot be started: {error.strerror}") from None
    out_of_time = threading.Timer(_PATIENCE_S, process.kill)
    with process:
        out_of_time.start()
        try:
            assert process.stdout is not None
            printed = process.stdout.read(_LONGEST + 1)
            if len(printed) > _LONGEST:
                raise ReplayError(f"its replay printed more than {_LONGEST} bytes")
            status = process.wait()
        finally:
            process.kill()
            out_of_time.cancel()
    if status == -signal.SIGKILL:
        raise ReplayError(f"its replay was killed, or took more than {_PATIENCE_S} s")
    return printed, status
