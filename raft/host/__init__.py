"""The contender protocol around a cluster: requests in, replies and events out."""
