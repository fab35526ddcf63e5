"""From a run to the figures of its report: plain functions, no drawing, no sentences.

The unit of evidence is the trial, a fresh process, so each figure starts as one value per trial.
`report.comparison` makes estimates and ratios of them. What a run does not have, because a
contender failed or the run was cut short, has no figure here either.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from bench.codemetrics import (
    LANGUAGES,
    CodeMetricsError,
    SourceMetrics,
    measure_components,
    measure_modules,
)
from bench.registry import ContenderSpec
from bench.results import Election, ElectionResult, ReplicateResult, Result, parse_result
from bench.specification import PROFILES, Cell, Specification
from bench.statistics import quantile_of_histogram
from bench.store import Manifest, Run
from report.comparison import Samples, counted_metric, measured_metric, quantities
from report.model import (
    Analysis,
    Code,
    Contender,
    Elections,
    ElectionSample,
    Failure,
    Load,
    Metric,
    Quantity,
    Replication,
    Tally,
)

BASELINE = "go"
"""The contender that the others are compared with, if it has figures."""

HEADLINE_OUTSTANDING = 64
"""Outstanding commands at which throughput and tail latency are compared, or the nearest."""

HEADLINE_TIMEOUT_MS = [150, 300]
"""Election timeouts at which elections are compared, if measured: the Raft paper's advice."""

# For contenders that the table of this checkout does not know.
_FALLBACK_STYLES = (("#e69f00", "v"), ("#56b4e9", "P"), ("#999999", "X"), ("#f0e442", "*"))


def analyse(
    run: Run, specs: Mapping[str, ContenderSpec], code: Mapping[str, Code | str]
) -> Analysis:
    """Turn a run, complete or not, into the figures of its report.

    `specs` gives the contenders their colours and markers; `code` is what `measure_code` returns.
    """
    manifest = run.manifest
    evidence = _gather(run)
    code = {name: code.get(name, "not in the contenders' table") for name in evidence.names}
    measured = {result.contender for result in evidence.results}
    baseline = next((name for name in (BASELINE, *evidence.names) if name in measured), None)
    return Analysis(
        run=manifest.run,
        profile=manifest.profile,
        seed=manifest.seed,
        command=_command(manifest, specs),
        started_at=manifest.started_at,
        resumed_at=tuple(resumption.at for resumption in manifest.resumptions),
        schema=manifest.schema,
        torn=run.torn,
        blocks=manifest.specification.blocks,
        contenders=_contenders(run, specs, evidence),
        baseline=baseline,
        metrics=(*_speed_metrics(evidence, baseline), *_code_metrics(code, baseline)),
        replications=tuple(_replications(evidence)),
        elections=tuple(_elections(evidence)),
        code=code,
        tallies=_tallies(run, evidence),
        failures=evidence.failures,
        environment=_environment(manifest.environment),
    )


def _command(manifest: Manifest, specs: Mapping[str, ContenderSpec]) -> str:
    """Return the command that measures the same cells again, in the same order."""
    specification, seed = manifest.specification, f"--seed {manifest.seed}"
    if manifest.profile not in PROFILES:
        # Not measured by a profile but by a command of its own, which the run is named for.
        return f"raftmark {manifest.profile} --blocks {specification.blocks} {seed}"
    profile = PROFILES[manifest.profile]()
    names = [contender.name for contender in manifest.contenders]
    words = ["raftmark bench", f"--profile {manifest.profile}", seed]
    if specification.blocks != profile.blocks:
        words.append(f"--blocks {specification.blocks}")
    if (workloads := _workloads(specification)) != _workloads(profile):
        words.append(f"--workloads {','.join(workloads)}")
    if set(names) != set(specs):
        words.append(f"--contenders {','.join(names)}")
    return " ".join(words)


def _workloads(specification: Specification) -> list[str]:
    return list(dict.fromkeys(cell.workload["name"] for cell in specification.cells))


def measure_code(specs: Mapping[str, ContenderSpec], root: Path) -> dict[str, Code | str]:
    """Measure each contender's sources below `root`, or say why that cannot be done."""
    measured: dict[str, Code | str] = {}
    core = cache(lambda patterns: measure_modules(root, patterns))  # contenders share theirs
    for name, spec in specs.items():
        try:
            measured[name] = Code(
                language=_language(spec),
                runtime=measure_components(root, spec.sources),
                core=core(tuple(spec.core)),
            )
        except CodeMetricsError as error:
            measured[name] = str(error)
    return measured


