"""What many connections need of a machine is known, and said in words, before they are opened."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from raftmark.bench.design.cells import service_cell
from raftmark.bench.experiment import limits
from raftmark.bench.experiment.limits import Limit, exceeded, exceeded_by_threads, limits_of


def machine(root: Path, **files: str) -> Path:
    """Return the root of a made-up one, its limits high where nothing else is said."""
    said = {
        "proc/sys/kernel/threads-max": "1000000",
        "proc/sys/kernel/pid_max": "4194304",
        "proc/sys/vm/max_map_count": "1000000",
        "proc/sys/net/ipv4/ip_local_port_range": "1024 65535",
        "sys/fs/cgroup/pids.max": "max",
        **{name.replace("__", "/"): text for name, text in files.items()},
    }
    for name, text in said.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


@pytest.fixture
def no_own_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _: unlimited)


def by_name(root: Path, connections: int = 4096) -> dict[str, Limit]:
    return {limit.what: limit for limit in limits_of(connections, root)}


def test_a_large_machine_has_enough(tmp_path: Path, no_own_limits: None) -> None:
    assert all(limit.holds for limit in limits_of(4096, machine(tmp_path)))
    assert by_name(tmp_path)["open files"].most is None


def test_what_a_kernel_does_not_tell_is_no_limit(tmp_path: Path, no_own_limits: None) -> None:
    assert all(limit.most is None for limit in limits_of(4096, tmp_path))


@pytest.mark.parametrize(
    ("what", "files"),
    [
        ("threads", {"proc__sys__kernel__threads-max": "4000"}),
        ("threads", {"sys__fs__cgroup__pids.max": "512"}),
        ("memory maps", {"proc__sys__vm__max_map_count": "8192"}),
        ("local ports", {"proc__sys__net__ipv4__ip_local_port_range": "60000 60999"}),
    ],
)
def test_the_lowest_limit_counts(
    tmp_path: Path, no_own_limits: None, what: str, files: dict[str, str]
) -> None:
    found = by_name(machine(tmp_path, **files))
    assert [limit.what for limit in found.values() if not limit.holds] == [what]


def test_too_few_files_are_said_before_the_clients_connect(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(limits, "open_files", lambda: 1024)
    root = machine(tmp_path)
    assert exceeded(service_cell(4096), root) == (
        "4,096 connections need 5,248 open files; the limit is 1,024: raise it with ulimit -n 5248"
    )
    monkeypatch.setattr(limits, "open_files", lambda: 5248)
    assert exceeded(service_cell(4096), root) is None
    # Those who disturb have connections too.
    assert "4,100 connections" in (exceeded(service_cell(4096, others={"come": 4}), root) or "")


def test_too_few_threads_are_no_matter_of_whoever_has_none(
    tmp_path: Path, no_own_limits: None
) -> None:
    root = machine(tmp_path, **{"sys__fs__cgroup__pids.max": "512"})
    assert exceeded(service_cell(4096), root) is None
    assert exceeded_by_threads(service_cell(4096), root) == (
        "4,096 connections need 4,224 threads; the limit is 512: raise ulimit -u, "
        "the sysctl kernel.threads-max, or the container's pids.max"
    )
    assert exceeded_by_threads(service_cell(128), root) is None
