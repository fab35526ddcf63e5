"""The two cores, Python's and Go's, held to the same behaviour; see tests/scenarios/README.md."""