def _language(spec: ContenderSpec) -> str:
    suffixes = {Path(p).suffix for patterns in spec.sources.values() for p in patterns}
    return ", ".join(sorted(LANGUAGES.get(suffix, suffix) for suffix in suffixes))


# The evidence: the trials that count, and the values taken from them.


@dataclass(frozen=True, slots=True)
class _TrialResult:
    cell: str
    block: int
    contender: str
    result: Result


@dataclass(frozen=True, slots=True)
class _Evidence:
    seed: int
    names: tuple[str, ...]
    cells: tuple[Cell, ...]
    results: tuple[_TrialResult, ...]
    failures: tuple[Failure, ...]

    def cells_of(self, workload: str) -> list[Cell]:
        return [cell for cell in self.cells if cell.workload["name"] == workload]

    def results_of(self, cell: Cell, name: str) -> list[Result]:
        return [r.result for r in self.results if r.cell == cell.id and r.contender == name]

    def samples(self, cell: Cell, value: Callable[[Cell, Result], float]) -> Samples:
        return {
            name: {
                trial.block: value(cell, trial.result)
                for trial in self.results
                if trial.cell == cell.id and trial.contender == name
            }
            for name in self.names
        }

    def quantities(
        self, cell: Cell, key: str, value: Callable[[Cell, Result], float]
    ) -> dict[str, Quantity]:
        return quantities(self.samples(cell, value), self.seed, f"{cell.id}/{key}")


def _gather(run: Run) -> _Evidence:
    cells = {cell.id: cell for cell in run.manifest.specification.cells}
    results: list[_TrialResult] = []
    failures: list[Failure] = []
    for trial in run.trials:
        if trial.failure is None and trial.cell in cells:
            workload = cells[trial.cell].workload["name"]
            try:
                result = parse_result(workload, trial.result or {})
            except msgspec.ValidationError as error:
                stage, message, stderr = "report", f"its result cannot be read: {error}", ""
            else:
                results.append(_TrialResult(trial.cell, trial.block, trial.contender, result))
                continue
        elif trial.failure is None:
            stage, message, stderr = "report", f"the run has no cell {trial.cell}", ""
        else:
            stage, message = trial.failure.stage, trial.failure.message
            stderr = trial.failure.stderr
        failures.append(
            Failure(trial.trial, trial.contender, trial.cell, trial.block, stage, message, stderr)
        )
    return _Evidence(
        seed=run.manifest.seed,
        names=tuple(contender.name for contender in run.manifest.contenders),
        cells=tuple(cells.values()),
        results=tuple(results),
        failures=tuple(failures),
    )


# One value per trial.


def _throughput(_: Cell, result: Result) -> float:
    """Commands acknowledged per second."""
    return _replicated(result).throughput


def _p50(_: Cell, result: Result) -> float:
    """Median latency of a command in ns."""
    return quantile_of_histogram(_replicated(result).latency_ns, 0.50)


def _p99(_: Cell, result: Result) -> float:
    """99th percentile of the latency of a command in ns."""
    return quantile_of_histogram(_replicated(result).latency_ns, 0.99)


def _batch(_: Cell, result: Result) -> float:
    """Entries that the leader appended for each of its saves."""
    counters = _replicated(result).counters
    return (counters["entries"] or 0) / (counters["saves"] or 1)


def _save_time(_: Cell, result: Result) -> float:
    """How long the leader waited for one of its saves, in ns."""
    counters = _replicated(result).counters
    # Runs measured before the harness asked for it have no such counter.
    return (counters.get("save_ns") or 0) / (counters["saves"] or 1)


def _election_time(cell: Cell, result: Result) -> float:
    """Median time from the crash to the new leader in ns."""
    # An undecided election lasted at least to its cap. That bound is enough for a median, unless
    # half of the elections were undecided, and their count stands beside it.
    cap_ns = 1e9 * cell.workload["cap_s"]
    return median(
        cap_ns if election.leader_ns is None else election.leader_ns - election.crash_ns
        for election in _elected(result)
    )


def _voting_time(cell: Cell, result: Result) -> float:
    """Median time from the first candidacy to the new leader in ns."""
    cap_ns = 1e9 * cell.workload["cap_s"]
    return median(
        cap_ns
        if election.leader_ns is None or election.candidate_ns is None
        else election.leader_ns - election.candidate_ns
        for election in _elected(result)
    )


def _replicated(result: Result) -> ReplicateResult:
    assert isinstance(result, ReplicateResult)
    return result


def _elected(result: Result) -> list[Election]:
    assert isinstance(result, ElectionResult)
    return result.elections


# The parts of the analysis.


