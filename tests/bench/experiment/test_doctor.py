"""What `raftmark doctor` makes of a machine: of a made-up one, and of this one."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from raftmark.bench.experiment.doctor import (
    Finding,
    Fitness,
    _neighbours,
    pyperf_findings,
    settings,
)
from raftmark.bench.runs.forms import MachineState

PYPERF_SAYS = """Show the system configuration

System state
============

CPU: use 2 logical CPUs: 0-1
Perf event: Maximum sample rate: 100000 per second
ASLR: Full randomization

Advices
=======

Perf event: Set max sample rate to 1
Linux scheduler: Use isolcpus=<cpu list> kernel parameter to isolate CPUs

Errors
======

Turbo Boost (MSR): Failed to read MSR 0x1a0

Run "python -m pyperf system tune" to tune the system configuration to run benchmarks
"""


def machine(root: Path, files: Mapping[str, str]) -> dict[str, Finding]:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    return {finding.what: finding for finding in settings(root)}


def test_a_machine_made_ready(tmp_path):
    cpu = "sys/devices/system/cpu"
    found = machine(
        tmp_path,
        {
            "sys/fs/cgroup/cpu.max": "max 100000",
            f"{cpu}/cpu0/cpufreq/scaling_governor": "performance",
            f"{cpu}/cpu1/cpufreq/scaling_governor": "performance",
            f"{cpu}/intel_pstate/no_turbo": "1",
            "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc",
            "proc/cpuinfo": "flags : fpu tsc",
        },
    )
    for what in ("CPU quota", "frequency governor", "turbo", "clock", "virtual machine"):
        assert found[what].fitness is Fitness.GOOD, found[what]
        assert found[what].advice == ""


def test_a_machine_that_is_not(tmp_path):
    cpu = "sys/devices/system/cpu"
    found = machine(
        tmp_path,
        {
            "sys/fs/cgroup/cpu.max": "50000 100000",
            f"{cpu}/cpu0/cpufreq/scaling_governor": "powersave",
            f"{cpu}/cpu1/cpufreq/scaling_governor": "performance",
            f"{cpu}/cpufreq/boost": "1",
            "sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet",
            "proc/cpuinfo": "flags : fpu hypervisor tsc",
        },
    )
    for what in ("CPU quota", "frequency governor", "turbo", "clock", "virtual machine"):
        assert found[what].fitness is Fitness.HARMS, found[what]
        assert found[what].advice
    assert found["CPU quota"].state == "50000 of every 100000 µs"
    assert found["frequency governor"].state == "performance, powersave"


def test_what_is_hidden_is_unknown(tmp_path):
    found = machine(tmp_path, {})
    for what in ("CPU quota", "frequency governor", "turbo", "clock"):
        assert found[what].fitness is Fitness.UNKNOWN


@pytest.mark.parametrize(
    ("state", "harmful"),
    [
        (MachineState(0.1, 0.0, 0.01, 0.0, 0.0, 0.0), set()),
        (MachineState(2.0, 0.0, 0.6, 0.5, 0.0, 0.0), {"other load", "cpu pressure"}),
        (MachineState(0.1, 0.04, 0.01, 0.0, 0.0, 0.3), {"steal", "io pressure"}),
        (MachineState(0.1, 0.0, 0.01), set()),
    ],
)
def test_what_others_do(state, harmful):
    found = list(_neighbours(state))
    assert {finding.what for finding in found if finding.fitness is Fitness.HARMS} == harmful


def test_what_pyperf_says_is_read_with_its_advice():
    assert list(pyperf_findings(PYPERF_SAYS)) == [
        Finding("pyperf: CPU", "use 2 logical CPUs: 0-1", Fitness.GOOD),
        Finding(
            "pyperf: Perf event",
            "Maximum sample rate: 100000 per second",
            Fitness.HARMS,
            "Set max sample rate to 1",
        ),
        Finding("pyperf: ASLR", "Full randomization", Fitness.GOOD),
        Finding("pyperf: Turbo Boost (MSR)", "Failed to read MSR 0x1a0", Fitness.UNKNOWN),
    ]


def test_the_command_ends_well_whatever_it_finds(tmp_path):
    command = [str(Path(sys.executable).with_name("raftmark")), "doctor"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for what in ("processors", "CPU quota", "steal", "turbo", "timers", "pyperf: ASLR"):
        assert what in done.stdout
    assert "harm" in done.stdout.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
