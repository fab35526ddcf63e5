"""Raft on threads: a thread a node, and queues between them."""
