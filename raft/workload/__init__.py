"""What `run` does to a cluster: closed and open loops, and their clients."""
