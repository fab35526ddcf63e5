"""How fit is this machine for measuring? `raftmark doctor`.

Nothing is changed and nothing is refused: each finding says what is so, whether that harms, and
what would help. What pyperf checks of a system is asked of pyperf (`python -m pyperf system show`);
the rest is what matters to a cluster of threads and timers besides.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import psutil

from raftmark.bench.contenders import surroundings
from raftmark.bench.design.cells import SERVICE_CONNECTIONS
from raftmark.bench.experiment.cost import MachineMeter
from raftmark.bench.experiment.environment import is_virtual, python_build, usable_processors
from raftmark.bench.experiment.limits import limits_of
from raftmark.bench.runs.forms import MachineState

_WATCHED_S = 1.0
_NAPS, _NAP_S = 100, 0.001
# Beyond these a machine is not idle: its own noise, as a share of its time, and a stolen one.
_MOST_BUSY, _MOST_STOLEN = 0.05, 0.005
_MOST_LATE_S = 0.001
_LEAST_MEMORY = 2**30
_GOOD_CLOCKS = {"tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"}


class Fitness(Enum):
    """What a finding means for measuring."""

    GOOD = "good"
    HARMS = "harms"
    UNKNOWN = "unknown"


class Finding(NamedTuple):
    """What was looked at, how it is, what that means, and what would help, empty if nothing."""

    what: str
    state: str
    fitness: Fitness
    advice: str = ""


def examine(root: Path = Path("/"), results: Path = Path("results")) -> list[Finding]:
    """Look at the machine for about two seconds; `root` is where its /proc and /sys are."""
    return [
        _processors(),
        _interpreter(),
        _variables(),
        *settings(root),
        *_neighbours(_watch()),
        _timers(),
        _memory(),
        _disk(results),
        *pyperf_findings(_ask_pyperf()),
    ]


def settings(root: Path) -> list[Finding]:
    """Look at how the machine is set, which costs no time."""
    return [
        _quota(root),
        _virtual(root),
        _governor(root),
        _turbo(root),
        _clock(root),
        *_limits(root),
    ]


def pyperf_findings(said: str) -> Iterator[Finding]:
    """Read what `pyperf system show` prints: states, and advice that goes with some of them.

    A state is a line `topic: how it is`; a topic without advice is as pyperf would have it.
    """
    sections: dict[str, list[tuple[str, str]]] = {}
    lines = said.splitlines()
    section = ""
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if below and set(below) == {"="}:
            section = line
        elif ": " in line and set(line) != {"="}:
            topic, _, rest = line.partition(": ")
            sections.setdefault(section, []).append((topic, rest))
    advice = sections.get("Advices", [])
    for topic, state in sections.get("System state", []):
        helps = "; ".join(text for about, text in advice if about == topic)
        fitness = Fitness.HARMS if helps else Fitness.GOOD
        yield Finding(f"pyperf: {topic}", state, fitness, helps)
    for topic, state in sections.get("Errors", []):
        yield Finding(f"pyperf: {topic}", state, Fitness.UNKNOWN)


def _ask_pyperf() -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pyperf", "system", "show"],
        capture_output=True,
        encoding="utf-8",
        errors="backslashreplace",
        check=False,  # It ends with 2 where it has advice.
        env={**os.environ, "COLUMNS": "1000"},
    )
    return done.stdout


def _processors() -> Finding:
    usable, there = usable_processors(), os.cpu_count() or 1
    state = f"{usable} usable of {there}"
    if usable < there:
        return Finding(
            "processors", state, Fitness.HARMS, "this process is pinned: start it without taskset"
        )
    if usable < 2:
        return Finding(
            "processors", state, Fitness.HARMS, "parallelism cannot show: use two or more"
        )
    return Finding("processors", state, Fitness.GOOD)


def _interpreter() -> Finding:
    """How the interpreter of the Python contenders was built, which counts as much as a model."""
    build = python_build()
    state = f"{build['implementation']} {build['version']}, {build['compiler']}, " + ", ".join(
        f"{name}{'' if build[flag] else ' not configured'}"
        for flag, name in (("pgo", "PGO"), ("lto", "LTO"))
    )
    if build["debug"]:
        helps = "a debug build is slow: use another interpreter"
        return Finding("interpreter", f"{state}, debug", Fitness.HARMS, helps)
    if not build["pgo"]:
        helps = (
            "a build with --enable-optimizations is faster, unless a distribution optimised this "
            "one by other means: compare with none but its like"
        )
        return Finding("interpreter", state, Fitness.HARMS, helps)
    return Finding("interpreter", state, Fitness.GOOD)


def _variables() -> Finding:
    """What is set here and changes a runtime; contenders start without it."""
    withheld = surroundings.withheld()
    if not withheld:
        return Finding("variables", "none that changes a runtime", Fitness.GOOD)
    helps = "contenders do not inherit them: --env NAME has them do"
    return Finding("variables", ", ".join(withheld), Fitness.GOOD, helps)


def _quota(root: Path) -> Finding:
    """The container's share of CPU time: who uses it up is stopped until the next period."""
    what = "CPU quota"
    helps = "run without a CPU limit, or give whole processors with a CPU set"
    for name in ("sys/fs/cgroup/cpu.max", "sys/fs/cgroup/cpu/cpu.cfs_quota_us"):
        quota = (_read(root / name) or "").split()
        if not quota:
            continue
        if quota[0] in ("max", "-1"):
            return Finding(what, "none", Fitness.GOOD)
        period = quota[1] if quota[1:] else _read(root / name.replace("quota", "period")) or "0"
        return Finding(what, f"{quota[0]} of every {period} µs", Fitness.HARMS, helps)
    return Finding(what, "not visible in this control group", Fitness.UNKNOWN)


