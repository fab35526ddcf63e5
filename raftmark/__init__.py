"""Raftmark: one Raft in several concurrency models, measured; here is its command line.

The other folders of this package are links to the project's rooms beside it, so that whatever is
installed is one package: nobody else's `bench` or `report` is in its way.

`raftmark.load(RUN)` reads a run into data frames."""

from raftmark.frames import Frames, load

__all__ = ["Frames", "load"]
