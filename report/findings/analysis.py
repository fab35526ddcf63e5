"""From a run to what its report says as a whole: plain functions, no drawing, no sentences.

The unit of evidence is the trial, a fresh process, so each figure starts as one value per trial.
`report.comparison` makes estimates and ratios of them. What a run does not have, because a
contender failed or the run was cut short, has no figure here either. The figures of one section
only are made in its module of `report.sections`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import cycle

from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.experiment.environment import machine
from raftmark.bench.runs.store import Run
from raftmark.report.findings import headlines, provenance
from raftmark.report.findings.comparison import together
from raftmark.report.findings.evidence import Evidence, gather
from raftmark.report.model import Analysis, Code, Contender, Failure, Tally

BASELINE = "go"
"""The contender that the others are compared with, if it has figures."""

# A contender's own form, and others of it: on another interpreter, on another loop.
_LINES = ("-", "--", ":", "-.")

# For contenders that the table of this checkout does not know.
_FALLBACK_STYLES = (("#e69f00", "v"), ("#56b4e9", "P"), ("#999999", "X"), ("#f0e442", "*"))


def analyse(
    run: Run,
    specs: Mapping[str, ContenderSpec],
    code: Mapping[str, Code | str],
    before: Analysis | None = None,
) -> Analysis:
    """Turn a run, complete or not, into the figures of its report.

    `specs` gives the contenders their colours and markers; `code` is what
    `report.sourcecode.measure_code` returns; `before` is of a run to compare with.
    """
    manifest = run.manifest
    evidence = gather(run)
    contenders = _contenders(run, specs, evidence)
    twins = {name: found.base for name, found in contenders.items() if found.twin}
    code = {
        name: code.get(name, "not in the contenders' table")
        for name, found in contenders.items()
        if found.base == name  # other forms of a contender are the same code
    }
    measured = {trial.contender for trial in evidence.measured} - twins.keys()
    baseline = next((name for name in (BASELINE, *evidence.names) if name in measured), None)
    return Analysis(
        run=manifest.run,
        path=run.path,
        profile=manifest.profile,
        seed=manifest.seed,
        command=provenance.command(manifest, specs),
        started_at=manifest.started_at,
        resumed_at=tuple(resumption.at for resumption in manifest.resumptions),
        schema=manifest.schema,
        torn=run.torn,
        blocks=manifest.specification.blocks,
        evidence=evidence,
        contenders=contenders,
        baseline=baseline,
        headlines=(
            *together(headlines.of_trials(evidence, baseline, twins)),
            *headlines.of_code(code, baseline),
        ),
        code=code,
        tallies=_tallies(run, evidence),
        environment=provenance.environment(manifest.environment),
        machine=machine(manifest.environment),
        before=before,
    )


def _contenders(
    run: Run, specs: Mapping[str, ContenderSpec], evidence: Evidence
) -> dict[str, Contender]:
    fallback = cycle(_FALLBACK_STYLES)
    styles: dict[str, tuple[str, str]] = {}
    forms: Counter[str] = Counter()
    found = {}
    for entry in run.manifest.contenders:
        base = entry.base or entry.name
        if base not in styles:
            spec = specs.get(base)
            styles[base] = (spec.color, spec.marker) if spec else next(fallback)
        colour, marker = styles[base]
        ok = sum(trial.contender == entry.name for trial in evidence.measured)
        failures = [failure for failure in evidence.failures if failure.contender == entry.name]
        absence, reason = _absence(entry.unavailable, ok, failures)
        found[entry.name] = Contender(
            name=entry.name,
            label=entry.label,
            base=base,
            twin=entry.twin,
            colour=colour,
            marker=marker,
            line=_LINES[forms[base] % len(_LINES)],
            filled=not forms[base],
            runtime=provenance.runtime(entry.hello or {}),
            ok=ok,
            failed=len(failures),
            absence=absence,
            reason=reason,
        )
        forms[base] += not entry.twin
    return found


def _absence(
    unavailable: str | None, ok: int, failures: list[Failure]
) -> tuple[str | None, str | None]:
    """Say in a few words and in full why a contender has no measurement, if it has none."""
    if unavailable is not None:
        return "not available", unavailable
    if ok:
        return None, None
    if failures:
        return "every trial failed", failures[0].message
    return "not measured", "the run ended before its first trial"


def _tallies(run: Run, evidence: Evidence) -> dict[str, dict[str, Tally]]:
    passed = Counter((trial.cell, trial.contender) for trial in evidence.measured)
    failed = Counter((failure.cell, failure.contender) for failure in evidence.failures)
    table: dict[str, dict[str, Tally]] = {}
    for cell in evidence.cells:
        row = table[cell.id] = {}
        for contender in run.manifest.contenders:
            key = (cell.id, contender.name)
            asked = contender.unavailable is None and not contender.lacks(cell)
            expected = run.manifest.specification.blocks if asked else 0
            missing = max(0, expected - passed[key] - failed[key])
            row[contender.name] = Tally(passed[key], failed[key], missing)
    return table
