"""Raft on asyncio: all nodes are tasks of one event loop."""
