"""What a client says to a node, as bytes, and what a node's life says to its service."""

from __future__ import annotations

import os
import resource
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from raftmark.raft.client import Applied, Proposal


def frame(*message: Any) -> bytes:
    body = msgspec.msgpack.encode(message)
    return struct.pack("<I", len(body)) + body


def hello(session: str) -> bytes:
    return frame(0, "raftmark-client", 1, session, b"n" * 16)


def command(serial: int) -> bytes:
    return frame(2, serial, "set", "k", "v", None)


def commands(first: int, last: int) -> bytes:
    return b"".join(command(serial) for serial in range(first, last + 1))


def answer(proposals: list[Proposal]) -> None:
    """Let all that were proposed be applied."""
    taken, proposals[:] = list(proposals), []
    for index, proposal in enumerate(taken, 1):
        proposal.done(Applied(index, 1, None))


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open no more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    held = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    try:
        try:
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass  # So many there may be.
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
