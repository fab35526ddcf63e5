"""What a report says of where its figures come from."""

from __future__ import annotations

from raftmark.report.findings.provenance import runtime


def test_what_makes_a_save_dearer_is_said_with_the_runtime():
    hello = {
        "language": "Go",
        "runtime": {"name": "go", "version": "go1.27", "sync": "F_FULLFSYNC"},
    }
    assert runtime(hello) == "Go 1.27, disks synced by F_FULLFSYNC"
    hello["runtime"]["sync"] = "fdatasync"
    assert runtime(hello) == "Go 1.27"