def _contenders(
    run: Run, specs: Mapping[str, ContenderSpec], evidence: _Evidence
) -> dict[str, Contender]:
    fallback = cycle(_FALLBACK_STYLES)
    found = {}
    for entry in run.manifest.contenders:
        spec = specs.get(entry.name)
        colour, marker = (spec.color, spec.marker) if spec else next(fallback)
        ok = sum(result.contender == entry.name for result in evidence.results)
        failures = [failure for failure in evidence.failures if failure.contender == entry.name]
        absence = reason = None
        if entry.unavailable is not None:
            absence, reason = "not available", entry.unavailable
        elif failures and not ok:
            absence, reason = "every trial failed", failures[0].message
        elif not ok:
            absence, reason = "not measured", "the run ended before its first trial"
        found[entry.name] = Contender(
            name=entry.name,
            label=entry.label,
            colour=colour,
            marker=marker,
            runtime=_runtime(entry.hello or {}),
            ok=ok,
            failed=len(failures),
            absence=absence,
            reason=reason,
        )
    return found


def _runtime(hello: Mapping[str, Any]) -> str:
    runtime = hello.get("runtime", {})
    name, version = str(runtime.get("name", "")), str(runtime.get("version", ""))
    # Some call themselves by the name of their language, and repeat it in the version.
    language = str(hello.get("language", ""))
    title = language if name.lower() == language.lower() else name
    parts = [f"{title} {version.removeprefix(name)}".strip()]
    if "gil" in runtime:
        parts.append("GIL on" if runtime["gil"] else "GIL off")
    if "gomaxprocs" in runtime:
        parts.append(f"GOMAXPROCS {runtime['gomaxprocs']}")
    return ", ".join(part for part in parts if part)


def _speed_metrics(evidence: _Evidence, baseline: str | None) -> Iterator[Metric]:
    # Of several cells with as many outstanding commands, the specification's first is compared.
    loads = {c.workload["outstanding"]: c for c in reversed(evidence.cells_of("replicate"))}
    elections = evidence.cells_of("election")
    if loads:
        busy = min(loads, key=lambda outstanding: abs(outstanding - HEADLINE_OUTSTANDING))
        alone = min(loads)
        yield measured_metric(
            "throughput",
            "Throughput",
            _outstanding(busy),
            "commands/s",
            setting=_setting(loads[busy]),
            samples=evidence.samples(loads[busy], _throughput),
            higher_is_better=True,
            baseline=baseline,
            seed=evidence.seed,
        )
        yield measured_metric(
            "latency",
            "Median latency",
            _outstanding(alone),
            "ns",
            setting=_setting(loads[alone]),
            samples=evidence.samples(loads[alone], _p50),
            higher_is_better=False,
            baseline=baseline,
            seed=evidence.seed,
        )
        yield measured_metric(
            "tail",
            "p99 latency",
            _outstanding(busy),
            "ns",
            setting=_setting(loads[busy]),
            samples=evidence.samples(loads[busy], _p99),
            higher_is_better=False,
            baseline=baseline,
            seed=evidence.seed,
        )
    if elections:
        advised = (c for c in elections if c.cluster["election_timeout_ms"] == HEADLINE_TIMEOUT_MS)
        cell = next(advised, elections[0])
        yield measured_metric(
            "election",
            "Election",
            _timeouts(cell),
            "ns",
            setting=_setting(cell),
            samples=evidence.samples(cell, _election_time),
            higher_is_better=False,
            baseline=baseline,
            seed=evidence.seed,
        )


def _code_metrics(code: Mapping[str, Code | str], baseline: str | None) -> Iterator[Metric]:
    def counts(of: Callable[[SourceMetrics], int]) -> dict[str, int | None]:
        return {
            name: None if isinstance(measured, str) else of(measured.runtime_total)
            for name, measured in code.items()
        }

    yield counted_metric(
        "lines",
        "Code",
        "lines, runtime",
        counts=counts(lambda metrics: metrics.lines),
        baseline=baseline,
    )
    yield counted_metric(
        "complexity",
        "Complexity",
        "cyclomatic, runtime",
        counts=counts(lambda metrics: metrics.complexity),
        baseline=baseline,
    )


