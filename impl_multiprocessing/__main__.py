"""Starts the contender: `python -m impl_multiprocessing`."""

from multiprocessing import forkserver

from impl_multiprocessing.cluster import ProcessCluster
from raft.host import main

if __name__ == "__main__":
    # Part of the contender, not of a cluster: nodes are forked from a process that has
    # their code loaded already and no threads.
    forkserver.set_forkserver_preload(["impl_multiprocessing.process"])
    forkserver.ensure_running()
    main("multiprocessing", ProcessCluster)
