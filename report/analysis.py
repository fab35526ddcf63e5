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

from bench.registry import ContenderSpec
from bench.store import Run
from report import headlines, provenance
from report.evidence import Evidence, gather
from report.model import Analysis, Code, Contender, Tally

BASELINE = "go"
"""The contender that the others are compared with, if it has figures."""

# For contenders that the table of this checkout does not know.
_FALLBACK_STYLES = (("#e69f00", "v"), ("#56b4e9", "P"), ("#999999", "X"), ("#f0e442", "*"))


def analyse(
    run: Run, specs: Mapping[str, ContenderSpec], code: Mapping[str, Code | str]
) -> Analysis:
    """Turn a run, complete or not, into the figures of its report.

    `specs` gives the contenders their colours and markers; `code` is what
    `report.sourcecode.measure_code` returns.
    """
    manifest = run.manifest
    evidence = gather(run)
    code = {name: code.get(name, "not in the contenders' table") for name in evidence.names}
    measured = {trial.contender for trial in evidence.measured}
    baseline = next((name for name in (BASELINE, *evidence.names) if name in measured), None)
    return Analysis(
        run=manifest.run,
        profile=manifest.profile,
        seed=manifest.seed,
        command=provenance.command(manifest, specs),
        started_at=manifest.started_at,
        resumed_at=tuple(resumption.at for resumption in manifest.resumptions),
        schema=manifest.schema,
        torn=run.torn,
        blocks=manifest.specification.blocks,
        evidence=evidence,
        contenders=_contenders(run, specs, evidence),
        baseline=baseline,
        headlines=(
            *headlines.of_trials(evidence, baseline),
            *headlines.of_code(code, baseline),
        ),
        code=code,
        tallies=_tallies(run, evidence),
        environment=provenance.environment(manifest.environment),
    )


def _contenders(
    run: Run, specs: Mapping[str, ContenderSpec], evidence: Evidence
) -> dict[str, Contender]:
    fallback = cycle(_FALLBACK_STYLES)
    found = {}
    for entry in run.manifest.contenders:
        spec = specs.get(entry.name)
        colour, marker = (spec.color, spec.marker) if spec else next(fallback)
        ok = sum(trial.contender == entry.name for trial in evidence.measured)
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
            runtime=provenance.runtime(entry.hello or {}),
            ok=ok,
            failed=len(failures),
            absence=absence,
            reason=reason,
        )
    return found


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
