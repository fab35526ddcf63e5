"""The arithmetic of clocks, with clocks whose truth is known."""

from __future__ import annotations

import random

import pytest

from raftmark.programs.clocks import SAME, Look, Relation, lasting, relate

MILLISECOND = 1_000_000


def look(rng: random.Random, at_ns: int, offset_ns: int) -> Look:
    """A round trip whose two ways take any time each."""
    there, back = (rng.randrange(50_000, 3 * MILLISECOND) for _ in range(2))
    return Look(at_ns, at_ns + there + offset_ns, at_ns + there + back)


def test_one_look_is_known_to_half_its_round_trip() -> None:
    assert relate([Look(1000, 51_100, 1200)]) == Relation(50_000, 100)


def test_the_shortest_ways_of_all_looks_bound_it() -> None:
    # The first is fast on its way there, the second on its way back.
    looks = [Look(0, 7010, 500), Look(1000, 8480, 1490)]
    assert relate(looks) == Relation(7000, 10)


def test_the_truth_is_always_within_the_bounds() -> None:
    rng = random.Random(1)
    for _ in range(1000):
        offset_ns = rng.randrange(-(10**15), 10**15)
        looks = [look(rng, at, offset_ns) for at in range(0, 16 * 10**7, 10**7)]
        relation = relate(looks)
        assert abs(relation.offset_ns - offset_ns) <= relation.uncertainty_ns
        shortest = min(each.heard_ns - each.asked_ns for each in looks)
        assert relation.uncertainty_ns <= (shortest + 1) // 2


def test_more_looks_never_say_less() -> None:
    rng = random.Random(2)
    looks = [look(rng, at, 123_456) for at in range(0, 16 * 10**7, 10**7)]
    known = [relate(looks[:n]).uncertainty_ns for n in range(1, len(looks) + 1)]
    assert known == sorted(known, reverse=True)


def test_bounds_that_miss_each_other_by_a_drift_say_by_how_much() -> None:
    assert relate([Look(0, 100, 0), Look(1000, 1110, 1000)]) == Relation(105, 5)


def test_a_clock_without_a_look_is_not_related() -> None:
    with pytest.raises(ValueError, match="nobody has looked"):
        relate([])


def test_what_lasts_keeps_its_offset_and_covers_the_later_one() -> None:
    before = Relation(1000, 50)
    assert lasting(before, Relation(1010, 20)) == Relation(1000, 50)
    assert lasting(before, Relation(1100, 20)) == Relation(1000, 120)
    assert lasting(before, Relation(900, 20)) == Relation(1000, 120)


def test_moments_there_are_told_as_here_and_their_differences_stay() -> None:
    relation = Relation(-5000, 70)
    assert relation.here(1000) == 6000
    assert relation.here(1100) - relation.here(1000) == 100
    assert SAME.here(1000) == 1000
