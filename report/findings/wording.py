"""Figures as text with their units, as sentences and tables share them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from raftmark.bench.design.cells import NATIVE
from raftmark.bench.design.specification import Cell
from raftmark.report.findings.numbers import Spelled, spell, spell_count, spell_ratio, unit_of_time
from raftmark.report.model import Floor, Headline, Quantity

GLUE = "\N{NO-BREAK SPACE}"
PERCENT = f"{GLUE}%"


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


def factor(quantity: Quantity) -> Spelled:
    """Spell how many times one is the other, whichever way round that is 1 or more."""
    return ratio(from_one_up(quantity))


def from_one_up(quantity: Quantity) -> Quantity:
    """Turn a ratio below 1 round: a share of the best into how far the best is ahead."""
    if quantity.value >= 1:
        return quantity
    interval = quantity.interval and (1 / quantity.interval[1], 1 / quantity.interval[0])
    return replace(quantity, value=1 / quantity.value, interval=interval)


def floor(noise: Floor) -> str:
    """Spell the ratios that a noise floor covers, so finely that they show how far it reaches."""
    return reach(noise.factor)


def reach(factor: float) -> str:
    """Spell a factor and its reciprocal, so finely that they show how far from 1 they are."""
    beyond = factor - 1
    digits = min(3, max(2, -math.floor(math.log10(beyond)))) if beyond > 0 else 2
    return f"\N{MULTIPLICATION SIGN}{1 / factor:.{digits}f} to {factor:.{digits}f}"


def moved(factor: float) -> str:
    """Say how far ratios move from one run to another: an estimate may be nothing, that is not."""
    return f"by {reach(factor)}" if factor >= LEAST_MOVED else "no further than within one"


LEAST_MOVED = 1.005
"""A factor that is below this is printed as none at all."""


def headline_unit(headline: Headline) -> tuple[str, float]:
    """Return the symbol of the unit in which a headline is shown, and the unit's size."""
    values = [quantity.value for quantity in headline.figures.values()]
    match headline.unit:
        case "ns":
            unit = unit_of_time(values)
            return unit.symbol, unit.nanoseconds
        case "s":
            unit = unit_of_time(1e9 * value for value in values)
            return unit.symbol, unit.nanoseconds / 1e9
        case _:
            return headline.unit, 1.0


def cardinal(number: int) -> str:
    """Spell a small number of things as a word, a larger one in digits."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return words[number] if number < len(words) else spell_count(number)


def listed(items: Sequence[str]) -> str:
    """Join items as in a sentence: `a`, `a and b`, `a, b and c`."""
    *others, last = items
    return f"{', '.join(others)} and {last}" if others else last


def outstanding(commands: int) -> str:
    """Say under which load of the closed loop something was measured."""
    return f"{commands} {'command' if commands == 1 else 'commands'} outstanding"


def timeouts(cell: Cell) -> str:
    """Say from which range the election timeouts of a cell were drawn."""
    low, high = cell.cluster["election_timeout_ms"]
    return f"{low:g} to {high:g} ms timeouts"


def setting(cell: Cell) -> str:
    """Say on what kind of cluster a cell was measured, and with what values."""
    workload, cluster = cell.workload, cell.cluster
    parts = [f"{cluster['nodes']} nodes", f"{cluster['storage']} storage"]
    if cell.transport != NATIVE:
        parts.append("each a program, over TCP")
    if cell.followers is not None:
        parts.append(f"{cell.followers} follows")
    if every := cluster.get("snapshot_entries"):
        parts.append(f"a snapshot every {every:,} entries")
    if "payload" in workload:
        parts.append(f"{workload['payload']}-byte values")
    if workload["name"] == "election":
        parts.append(f"{cluster['heartbeat_ms']:g} ms heartbeats")
    if lagging := workload.get("lagging"):
        parts.append(f"{lagging} logs behind")
    if cell.links is not None and "delay_ms" in cell.links:
        low, high = cell.links["delay_ms"]
        parts.append(f"messages delayed by {low:g} to {high:g} ms")
    return ", ".join(parts)
