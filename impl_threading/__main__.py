"""Starts the contender: `python -m raftmark.impl_threading`.

With `--node` it is a node program, one of a cluster whose nodes are programs of their own.
"""

import argparse

from raftmark.impl_threading.cluster import ThreadCluster
from raftmark.raft.host import host, node_program

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="impl_threading")
    node_program.add_options(parser)
    options = parser.parse_args()
    if options.node:
        # Where there is no serialiser, all but this works.
        from raftmark.impl_threading.deployed import ThreadNode

        node_program.main("threading", ThreadNode, secret_file=options.secret_file)
    host.main("threading", ThreadCluster)
