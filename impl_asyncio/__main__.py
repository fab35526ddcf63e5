"""Starts the contender: `python -m raftmark.impl_asyncio [--loop asyncio|uvloop]`."""

import argparse
import asyncio
import functools
import importlib

from raftmark.impl_asyncio.cluster import AsyncioCluster
from raftmark.raft.host.host import main

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="impl_asyncio")
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    loop: str = parser.parse_args().loop
    new_loop = asyncio.new_event_loop
    if loop == "uvloop":
        # The one dependency that only this loop has.
        new_loop = importlib.import_module("uvloop").new_event_loop
    main("asyncio", functools.partial(AsyncioCluster, new_loop=new_loop), {"loop": loop})
