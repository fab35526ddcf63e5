"""What a Raft of each concurrency model is made of, measured without any Raft.

What is kept of it, `bench.runs.readings` and `bench.runs.outcomes` have.
"""
