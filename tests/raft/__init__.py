"""The Python core and the three runtimes, tested from within."""
