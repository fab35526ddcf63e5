"""Which commands belong to which turn."""

import pytest

from raftmark.bench.runs.results import ReplicateResult
from raftmark.bench.runs.turns import SETTLING_NS, between_turns, in_turns, typical_ratio

MS = 1_000_000
S = SETTLING_NS // MS


def result(slices, started_ms=1000):
    commands = sum(count for _, count in slices)
    return ReplicateResult(
        node=1,
        client="",
        started_ns=started_ms * MS,
        ended_ns=(started_ms + slices[-1][0]) * MS,
        commands=commands,
        latency_ns=[(1000, commands)],
        slices=[(end * MS, count) for end, count in slices],
        acknowledged=[commands],
        counters={},
    )


def turns(*spans):
    return [(start * MS, end * MS) for start, end in spans]


def test_only_slices_wholly_within_a_turn_count():
    # From 1000 on: settling, two slices in the turn, one over its end, one in the stop, one over
    # the next beginning and the settling, and one more.
    found = result([(S, 100), (S + 5, 7), (S + 10, 8), (80, 50), (90, 0), (100 + S, 60), (120, 9)])
    assert in_turns(found, turns((1000, 1050), (1100, 1150))) == (24, (10 + 20 - S) * MS)


def test_what_was_before_the_first_turn_or_after_the_last_counts_not():
    found = result([(5, 1), (10, 2), (15, 4), (20, 8), (25, 16)])
    assert in_turns(found, turns((1005 - S, 1015))) == (6, 10 * MS)


def test_a_turn_that_ended_before_the_measured_time_is_none_of_it():
    found = result([(5, 1), (10, 2)])
    assert in_turns(found, turns((900, 950), (951, 960), (1000 - S, 1010))) == (3, 10 * MS)


def test_one_long_slice_over_everything_tells_nothing():
    assert in_turns(result([(400, 1000)]), turns((1000, 1100), (1200, 1300))) == (0, 0)


@pytest.mark.parametrize(("going_on", "expected"), [(0, 0), (3, 6)])
def test_what_is_done_between_turns_is_found(going_on, expected):
    found = result([(50, 5), (60, going_on), (70, going_on), (100, 5)])
    assert between_turns(found, turns((1000, 1050), (1080, 1100))).commands == expected


def paces(*counts, begin):
    """Return what was counted in turns of 20 ms, every 40 ms, the first of which begins so late."""
    slices = []
    for place, count in enumerate(counts):
        start = 40 * place + begin
        slices += [(start + S, 50), (start + 20, count), (start + 21, 0)]
    its = [(1000 + 40 * n + begin, 1020 + 40 * n + begin) for n in range(len(counts))]
    return result(slices), turns(*its)


def test_the_typical_ratio_is_the_middle_one_of_pairs_of_turns():
    base = paces(100, 50, 100, 0, 200, begin=0)
    head = paces(110, 55, 900, 70, 20, begin=20)
    assert typical_ratio(base, head) == pytest.approx(1.1)
    assert typical_ratio(base, base) == 1
    assert typical_ratio(paces(0, 0, begin=0), paces(5, 5, begin=20)) is None
