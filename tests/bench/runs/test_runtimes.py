"""What is said of the runtime that a contender ran on."""

from __future__ import annotations

from raftmark.bench.runs.runtimes import runtime


def test_what_makes_a_save_dearer_is_said_with_the_runtime():
    hello = {
        "language": "Go",
        "runtime": {"name": "go", "version": "go1.27", "sync": "F_FULLFSYNC"},
    }
    assert runtime(hello) == "Go 1.27, disks synced by F_FULLFSYNC"
    hello["runtime"]["sync"] = "fdatasync"
    assert runtime(hello) == "Go 1.27"
