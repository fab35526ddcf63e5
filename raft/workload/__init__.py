"""What `run` does to a cluster: closed and open loops and their clients, which no model shapes.

It is above the algorithm and its interface of clusters, and below the protocol's host.
"""
