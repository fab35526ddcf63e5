"""Studies beside the harness, each a program of its own that nothing imports."""
