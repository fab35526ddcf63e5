"""The data that an earlier cluster has left in a directory: who is to go on with it."""

import os
import re
from pathlib import Path

from raftmark.raft.errors import BadRequest
from raftmark.raft.members import members_of
from raftmark.raft.messages import Saved
from raftmark.raft.storage import DiskStorage, StorageError

FILE = re.compile(r"node-([1-9]\d*)\.log")


def members_in(directory: str, first_voters: tuple[int, ...]) -> tuple[int, ...]:
    """The nodes that a cluster with these first voters is to start there.

    BadRequest where the data was begun with others; StorageError where it cannot be read.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        names = []
    except OSError as error:
        raise StorageError(f"{directory}: {error.strerror}") from error
    saved = {}
    for name in sorted(names):
        if match := FILE.fullmatch(name):
            saved[int(match[1])] = read(Path(directory, name), first_voters)
    return members_of(saved, first_voters)


def read(path: Path, first_voters: tuple[int, ...]) -> Saved:
    """What a node has saved, unless it began with other voters."""
    saved = DiskStorage(path).read()
    if saved.first_voters not in (None, first_voters):
        raise BadRequest(
            f"{path} was begun with nodes {listed(saved.first_voters)}, not {listed(first_voters)}:"
            f" say nodes {len(saved.first_voters)}, or use another data_dir"
        )
    return saved


def listed(nodes: tuple[int, ...]) -> str:
    """Nodes as a person reads them."""
    return ", ".join(map(str, nodes))
