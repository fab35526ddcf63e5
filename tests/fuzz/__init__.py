"""Input that nobody meant: files, frames and lines, made at random and damaged at random.

`pytest tests/fuzz --hypothesis-profile long` looks for longer.
"""
