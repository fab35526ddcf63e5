"""Raft on processes: a process a node, and socket pairs between them."""
