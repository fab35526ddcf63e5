"""Figures as text with their units, as sentences and tables share them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from report.model import Metric, Quantity
from report.numbers import Spelled, Unit, spell, spell_count, spell_ratio, unit_of_time


def figure(quantity: Quantity, divisor: float = 1.0) -> Spelled:
    """Spell a quantity, divided by the size of its unit."""
    if quantity.exact:
        return Spelled(spell_count(round(quantity.value)))
    interval = quantity.interval
    scaled = None if interval is None else (interval[0] / divisor, interval[1] / divisor)
    return spell(quantity.value / divisor, scaled)


def ratio(quantity: Quantity) -> Spelled:
    """Spell a ratio."""
    if quantity.exact:
        return Spelled(f"{quantity.value:.2f}")
    return spell_ratio(quantity.value, quantity.interval)


def common_unit(quantities: Iterable[Quantity]) -> Unit:
    """Choose the unit in which these times in ns read well side by side."""
    return unit_of_time(quantity.value for quantity in quantities)


def metric_unit(metric: Metric) -> tuple[str, float]:
    """Return the symbol of the unit in which a metric is shown, and the unit's size."""
    if metric.unit != "ns":
        return metric.unit, 1.0
    unit = common_unit(metric.figures.values())
    return unit.symbol, unit.nanoseconds


def cardinal(number: int) -> str:
    """Spell a small number of things as a word, a larger one in digits."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return words[number] if number < len(words) else spell_count(number)


def listed(items: Sequence[str]) -> str:
    """Join items as in a sentence: `a`, `a and b`, `a, b and c`."""
    *others, last = items
    return f"{', '.join(others)} and {last}" if others else last
