"""Starts the contender: `python -m raftmark.impl_multiprocessing`."""

from multiprocessing import forkserver

from raftmark.impl_multiprocessing.cluster import ProcessCluster
from raftmark.raft.host.host import main


def start_fork_server() -> None:
    """Part of the contender, not of a cluster: nodes are forked from a process that has their
    code loaded already and no threads.
    """
    forkserver.set_forkserver_preload(["raftmark.impl_multiprocessing.process"])
    forkserver.ensure_running()


if __name__ == "__main__":
    main("multiprocessing", ProcessCluster, prepare=start_fork_server)