def _replications(evidence: _Evidence) -> Iterator[Replication]:
    panels: dict[str, list[Cell]] = {}
    for cell in evidence.cells_of("replicate"):
        workload = {key: value for key, value in cell.workload.items() if key != "outstanding"}
        panels.setdefault(json.dumps([workload, cell.cluster], sort_keys=True), []).append(cell)
    for panel in panels.values():
        panel.sort(key=lambda cell: int(cell.workload["outstanding"]))
        loads: dict[str, list[Load]] = {}
        clients: dict[str, str] = {}
        for cell in panel:
            throughput = evidence.quantities(cell, "throughput", _throughput)
            p50 = evidence.quantities(cell, "p50", _p50)
            p99 = evidence.quantities(cell, "p99", _p99)
            batch = evidence.quantities(cell, "batch", _batch)
            save = evidence.quantities(cell, "save", _save_time)
            for name in throughput:
                load = Load(
                    outstanding=cell.workload["outstanding"],
                    throughput=throughput[name],
                    p50=p50[name],
                    p99=p99[name],
                    batch=batch[name],
                    save=save[name],
                )
                loads.setdefault(name, []).append(load)
                clients[name] = _replicated(evidence.results_of(cell, name)[0]).client
        yield Replication(
            condition=_setting(panel[0]),
            outstanding=tuple(int(cell.workload["outstanding"]) for cell in panel),
            loads={name: tuple(found) for name, found in loads.items()},
            clients=clients,
        )


def _elections(evidence: _Evidence) -> Iterator[Elections]:
    for cell in evidence.cells_of("election"):
        medians = evidence.quantities(cell, "election", _election_time)
        voting = evidence.quantities(cell, "voting", _voting_time)
        samples = {}
        for name in medians:
            held = [e for result in evidence.results_of(cell, name) for e in _elected(result)]
            samples[name] = ElectionSample(
                times=tuple(sorted(e.leader_ns - e.crash_ns for e in held if e.leader_ns)),
                undecided=sum(e.leader_ns is None for e in held),
                several_terms=sum(e.leader_term - e.term > 1 for e in held if e.leader_term),
                median=medians[name],
                voting=voting[name],
            )
        low, high = cell.cluster["election_timeout_ms"]
        yield Elections(
            condition=f"{_timeouts(cell)}, {_setting(cell)}",
            timeout_ms=(low, high),
            samples=samples,
        )


def _outstanding(commands: int) -> str:
    return f"{commands} {'command' if commands == 1 else 'commands'} outstanding"


def _timeouts(cell: Cell) -> str:
    low, high = cell.cluster["election_timeout_ms"]
    return f"{low:g} to {high:g} ms timeouts"


def _setting(cell: Cell) -> str:
    workload, cluster = cell.workload, cell.cluster
    parts = [f"{cluster['nodes']} nodes", f"{cluster['storage']} storage"]
    if "payload" in workload:
        parts.append(f"{workload['payload']}-byte values")
    if workload["name"] == "election":
        parts.append(f"{cluster['heartbeat_ms']:g} ms heartbeats")
    return ", ".join(parts)


def _tallies(run: Run, evidence: _Evidence) -> dict[str, dict[str, Tally]]:
    passed = Counter((result.cell, result.contender) for result in evidence.results)
    failed = Counter((failure.cell, failure.contender) for failure in evidence.failures)
    table: dict[str, dict[str, Tally]] = {}
    for cell in evidence.cells:
        row = table[cell.id] = {}
        for contender in run.manifest.contenders:
            key = (cell.id, contender.name)
            expected = 0 if contender.unavailable else run.manifest.specification.blocks
            missing = max(0, expected - passed[key] - failed[key])
            row[contender.name] = Tally(passed[key], failed[key], missing)
    return table


def _environment(recorded: Mapping[str, Any]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Arrange what was recorded about the machine as names and texts, by its first level."""
    single = {name: value for name, value in recorded.items() if not isinstance(value, Mapping)}
    several = {group: value for group, value in recorded.items() if group not in single}
    groups = {**several, "others": single}
    return {
        group.replace("_", " "): tuple(_facts(facts)) for group, facts in groups.items() if facts
    }


def _facts(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested mappings, each with the path to it in words."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _facts(inner, (*path, str(key)))
    elif isinstance(value, list) and any(isinstance(inner, Mapping | list) for inner in value):
        for index, inner in enumerate(value, 1):
            yield from _facts(inner, (*path, str(index)))
    else:
        yield _fact(", ".join(path).replace("_", " "), value)


def _fact(name: str, value: Any) -> tuple[str, str]:
    match value:
        case None:
            return name, "unknown"
        case bool():
            return name, "yes" if value else "no"
        case int() if name.endswith(" bytes"):
            return name.removesuffix(" bytes"), f"{value / 2**30:.1f} GiB"
        case list():
            return name, ", ".join(str(inner) for inner in value)
        case _:
            return name, str(value)
