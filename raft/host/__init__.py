"""The contender protocol around a cluster: requests in, replies and events out.

It knows a cluster by the interface alone, and no concurrency model.
"""
