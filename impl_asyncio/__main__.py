"""Starts the contender: `python -m impl_asyncio`."""

from impl_asyncio.cluster import AsyncioCluster
from raft.host import main

if __name__ == "__main__":
    main("asyncio", AsyncioCluster)
