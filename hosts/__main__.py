"""Starts a contender whose nodes are programs on other hosts: `python -m raftmark.hosts`.

Its arguments are those of `python -m raftmark.programs`; before them come where, and what was asked
for besides, as JSON.
"""

import argparse
import functools

import msgspec

from raftmark.bench.runs.forms import Asked
from raftmark.hosts.launcher import Distant
from raftmark.programs.__main__ import commands_of
from raftmark.programs.cluster import ProgramCluster
from raftmark.programs.introduction import describe
from raftmark.raft.host.host import Host
from raftmark.raft.host.service import run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="hosts")
    parser.add_argument("--address", help="the Ray cluster's; else that which is here")
    parser.add_argument("--pack", action="store_true", help="let nodes share a host")
    parser.add_argument(
        "--asked", type=functools.partial(msgspec.json.decode, type=Asked), default=Asked()
    )
    parser.add_argument("name")
    parser.add_argument("programs", type=commands_of)
    options = parser.parse_args()
    launcher = Distant(options.address, options.asked, options.pack)
    factory = functools.partial(ProgramCluster, commands=options.programs, launcher=launcher)
    # What programs tell of themselves they tell here: it needs no place.
    tell = functools.cache(functools.partial(describe, options.programs))
    run(options.name, lambda: Host(options.name, factory, tell, transport="tcp"))
