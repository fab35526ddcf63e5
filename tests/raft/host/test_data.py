"""The data that an earlier cluster has left in a directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftmark.raft.host.data import members_in
from raftmark.raft.storage import StorageError

VOTERS = (1, 2, 3)


def test_where_nothing_was_left_the_first_voters_are_started(tmp_path: Path) -> None:
    assert members_in(str(tmp_path / "none"), VOTERS) == VOTERS
    (tmp_path / "node-x.log").touch()
    assert members_in(str(tmp_path), VOTERS) == VOTERS


def test_a_directory_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for directory in (str(tmp_path / ("x" * 5000)), str(tmp_path / "file")):
        with pytest.raises(StorageError, match=r"too long|Not a directory"):
            members_in(directory, VOTERS)
