"""Starts the contender: `python -m raftmark.impl_asyncio [--loop asyncio|uvloop]`.

With `--node` it is a node program, one of a cluster whose nodes are programs of their own.
"""

import argparse
import asyncio
import functools
import importlib

from raftmark.impl_asyncio.cluster import AsyncioCluster
from raftmark.raft.host import host, node_program

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="impl_asyncio")
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    node_program.add_options(parser)
    options = parser.parse_args()
    new_loop = asyncio.new_event_loop
    if options.loop == "uvloop":
        # The one dependency that only this loop has.
        new_loop = importlib.import_module("uvloop").new_event_loop
    runtime = {"loop": options.loop}
    if options.node:
        # Where there is no serialiser, all but this works.
        from raftmark.impl_asyncio.deployed import AsyncioNode

        node = functools.partial(AsyncioNode, new_loop=new_loop)
        node_program.main("asyncio", node, runtime, secret_file=options.secret_file)
    host.main("asyncio", functools.partial(AsyncioCluster, new_loop=new_loop), runtime)
