"""What a contender's core spends on work that never changes, counted instead of timed.

A contender's table may name a command, `replay`, that gives its core a kept recording of a
cluster's inputs, and prints what that took as one JSON object: by the recording's name an object of
`commands`, how many were answered, and any further counts, whole numbers that are the same each
time. What bytecode instructions a command takes is one, what objects it allocates another; no noise
touches them, so that one replay of each side says all.

Where valgrind is installed, it counts the machine's instructions besides, in any language. With
`--times N` the command replays so often and counts nothing itself, so that the difference of two
such runs is replays and nothing else. What a runtime does by chance or by the clock is kept out as
far as its variables can: what is left is far below the margin (see docs/ci.md).

Such a number is a trip-wire and no estimate of time: instructions differ in what they take, and
what C code does is in none. So it has a margin of its own, above which it is called worse.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

import msgspec

from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.tracking.counting import Count

MARGIN = 0.02
"""A refactoring that changes less than that has the right to."""
_PATIENCE_S = 120
_LONGEST = 1 << 16

# What an interpreter draws, and when a collector or a scheduler steps in, must not move a count.
_CALM = {
    "PYTHONHASHSEED": "0",
    "GOGC": "off",
    "GOMAXPROCS": "1",
    "GODEBUG": "asyncpreemptoff=1",
}

INSTRUCTIONS = "instructions a command"
_VALGRIND = ("--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
_COUNTED = re.compile(r"^==\d+== I +refs: +([\d,]+)$", re.MULTILINE)
_ENOUGH = 100_000_000
"""So many instructions are counted at least, beside which those of a program's start are few."""
_MOST_TIMES = 1000


class ReplayError(Exception):
    """A replay did not end, or printed something else; the message says what."""


def count_replays(
    base: Mapping[str, ContenderSpec], head: Mapping[str, ContenderSpec]
) -> tuple[list[Count], list[str]]:
    """Return what changed, and what did not, of all that the replays of both sides count.

    The contenders by their names in both. Also returned are sentences on what could not be counted.
    """
    names = [n for n in head if n in base and base[n].replay and head[n].replay]
    ways: dict[str, Callable[[ContenderSpec], dict[str, float]]] = {
        "what {}'s core spends on a recording": count
    }
    left_out = []
    if tool := shutil.which("valgrind"):
        ways["instructions that {}'s core takes"] = partial(count_instructions, tool)
    elif names:
        left_out.append("instructions of the cores, since valgrind is not installed")
    counts = []
    for what, counted in ways.items():
        found = _of_both([(base[name], head[name]) for name in names], counted)
        for name, numbers in zip(names, found, strict=True):
            if isinstance(numbers, ReplayError):
                left_out.append(f"{what.format(name)}: {numbers}")
            else:
                counts += [
                    Count(name, of, before, after, gated=True, margin=MARGIN)
                    for of, (before, after) in numbers.items()
                ]
    return counts, left_out


_Both = dict[str, tuple[float, float]]


def _of_both(
    pairs: Sequence[tuple[ContenderSpec, ContenderSpec]],
    counted: Callable[[ContenderSpec], dict[str, float]],
) -> list[_Both | ReplayError]:
    """Count both of each pair: what both have, or why there is none.

    Two at a time, since no noise matters, and contenders that share a core once.
    """
    chosen = {_core(spec): spec for pair in pairs for spec in pair}
    with ThreadPoolExecutor(2) as workers:
        under_way = {core: workers.submit(counted, spec) for core, spec in chosen.items()}
        try:
            wait(under_way.values())
        except BaseException:  # Interrupted: those that have not begun need not.
            workers.shutdown(wait=False, cancel_futures=True)
            raise
    found: list[_Both | ReplayError] = []
    for pair in pairs:
        try:
            before, after = (under_way[_core(spec)].result() for spec in pair)
        except ReplayError as error:
            found.append(error)
        else:
            found.append({of: (before[of], after[of]) for of in before if of in after})
    return found


def _core(spec: ContenderSpec) -> tuple[str, ...]:
    return str(spec.started_in), *spec.replaying()


def count(spec: ContenderSpec) -> dict[str, float]:
    """Replay the recordings; return each count a command by what it is of.

    Raises `ReplayError`.
    """
    found = {}
    for story, counts in _stories(_printed(spec, spec.replaying())).items():
        commands = counts.pop("commands", 0)
        if commands < 1:
            raise ReplayError(f"its replay answered no command of {story!a}")
        for what, number in counts.items():
            found[f"{what} a command, {story}"] = round(number / commands, 2)
    return found


def count_instructions(valgrind: str, spec: ContenderSpec) -> dict[str, float]:
    """Let `valgrind` count the machine's instructions of replays; return those a command.

    Raises `ReplayError`.
    """

    def replayed(times: int) -> tuple[int, int]:
        """Return how many instructions that took, and how many commands one replay answers."""
        printed = _printed(spec, [valgrind, *_VALGRIND, *spec.replaying(), "--times", str(times)])
        # Both write to one pipe, and neither ends the other's line.
        told, _, _ = printed.rpartition("}")
        counted = _COUNTED.search(printed)
        if counted is None:
            raise ReplayError("valgrind counted nothing")
        commands = sum(of.get("commands", 0) for of in _stories(f"{told}}}").values())
        if commands < 1:
            raise ReplayError("its replay answered no command")
        return int(counted[1].replace(",", "")), commands

    once, commands = replayed(1)
    times = 2
    while (more := replayed(times)[0] - once) < _ENOUGH and times < _MOST_TIMES:
        each = max(1, more) / (times - 1)
        times = min(_MOST_TIMES, 2 + int(_ENOUGH / each))
    return {INSTRUCTIONS: round(more / (times - 1) / commands)}


def _stories(printed: str) -> dict[str, dict[str, int]]:
    """Return what the last line of a replay says."""
    *_, last = ["it said nothing", *printed.splitlines()]
    try:
        return msgspec.json.decode(last, type=dict[str, dict[str, int]])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ReplayError(f"what its replay prints is no object of counts: {error}") from None


def _printed(spec: ContenderSpec, command: Sequence[str]) -> str:
    """Return what a replay printed. Raises `ReplayError` where it did not end well."""
    try:
        process = subprocess.Popen(
            command,
            cwd=spec.started_in,
            env=spec.environment(_CALM),
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
    text = printed.decode(errors="backslashreplace")
    if status:
        own = (line for line in text.splitlines() if not line.startswith(("==", "--")))
        *_, last = ["it said nothing", *own]
        raise ReplayError(f"its replay ended with {status}: {last}")
    return text
