"""Numbers as text: no more digits than their interval supports.

The last digit that is printed is the leading digit of half the interval's width: 612,345 with an
interval from 609,211 to 615,090 reads 612,000 (609,000 to 615,000), because its half width of
2,940 says nothing about hundreds. Where that would leave a single digit, a second one is printed,
because rounding 1.3 to 1 moves a figure by more than many an interval is wide. A number without an
interval has nothing to support its digits and gets two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from raftmark.report.model import Interval

_MAX_DIGITS = 4
_UNSUPPORTED_DIGITS = 2
_FINEST_RATIO = -3


@dataclass(frozen=True, slots=True)
class Spelled:
    """A number as text, with the ends of its interval to the same place, if it has one."""

    value: str
    low: str | None = None
    high: str | None = None

    @property
    def interval(self) -> str | None:
        """The interval as text, such as `2.2 to 2.5`, or None."""
        return None if self.low is None else f"{self.low} to {self.high}"

    def __str__(self) -> str:
        return self.value if self.low is None else f"{self.value} ({self.interval})"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of time: its symbol and how many nanoseconds it has."""

    symbol: str
    nanoseconds: float


_UNITS_OF_TIME = (Unit("s", 1e9), Unit("ms", 1e6), Unit("µs", 1e3), Unit("ns", 1.0))


def spell(value: float, interval: Interval | None = None) -> Spelled:
    """Spell a number with the digits that its interval supports.

    Raises `ValueError` for a number that is not finite: such a figure must not be printed.
    """
    return _spell_to(_last_place(value, interval), value, interval)


def spell_ratio(value: float, interval: Interval | None = None) -> Spelled:
    """Spell a ratio like `spell`, with one care more.

    An interval that excludes 1 is printed with as many digits as it takes to show that it does, up
    to three decimals, and in words where these do not; one that contains 1 with one digit more if
    a bound would read as 1. No bound reads as 0, which no ratio is, if three decimals can help it.
    """
    place = _last_place(value, interval)
    if interval is None:
        return _spell_to(place, value, interval)
    places = range(place, min(place, _FINEST_RATIO) - 1, -1)
    place = next((finer for finer in places if round(interval[0], -finer) != 0), place)
    if interval[0] <= 1 <= interval[1]:
        reads_as_one = any(round(bound, -place) == 1 for bound in interval)
        return _spell_to(place - 1 if reads_as_one else place, value, interval)
    for finer in range(place, min(place, _FINEST_RATIO) - 1, -1):
        if not any(round(bound, -finer) == 1 for bound in interval):
            return _spell_to(finer, value, interval)
    shown = _spell_to(min(place, -2), value, interval)
    if interval[0] > 1:
        return replace(shown, low="just over 1")
    return replace(shown, high="just under 1")


def spell_count(number: int) -> str:
    """Spell a number of things."""
    return f"{number:,}"


def unit_of_time(nanoseconds: Iterable[float]) -> Unit:
    """Choose the unit in which all these times read well: the smallest is about 1 or more."""
    smallest = min((time for time in nanoseconds if time > 0), default=0.0)
    return next(
        (unit for unit in _UNITS_OF_TIME if smallest >= 0.5 * unit.nanoseconds), _UNITS_OF_TIME[-1]
    )


def _leading_place(number: float) -> int:
    return math.floor(math.log10(abs(number)))


def _last_place(value: float, interval: Interval | None) -> int:
    numbers = (value, *(interval or ()))
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"not a finite figure: {value} {interval}")
    largest = max(abs(number) for number in numbers)
    if largest == 0:
        return 0
    half_width = (interval[1] - interval[0]) / 2 if interval else 0.0
    if half_width == 0:
        return _leading_place(largest) - _UNSUPPORTED_DIGITS + 1
    place = max(_leading_place(half_width), _leading_place(largest) - _MAX_DIGITS + 1)
    if value == 0:
        return place
    # A wide interval must not round the figure itself to zero.
    leading = _leading_place(value)
    return leading - 1 if place == leading else min(place, leading)


def _spell_to(place: int, value: float, interval: Interval | None) -> Spelled:
    texts = [
        f"{round(number, -place):,.{max(0, -place)}f}" for number in (value, *(interval or ()))
    ]
    return Spelled(*texts)
