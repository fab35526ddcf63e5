"""Starts the contender: `python -m raftmark.impl_multiprocessing`.

With `--node` it is a node program, one of a cluster whose nodes are programs of their own.
"""

import argparse
from multiprocessing import forkserver

from raftmark.impl_multiprocessing.cluster import ProcessCluster
from raftmark.impl_multiprocessing.deployed import ProcessNode
from raftmark.raft.host import host, node_program


def start_fork_server() -> None:
    """Part of the contender, not of a cluster: nodes are forked from a process that has their
    code loaded already and no threads.
    """
    forkserver.set_forkserver_preload(["raftmark.impl_multiprocessing.process"])
    forkserver.ensure_running()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="impl_multiprocessing")
    node_program.add_options(parser)
    options = parser.parse_args()
    if options.node:
        node_program.main("multiprocessing", ProcessNode, secret_file=options.secret_file)
    host.main("multiprocessing", ProcessCluster, prepare=start_fork_server)
