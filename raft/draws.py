"""The random numbers of a cluster: the same in every language, from the same seed.

Whoever compares elections of two contenders would else compare two draws of timeouts. The
generator is SplitMix64 (G. L. Steele, D. Lea and C. H. Flood, "Fast splittable pseudorandom
number generators", OOPSLA 2014): a counter in steps of the golden ratio, each mixed. It is small
enough to be written twice, and tests/vectors/draws.json holds both to the same numbers.
"""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15

ELECTIONS, FAILOVER, CATCH_UP = 0, 1, 2
"""The streams of what `run` draws; nodes have those from `node_timeouts` and `node_links`."""


def node_timeouts(node: int) -> int:
    """The stream of a node's election timeouts."""
    return 16 + 2 * node


def node_links(node: int) -> int:
    """The stream of what becomes of the messages that a node sends."""
    return 17 + 2 * node


def mixed(value: int) -> int:
    """SplitMix64's mix of 64 bits: each bit of what goes in turns over half of what comes out."""
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31


class Draws:
    """One of the streams of a seed."""

    __slots__ = ("_state",)

    def __init__(self, seed: int, stream: int) -> None:
        self._state = mixed(seed) + stream & _MASK

    def bits(self) -> int:
        """The next 64 bits."""
        self._state = self._state + _GOLDEN & _MASK
        return mixed(self._state)

    def random(self) -> float:
        """The next number from [0, 1), of 53 bits."""
        return (self.bits() >> 11) * 2.0**-53

    def sample(self, among: Sequence[T], count: int) -> list[T]:
        """So many of them, drawn one by one, each with one number."""
        left = list(among)
        return [left.pop(int(self.random() * len(left))) for _ in range(count)]
