"""How much an interval over few blocks can be trusted, and how many blocks it takes."""

from __future__ import annotations

import math

BLOCKS_FOR_95 = 6
"""The fewest blocks whose lowest and highest value enclose the median 95 % of the time."""


def coverage(blocks: int) -> float:
    """Return how often, at most, the interval of a median over so few blocks holds the truth.

    An interval never reaches beyond the lowest and the highest value, and those enclose the median
    with probability 1 - 2 * 0.5^blocks, whatever its distribution.
    """
    return 0.95 if blocks >= BLOCKS_FOR_95 else 1 - 2 * 0.5**blocks


def coverage_apart(blocks: int, others: int) -> float:
    """Return how often, at most, the interval of the ratio of two runs holds the truth.

    It never reaches beyond the lowest and the highest quotient, and those fail only if every value
    of the one lies below every value of the other: in 2 of all orders of them.
    """
    return min(0.95, 1 - 2 / math.comb(blocks + others, blocks))