def _watch() -> MachineState:
    meter = MachineMeter()
    time.sleep(_WATCHED_S)
    return meter.state()


def _neighbours(state: MachineState) -> Iterator[Finding]:
    """What others do on this machine while nothing is measured."""
    busy = f"{state.busy_share:.0%} of all CPU time, load {state.load_1m:g}"
    yield Finding("other load", busy, *_at_most(state.busy_share, _MOST_BUSY, "end what else runs"))
    if state.steal_share is None:
        yield Finding("steal", "this system does not tell", Fitness.UNKNOWN)
    else:
        helps = "the hypervisor gives processors to others: use dedicated ones, or more blocks"
        stolen = f"{state.steal_share:.1%} of all CPU time"
        yield Finding("steal", stolen, *_at_most(state.steal_share, _MOST_STOLEN, helps))
    if state.cpu_pressure is None:
        yield Finding("pressure", "this kernel does not tell", Fitness.UNKNOWN)
        return
    for resource, pressure in (("cpu", state.cpu_pressure), ("io", state.io_pressure or 0.0)):
        told = f"{pressure:.0%} of the time somebody waited"
        rest = _at_most(pressure, _MOST_BUSY, "end what else runs")
        yield Finding(f"{resource} pressure", told, *rest)


def _at_most(value: float, most: float, advice: str) -> tuple[Fitness, str]:
    return (Fitness.GOOD, "") if value <= most else (Fitness.HARMS, advice)


def _virtual(root: Path) -> Finding:
    if not is_virtual(root):
        return Finding("virtual machine", "no sign of one", Fitness.GOOD)
    return Finding(
        "virtual machine",
        "yes",
        Fitness.HARMS,
        "waking another processor costs more here: trust ratios, not absolute figures",
    )


def _governor(root: Path) -> Finding:
    found = {
        _read(path) or ""
        for path in root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")
    }
    if not found:
        return Finding("frequency governor", "not visible here", Fitness.UNKNOWN)
    state = ", ".join(sorted(found))
    if found == {"performance"}:
        return Finding("frequency governor", state, Fitness.GOOD)
    helps = "sudo python -m pyperf system tune, or cpupower frequency-set -g performance"
    return Finding("frequency governor", state, Fitness.HARMS, helps)


def _turbo(root: Path) -> Finding:
    cpu = root / "sys/devices/system/cpu"
    # The one says that it is off, the other that it is on.
    for path, off in ((cpu / "intel_pstate/no_turbo", "1"), (cpu / "cpufreq/boost", "0")):
        if (value := _read(path)) is not None:
            if value == off:
                return Finding("turbo", "off", Fitness.GOOD)
            helps = "the clock depends on heat and load: sudo python -m pyperf system tune"
            return Finding("turbo", "on", Fitness.HARMS, helps)
    return Finding("turbo", "not visible here", Fitness.UNKNOWN)


def _clock(root: Path) -> Finding:
    resolution_ns = round(time.clock_getres(time.CLOCK_MONOTONIC) * 1e9)
    source = _read(root / "sys/devices/system/clocksource/clocksource0/current_clocksource")
    state = f"{source or 'unknown source'}, resolution {resolution_ns} ns"
    if source is None:
        return Finding("clock", state, Fitness.UNKNOWN)
    if source in _GOOD_CLOCKS and resolution_ns <= 1000:
        return Finding("clock", state, Fitness.GOOD)
    helps = "reading it is slow or coarse: boot with clocksource=tsc if the processor is fit for it"
    return Finding("clock", state, Fitness.HARMS, helps)


def _limits(root: Path) -> Iterator[Finding]:
    """Whether the trials with most connections get what they need."""
    connections = max(SERVICE_CONNECTIONS)
    for limit in limits_of(connections, root):
        if limit.holds:
            state = "no limit" if limit.most is None else f"{limit.most:,}"
            need = f"{connections:,} connections need {limit.needed:,}"
            yield Finding(limit.what, f"{state}; {need}", Fitness.GOOD)
        else:
            yield Finding(
                limit.what, limit.told(connections).partition(": ")[0], Fitness.HARMS, limit.advice
            )


def _timers() -> Finding:
    late = []
    for _ in range(_NAPS):
        started = time.monotonic()
        time.sleep(_NAP_S)
        late.append(time.monotonic() - started - _NAP_S)
    middle, worst = statistics.median(late), max(late)
    state = f"1 ms waits end {1e6 * middle:.0f} µs late, {1e3 * worst:.1f} ms at worst"
    helps = "short election timeouts will show this machine's timers: end what else runs"
    return Finding("timers", state, *_at_most(middle, _MOST_LATE_S, helps))


def _memory() -> Finding:
    available = psutil.virtual_memory().available
    state = f"{available / 2**30:.1f} GiB available"
    if available >= _LEAST_MEMORY:
        return Finding("memory", state, Fitness.GOOD)
    return Finding("memory", state, Fitness.HARMS, "logs are kept in memory: free a GiB")


def _disk(results: Path) -> Finding:
    """Where the trials with disk storage write: beside the results."""
    place = results.resolve()
    mounts = [
        partition
        for partition in psutil.disk_partitions(all=True)
        if place.is_relative_to(partition.mountpoint)
    ]
    if not mounts:
        return Finding("disk", "not visible here", Fitness.UNKNOWN)
    kind = max(mounts, key=lambda partition: len(partition.mountpoint)).fstype
    if kind in ("tmpfs", "ramfs"):
        helps = "saving costs nothing there: choose --results on a disk"
        return Finding("disk", kind, Fitness.HARMS, helps)
    return Finding("disk", kind, Fitness.GOOD)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="backslashreplace").strip()
    except OSError:  # What a kernel, a container or a virtual machine does not show.
        return None
