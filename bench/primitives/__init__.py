"""What a Raft of each concurrency model is made of, measured without any Raft."""
