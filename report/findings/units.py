"""Figures in the unit in which they read well, where a ratio beside them says what can be told."""

from __future__ import annotations

from collections.abc import Iterable

from raftmark.report.findings.numbers import spell, unit_of_time

_MEBIBYTE = 2.0**20
_NANOSECONDS = {"ns": 1.0, "s": 1e9}
_HALF_A_DIGIT = 0.0049


def readable_unit(unit: str, values: Iterable[float]) -> tuple[str, float]:
    """Return the symbol of the unit to show values of a metric's `unit` in, and its size."""
    if unit in _NANOSECONDS:
        shown = unit_of_time(value * _NANOSECONDS[unit] for value in values)
        return shown.symbol, shown.nanoseconds / _NANOSECONDS[unit]
    return ("MiB", _MEBIBYTE) if unit == "bytes" else (unit, 1.0)


def three_digits(value: float) -> str:
    """Spell a number to half a per cent."""
    return spell(value, (value * (1 - _HALF_A_DIGIT), value * (1 + _HALF_A_DIGIT))).value


def in_unit(unit: str, values: Iterable[float]) -> list[str]:
    """Spell some values of a metric in one unit, with its symbol."""
    values = list(values)
    symbol, size = readable_unit(unit, values)
    return [f"{three_digits(value / size)} {symbol}".strip() for value in values]
