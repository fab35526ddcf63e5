"""Starts the contender: `python -m raftmark.impl_threading`."""

from raftmark.impl_threading.cluster import ThreadCluster
from raftmark.raft.host.host import main

if __name__ == "__main__":
    main("threading", ThreadCluster)
