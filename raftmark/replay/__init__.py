"""A cluster's inputs, recorded once and kept, given to the core again: work that never changes.

What a core spends on it can be counted instead of timed: see `bench.tracking.replayed`.
"""
