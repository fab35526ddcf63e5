"""Primitives: what each model is made of, and how close its Raft comes to that limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

from raftmark.bench.analysis.metrics import LATENCY_P50, THROUGHPUT
from raftmark.bench.runs.readings import CASES, PRIMITIVES, Case, Reading, samples
from raftmark.report.drawing.charts import Axis, Chart, Panel, Point, Series, chart, scales
from raftmark.report.drawing.series import in_words, scaled
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.comparison import quantity
from raftmark.report.findings.headlines import OUTSTANDING
from raftmark.report.findings.loads import plain_loads
from raftmark.report.findings.takeaways import of_times
from raftmark.report.model import Quantity, Section

_NS = 1e9
_NAMES = {
    "spawn_join": "spawn and join",
    "one_way": "one-way",
    "ping_pong": "ping-pong",
    "lock_hand_over": "lock hand-over",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A case: what one operation is, and its time in ns by contender, with the tool used.

    Of a timer's lateness there are two rows, its median and its 99th percentile.
    """

    case: Case
    label: str
    what: str
    times: Mapping[str, Quantity]
    means: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Share:
    """How much of its model's message-passing limit a contender reaches.

    `alone` is a round trip's share of the time that a lone command takes to commit; `busy` is how
    many commands are committed in the time of one message. Batching can lift the latter above 1.
    """

    round_trip: Quantity
    commit: Quantity
    alone: Quantity
    message: Quantity
    throughput: Quantity
    busy: Quantity


def section(analysis: Analysis) -> Section:
    """Return the section, which says so if no primitive was measured."""
    readings = [r for r in analysis.evidence.readings if r.contender in analysis.shown]
    by_case = samples(readings)
    rows = [row for row in _rows(analysis, by_case) if row.times]
    facts = {
        "chart": _chart(analysis, rows) if rows else None,
        "rows": rows,
        "takeaway": _takeaway(analysis, rows),
        "shares": dict(_shares(analysis, rows)),
        "outstanding": OUTSTANDING,
        "failed": Counter(
            (r.contender, _label(Case(r.primitive, r.case)), r.failure)
            for r in readings
            if r.failure is not None
        ),
    }
    empty = not rows and not facts["failed"]
    return Section("primitives", "Primitives", facts, ("primitives",), empty)


def _takeaway(analysis: Analysis, rows: list[Row]) -> str:
    """Tell what a message costs, one way, by what each model usually sends it with."""
    usual = next(
        (r for r in rows if r.case.primitive == "one_way" and r.case.name == "usual"), None
    )
    if usual is None:
        return ""
    return of_times(analysis, "Median time of a message", [("one way", usual.times)], "µs")


def _chart(analysis: Analysis, rows: list[Row]) -> Chart:
    labels = [row.label for row in rows]

    def panels(log: bool) -> list[Panel]:
        return [Panel("One operation", Axis("µs", log), Axis(), _series(analysis, rows), labels)]

    return chart(
        "primitives",
        "Time of one operation of each primitive. The table has the figures.",
        analysis.contenders,
        scales(panels),
        row_height=40,
    )


def _label(case: Case) -> str:
    return f"{_NAMES.get(case.primitive, case.primitive.replace('_', ' '))}, {case.name}"


def _rows(
    analysis: Analysis, by_case: Mapping[tuple[str, Case], Mapping[int, Reading]]
) -> Iterator[Row]:
    for case in CASES:
        readings = {n: list(by_case.get((n, case), {}).values()) for n in analysis.shown}
        yield _row(case, _label(case), readings, attrgetter("seconds"))
        if case.primitive == "timer_lateness":
            yield _row(case, f"{_label(case)}, p99", readings, attrgetter("p99_s"))


def _row(
    case: Case,
    label: str,
    readings: Mapping[str, list[Reading]],
    time: Callable[[Reading], float | None],
) -> Row:
    times, means = {}, {}
    for name, taken in readings.items():
        seconds = [value for reading in taken if (value := time(reading)) is not None]
        if seconds:
            times[name] = quantity([_NS * value for value in seconds])
            means[name] = taken[0].means
    return Row(case, label, PRIMITIVES[case.primitive], times, means)


def _series(analysis: Analysis, rows: list[Row]) -> list[Series]:
    found = []
    for place, (name, contender) in enumerate(analysis.shown.items(), 1):
        points = []
        for number, row in enumerate(rows):
            if name in row.times:
                time = row.times[name]
                value, interval = scaled(time, 1e3)
                tip = f"{contender.label}, {row.label}: {in_words(time, 'µs', 1e3)}"
                tip += f", {row.means[name]}" if row.means[name] else ""
                height = number - 0.5 + place / (len(analysis.shown) + 1)
                points.append(Point(value, height, tip, x_interval=interval))
        if points:
            found.append(Series(name, points, ((), ())))
    return found


def _shares(analysis: Analysis, rows: list[Row]) -> Iterator[tuple[str, Share]]:
    """Yield each contender's share of its limit, where all that it takes was measured."""
    times = {row.case: row.times for row in rows}
    loads = plain_loads(analysis.evidence)
    if not loads:
        return
    busy = min(loads, key=lambda cell: abs(cell.workload["outstanding"] - OUTSTANDING))
    commits = analysis.estimates.quantities(loads[0], LATENCY_P50)
    rates = analysis.estimates.quantities(busy, THROUGHPUT)
    for name in analysis.shown:
        round_trip = times.get(Case("ping_pong", "fastest"), {}).get(name)
        message = times.get(Case("one_way", "fastest"), {}).get(name)
        commit, rate = commits.get(name), rates.get(name)
        if round_trip and message and commit and rate:
            yield (
                name,
                Share(
                    round_trip,
                    commit,
                    _quotient(round_trip, commit),
                    message,
                    rate,
                    _product(rate, message),
                ),
            )


def _quotient(one: Quantity, other: Quantity) -> Quantity:
    """Divide two figures of different processes; the interval has the ends of both in it."""
    interval = None
    if one.interval and other.interval:
        interval = one.interval[0] / other.interval[1], one.interval[1] / other.interval[0]
    return Quantity(one.value / other.value, interval, min(one.blocks, other.blocks))


def _product(rate: Quantity, time: Quantity) -> Quantity:
    interval = None
    if rate.interval and time.interval:
        ends = zip(rate.interval, time.interval, strict=True)
        low, high = (a * b / _NS for a, b in ends)
        interval = low, high
    return Quantity(rate.value * time.value / _NS, interval, min(rate.blocks, time.blocks))
