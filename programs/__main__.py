"""Starts a contender whose nodes are programs: `python -m raftmark.programs NAME PROGRAMS`.

PROGRAMS is JSON, a list of pairs of a name and a command line: node n is the n-th, and they repeat
in turn.
"""

import argparse
import functools
from collections.abc import Sequence

import msgspec

from raftmark.programs.cluster import ProgramCluster
from raftmark.programs.introduction import describe
from raftmark.programs.launcher import Command
from raftmark.raft.host.host import Host
from raftmark.raft.host.service import run


def commands_of(text: str) -> Sequence[Command]:
    """The programs that are named."""
    pairs = msgspec.json.decode(text, type=list[tuple[str, list[str]]])
    return [Command(name, argv) for name, argv in pairs]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="programs")
    parser.add_argument("name")
    parser.add_argument("programs", type=commands_of)
    options = parser.parse_args()
    factory = functools.partial(ProgramCluster, commands=options.programs)
    tell = functools.cache(functools.partial(describe, options.programs))
    run(options.name, lambda: Host(options.name, factory, tell, transport="tcp"))
