"""Replication: what happens from one command outstanding to many."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from bench.metrics import ENTRIES_PER_SAVE, LATENCY_P50, LATENCY_P99, SAVE_TIME, THROUGHPUT
from bench.results import ReplicateResult
from bench.specification import Cell
from report.charts import Chart, Panel, chart, shifts, short
from report.evidence import Evidence
from report.model import Analysis, Quantity, Section
from report.wording import figure, setting


@dataclass(frozen=True, slots=True)
class Load:
    """What a contender did with one number of outstanding commands. Times are in ns.

    `batch` is the leader's entries a save, `save` how long it waited for one.
    """

    outstanding: int
    throughput: Quantity
    p50: Quantity
    p99: Quantity
    batch: Quantity | None
    save: Quantity | None


@dataclass(frozen=True, slots=True)
class Replication:
    """The closed-loop workload in one configuration.

    `loads` are by contender and in order of outstanding commands; `clients` says how each
    contender keeps its commands outstanding.
    """

    condition: str
    outstanding: tuple[int, ...]
    loads: Mapping[str, tuple[Load, ...]]
    clients: Mapping[str, str]


def section(analysis: Analysis) -> Section | None:
    """Return the section, if anything was replicated."""
    shown = [
        (
            found,
            _throughput(found, analysis, f"throughput-{number}"),
            _latency(found, analysis, f"latency-{number}"),
        )
        for number, found in enumerate(replications(analysis.evidence))
        if found.loads
    ]
    return Section("replication", "Replication", {"shown": shown}) if shown else None


def replications(evidence: Evidence) -> Iterator[Replication]:
    """Group the closed loop's cells into configurations that differ in their load alone."""
    panels: dict[str, list[Cell]] = {}
    for cell in evidence.cells_of("replicate"):
        workload = {key: value for key, value in cell.workload.items() if key != "outstanding"}
        panels.setdefault(json.dumps([workload, cell.cluster], sort_keys=True), []).append(cell)
    for panel in panels.values():
        panel.sort(key=lambda cell: int(cell.workload["outstanding"]))
        loads: dict[str, list[Load]] = {}
        clients: dict[str, str] = {}
        for cell in panel:
            throughput = evidence.quantities(cell, THROUGHPUT)
            p50 = evidence.quantities(cell, LATENCY_P50)
            p99 = evidence.quantities(cell, LATENCY_P99)
            batch = evidence.quantities(cell, ENTRIES_PER_SAVE)
            save = evidence.quantities(cell, SAVE_TIME)
            for name in throughput:
                load = Load(
                    outstanding=cell.workload["outstanding"],
                    throughput=throughput[name],
                    p50=p50[name],
                    p99=p99[name],
                    batch=batch.get(name),
                    save=save.get(name),
                )
                loads.setdefault(name, []).append(load)
                result = evidence.of(cell, name)[0].result
                assert isinstance(result, ReplicateResult)
                clients[name] = result.client
        yield Replication(
            condition=setting(panel[0]),
            outstanding=tuple(int(cell.workload["outstanding"]) for cell in panel),
            loads={name: tuple(found) for name, found in loads.items()},
            clients=clients,
        )


def _throughput(replication: Replication, analysis: Analysis, name: str) -> Chart:
    """Commands per second by outstanding commands, both axes logarithmic."""

    def panel(axes: Axes) -> None:
        _loads(axes, replication, analysis, lambda load: load.throughput, 1.0)
        axes.set_title("Commands committed per second")

    return chart(name, _throughput_in_words(replication, analysis), [panel])


def _latency(replication: Replication, analysis: Analysis, name: str) -> Chart:
    """Latency by outstanding commands: its median and its 99th percentile."""

    def panel(title: str, of: Callable[[Load], Quantity]) -> Panel:
        def draw(axes: Axes) -> None:
            _loads(axes, replication, analysis, of, 1e3)
            axes.set_title(title)

        return draw

    panels = [
        panel("Median latency, µs", lambda load: load.p50),
        panel("99th percentile, µs", lambda load: load.p99),
    ]
    return chart(name, _latency_in_words(replication, analysis), panels, same_scale=True)


def _loads(
    axes: Axes,
    replication: Replication,
    analysis: Analysis,
    of: Callable[[Load], Quantity],
    divisor: float,
) -> None:
    for shift, (contender, loads) in zip(
        shifts(len(replication.loads)), replication.loads.items(), strict=True
    ):
        look = analysis.contenders[contender]
        figures = [of(load) for load in loads]
        values = np.array([figure.value for figure in figures]) / divisor
        ends = [figure.interval or (figure.value, figure.value) for figure in figures]
        bars = np.abs(np.array(ends).T / divisor - values)
        axes.errorbar(
            [load.outstanding * shift for load in loads],
            values,
            yerr=bars,
            color=look.colour,
            marker=look.marker,
            label=look.label,
            capsize=3,
        )
    axes.set_xscale("log")
    axes.set_xlim(min(replication.outstanding) / 1.4, max(replication.outstanding) * 1.4)
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(replication.outstanding)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: short(y)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("commands outstanding")


def _throughput_in_words(replication: Replication, analysis: Analysis) -> str:
    return "Throughput by commands outstanding: " + "; ".join(
        f"{analysis.contenders[contender].label} "
        + ", ".join(
            f"{figure(load.throughput).value} commands/s at {load.outstanding}" for load in loads
        )
        for contender, loads in replication.loads.items()
    )


def _latency_in_words(replication: Replication, analysis: Analysis) -> str:
    return "Median latency by commands outstanding: " + "; ".join(
        f"{analysis.contenders[contender].label} "
        + ", ".join(f"{figure(load.p50, 1e3).value} µs at {load.outstanding}" for load in loads)
        for contender, loads in replication.loads.items()
    )
