"""All contenders draw the same numbers from the same seed: vectors that every language must give.

The first of them is the one that SplitMix64 is known by, with its author's seed 1234567; Go's tests
read the file too. `python -m tests.test_draws` writes it anew, for a deliberate change.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from raftmark.raft.draws import Draws, node_timeouts
from raftmark.raft.node import Node, Settings

VECTORS = Path(__file__).with_name("vectors") / "draws.json"
READ: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))

RANGE_NS = (150_000_000, 300_000_000)
SEEDS = (0, 1, 20_260_801, 2**63 - 1)


class _From(Draws):
    """The generator from a given state, as its publication has it."""

    def __init__(self, state: int) -> None:
        self._state = state


def first_timeouts(seed: int, node: int) -> int:
    """The timeout that a node of five begins with."""
    settings = Settings((1, 2, 3, 4, 5), RANGE_NS, 50_000_000)
    return Node(node, settings, Draws(seed, node_timeouts(node)).random).election_timeout_ns


def make() -> dict[str, Any]:
    """Return all vectors."""
    published = _From(1234567)
    return {
        "published": {"state": 1234567, "bits": [str(published.bits()) for _ in range(5)]},
        "streams": [
            {
                "seed": seed,
                "stream": stream,
                "bits": [str(Draws(seed, stream).bits())],
                "sample": Draws(seed, stream).sample([1, 2, 3, 4, 5], 3),
            }
            for seed, stream in product(SEEDS, (0, 1, 18))
        ],
        "first_timeouts": [
            {
                "seed": seed,
                "range_ns": RANGE_NS,
                "timeouts_ns": [first_timeouts(seed, node) for node in range(1, 6)],
            }
            for seed in SEEDS
        ],
    }


def test_the_vectors_are_those_of_the_generator() -> None:
    assert json.loads(json.dumps(make())) == READ


def test_the_published_numbers_come() -> None:
    """From S. Vigna's splitmix64.c with the seed 1234567."""
    assert READ["published"]["bits"] == [
        "6457827717110365317",
        "3203168211198807973",
        "9817491932198370423",
        "4593380528125082431",
        "16408922859458223821",
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_streams_of_a_seed_are_independent_and_even(seed: int) -> None:
    numbers = [
        [draws.random() for _ in range(2000)] for draws in (Draws(seed, n) for n in (18, 20))
    ]
    for drawn in numbers:
        assert abs(fmean(drawn) - 0.5) < 5 / (12 * 2000) ** 0.5
        assert 0 <= min(drawn) < max(drawn) < 1
    products = [(a - 0.5) * (b - 0.5) for a, b in zip(*numbers, strict=True)]
    assert abs(fmean(products)) < 5 / 12 / 2000**0.5


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(make(), indent=1) + "\n", encoding="utf-8")
