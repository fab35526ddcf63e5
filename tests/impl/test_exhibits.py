"""Implementations differ in their concurrency: what two of them share stands in `raft`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMPLEMENTATIONS = sorted(path.name for path in ROOT.glob("impl_*"))
LONGEST = 10


def lines_of(path: Path) -> list[str]:
    """The lines that say something, without their indentation."""
    return [line.strip() for line in path.read_text().splitlines() if line.strip()]


def longest_run(one: Sequence[str], other: Sequence[str]) -> Sequence[str]:
    """The longest run of lines that are in both."""
    end = length = 0
    before = [0] * (len(other) + 1)
    for number, line in enumerate(one, 1):
        now = [0] * (len(other) + 1)
        for place, candidate in enumerate(other, 1):
            if line == candidate:
                now[place] = before[place - 1] + 1
                if now[place] > length:
                    end, length = number, now[place]
        before = now
    return one[end - length : end]


def test_the_longest_run_is_found() -> None:
    assert longest_run("abcdefg", "xbcdyefgz") == "bcd"
    assert longest_run("ab", "xy") == ""


@pytest.mark.parametrize(("one", "other"), list(combinations(IMPLEMENTATIONS, 2)))
def test_two_implementations_share_no_long_run_of_lines(one: str, other: str) -> None:
    sources = [[lines_of(p) for p in sorted((ROOT / name).glob("*.py"))] for name in (one, other)]
    runs = [longest_run(a, b) for a in sources[0] for b in sources[1]]
    assert [run for run in runs if len(run) > LONGEST] == []
