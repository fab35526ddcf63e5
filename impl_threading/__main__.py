"""Starts the contender: `python -m impl_threading`."""

from impl_threading.cluster import ThreadCluster
from raft.host import main

if __name__ == "__main__":
    main("threading", ThreadCluster)
