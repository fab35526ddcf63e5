"""Starts the node program: `python -m raftmark.peers.pysyncobj [--form FORM]`."""

import argparse
from functools import partial
from typing import Any

from pysyncobj.version import VERSION

from raftmark.peers.pysyncobj.node import PySyncObjNode
from raftmark.peers.pysyncobj.settings import FORMS
from raftmark.raft.host.interpreter import describe
from raftmark.raft.host.node_program import NodeProgram, read_secret
from raftmark.raft.host.service import run

OFFERED = ("memory", "disk", "replicate", "offered", "slices", "columns")


def hello() -> dict[str, Any]:
    """What the node program says of itself."""
    runtime = {**describe(), "library": f"PySyncObj {VERSION}", "sync": "nothing"}
    return {"language": "Python", "runtime": runtime, "features": [*OFFERED], "node": True}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="pysyncobj")
    parser.add_argument("--form", choices=FORMS, default="default")
    parser.add_argument("--secret-file", metavar="F", help="not served: loopback alone")
    options = parser.parse_args()
    secret = read_secret(options.secret_file)
    node = partial(PySyncObjNode, form=FORMS[options.form])
    run("pysyncobj", lambda: NodeProgram("pysyncobj", node, hello, secret))
