"""Starts a contender whose nodes are programs: `python -m raftmark.programs NAME PROGRAMS`.

PROGRAMS is JSON, a list that has for each program its name, its command line and the directory
that it starts in. Node n is the n-th, and they repeat in turn.
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

Form = tuple[str, list[str], str]


def commands_of(text: str) -> Sequence[Command]:
    """The programs that are named."""
    return [Command(*each) for each in msgspec.json.decode(text, type=list[Form])]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="programs")
    parser.add_argument("name")
    parser.add_argument("programs", type=commands_of)
    options = parser.parse_args()
    factory = functools.partial(ProgramCluster, commands=options.programs)
    tell = functools.cache(functools.partial(describe, options.programs))
    run(options.name, lambda: Host(options.name, factory, tell, transport="tcp"))
