"""From a run to what its report says as a whole: plain functions, no drawing, no sentences.

The unit of evidence is the process, so each figure starts as one value per trial: a process has one
trial, or one of each cell.
`evidence` has those values, `estimates` and `headlines` are made of them by the rules of
`comparison`, and an `Analysis` is all of it. What a run does not have, because a contender failed
or the run was cut short, has no figure here either. The figures of one section only are made in
its module of `report.pages.sections`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from raftmark.bench.contenders.registry import (
    DEFAULT_TABLE,
    ContenderSpec,
    is_color,
    is_marker,
    load_contenders,
)
from raftmark.bench.contenders.variants import TCP as MIXED
from raftmark.bench.contenders.variants import Contenders
from raftmark.bench.design.cells import TCP
from raftmark.bench.design.specification import CONTROLLED
from raftmark.bench.experiment.environment import machine
from raftmark.bench.exports.kept import Kept, alike, in_short
from raftmark.bench.exports.kept import load as load_kept
from raftmark.bench.runs.forms import ContenderEntry
from raftmark.bench.runs.runtimes import runtime
from raftmark.bench.runs.store import Run
from raftmark.bench.tracking.plans import Plan
from raftmark.report.findings import provenance
from raftmark.report.findings.estimates import Estimates
from raftmark.report.findings.evidence import Evidence, gather
from raftmark.report.findings.headlines import headlines
from raftmark.report.findings.pooling import pool
from raftmark.report.findings.sourcecode import kept_code, measure_code
from raftmark.report.model import Code, Contender, Failure, Headline, Tally

BASELINE = "go"
"""The contender that the others are compared with, if it has figures."""

EVENT_LOOP = "go-loop"
"""The control whose model is asyncio's and whose language is Go."""

# A contender's own form, and others of it: on another interpreter, on another loop.
_LINES = ("-", "--", ":", "-.")

# For contenders that the table of this checkout does not know.
_FALLBACK_STYLES = (("#e69f00", "v"), ("#56b4e9", "P"), ("#999999", "X"), ("#f0e442", "*"))


class Placement(NamedTuple):
    """Whether nodes are programs of their own, and what was measured of whom when they were."""

    deployed: bool
    names: Sequence[str]
    headlines: Sequence[Headline]

    @property
    def title(self) -> str:
        """The placement as a title says it."""
        return "As deployed" if self.deployed else "In one program"


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that the report says, as figures.

    `path` is the run's directory. `tallies` are by cell and contender; contenders keep the run's
    order everywhere. The `environment` is facts as names and texts, by group. `command` measures
    the same again, and `again` makes the report of it again. `cautions` are sentences on the
    circumstances. `runs` are those that are pooled, of which the last one's facts are told; their
    number is that of the `blocks` then. `machine` tells one machine from another; `one_process`: a
    contender's trials of a block shared a process, `one_cluster`: and some loads a cluster.
    `before` is a run to compare with.
    `kept` are runs like this one in short, which tell how far ratios move from run to run.
    `time_over_s`: what the profile may take, in seconds, where that is why trials are missing.
    """

    run: str
    path: Path
    profile: str
    seed: int
    command: str
    started_at: str
    resumed_at: tuple[str, ...]
    schema: int
    torn: int
    blocks: int
    runs: tuple[str, ...]
    evidence: Evidence
    estimates: Estimates
    contenders: Mapping[str, Contender]
    baseline: str | None
    headlines: tuple[Headline, ...]
    code: Mapping[str, Code | str]
    tallies: Mapping[str, Mapping[str, Tally]]
    environment: Mapping[str, tuple[tuple[str, str], ...]]
    machine: str
    again: str
    one_process: bool = False
    one_cluster: bool = False
    cautions: tuple[str, ...] = ()
    before: Analysis | None = None
    kept: tuple[Kept, ...] = ()
    time_over_s: float | None = None

    @property
    def shown(self) -> dict[str, Contender]:
        """The contenders that are compared: all but twins."""
        return {name: found for name, found in self.contenders.items() if not found.twin}

    @property
    def peers(self) -> dict[str, Contender]:
        """Those of them that are other people's Rafts, which have a section of their own."""
        return {name: found for name, found in self.shown.items() if found.peer is not None}

    @property
    def runtimes(self) -> dict[str, Code]:
        """The code of ours that could be counted: what a user of a library writes is no runtime."""
        return {
            name: found
            for name, found in self.code.items()
            if isinstance(found, Code) and self.contenders[name].peer is None
        }

    @property
    def moved_by(self) -> str | None:
        """What ratios are told to move from and to, in a word; None where all is of one."""
        return self.evidence.grouped_by or ("run" if self.kept else None)

    @property
    def measured_over(self) -> str:
        """How many blocks, or runs that are pooled, the figures are medians over."""
        return f"{self.blocks} {self.unit}{'' if self.blocks == 1 else 's'}"

    @property
    def unit(self) -> str:
        """What a figure has one value of."""
        return "run" if len(self.runs) > 1 else "block"

    @property
    def measured_anything(self) -> bool:
        """Whether any trial of those that are compared succeeded."""
        return any(contender.ok for contender in self.shown.values())

    @property
    def placements(self) -> tuple[Placement, ...]:
        """Where nodes are: as deployed first, by the cells that are so, or else by contenders."""
        ours = [c for c in self.shown.values() if c.peer is None]
        plain = [c.name for c in ours if not c.deployed]
        forms = [c.name for c in ours if c.deployed]
        measured = [h for h in self.headlines if not h.counted]
        deployed = [headline for headline in measured if headline.deployed]
        native = [headline for headline in measured if not headline.deployed]
        found = (
            Placement(True, plain, deployed) if deployed else Placement(True, forms, native),
            Placement(False, plain, native),
        )
        return tuple(p for p in found if p.names and p.headlines)

    @property
    def counted(self) -> tuple[Headline, ...]:
        """The headlines that are counted, which have no placement."""
        return tuple(headline for headline in self.headlines if headline.counted)

    @property
    def expected(self) -> int:
        """How many trials the complete run has."""
        return sum(
            t.ok + t.failed + t.missing for row in self.tallies.values() for t in row.values()
        )

    @property
    def missing(self) -> int:
        """How many of them are not there."""
        return sum(tally.missing for row in self.tallies.values() for tally in row.values())


def examine(
    run: Run,
    table: Path = DEFAULT_TABLE,
    before: Run | None = None,
    pooled: Sequence[Run] = (),
) -> Analysis:
    """Analyse a run with a contenders' table, and the code that it names.

    What no table names now is what was kept of it. `before` is a run to compare with; `pooled` are
    runs to pool it with. Raises `StoreError` where a run is damaged, and `PoolError` where runs
    cannot be pooled.
    """
    specs = {**load_contenders(), **load_contenders(table)}
    code = measure_code(specs)
    if table == DEFAULT_TABLE:
        code |= kept_code(run)
    earlier = None if before is None else analyse(before, specs, code)
    return analyse(run, specs, code, earlier, pooled, load_kept())


def analyse(
    run: Run,
    specs: Mapping[str, ContenderSpec],
    code: Mapping[str, Code | str],
    before: Analysis | None = None,
    pooled: Sequence[Run] = (),
    kept: Sequence[Kept] = (),
) -> Analysis:
    """Turn a run, complete or not, into the figures of its report.

    `specs` gives the contenders their colours and markers; `code` is what
    `measure_code` returns; `before` is of a run to compare with, and `pooled` are to pool it with;
    of the runs that are `kept` those count that are like this one.
    """
    manifest = run.manifest
    runs = [*pooled, run]
    evidence = pool(runs) if pooled else gather(run)
    contenders = _contenders(run, specs, evidence)
    code = {
        name: code.get(name, "not in the contenders' table (--contenders-file names another)")
        for name, found in contenders.items()
        if found.base == name  # other forms of a contender are the same code
    }
    like = tuple(_like(run, kept)) if evidence.grouped_by is None else ()
    measured = {name for name, found in contenders.items() if found.ok and not found.twin}
    baseline = next((name for name in (BASELINE, *evidence.names) if name in measured), None)
    return Analysis(
        run=manifest.run,
        path=run.path,
        profile=manifest.profile,
        seed=manifest.seed,
        command=provenance.command(manifest, _usual(manifest.profile, specs), Plan.of(run)),
        started_at=manifest.started_at,
        resumed_at=tuple(resumption.at for resumption in manifest.resumptions),
        schema=manifest.schema,
        torn=run.torn,
        blocks=len(runs) if pooled else len({trial.block for trial in run.trials}),
        runs=tuple(each.manifest.run for each in runs),
        evidence=evidence,
        estimates=Estimates(evidence),
        contenders=contenders,
        baseline=baseline,
        headlines=headlines(evidence, _of_ours(code, contenders), contenders, like),
        code=code,
        tallies=_tallies(runs, evidence),
        environment=provenance.surroundings(manifest, evidence.clocks_ns),
        again=provenance.report_command(manifest, [each.manifest.run for each in runs]),
        one_process=manifest.specification.one_process,
        one_cluster=manifest.specification.one_cluster,
        cautions=tuple(provenance.cautions(manifest)),
        machine=machine(manifest.environment),
        before=before,
        kept=like,
        time_over_s=None if pooled else provenance.time_over(manifest, run.trials),
    )


def _like(run: Run, kept: Sequence[Kept]) -> list[Kept]:
    """Return what is kept of runs like this one; of a busy machine quiet runs tell nothing."""
    if not kept:
        return []
    own = in_short(run)
    return alike(kept, own) if own.quiet else []


def _of_ours(
    code: Mapping[str, Code | str], contenders: Mapping[str, Contender]
) -> dict[str, Code | str]:
    """Leave out what a user of a library writes, which is no runtime."""
    return {name: found for name, found in code.items() if contenders[name].peer is None}


def _usual(profile: str, specs: Mapping[str, ContenderSpec]) -> list[str]:
    """Return the contenders that a profile's run has if none is named."""
    known = Contenders(specs)
    return [*known.usual(), *(known.controls() if profile in CONTROLLED else [])]


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
            styles[base] = _look(entry, specs.get(base)) or next(fallback)
        colour, marker = styles[base]
        ok = sum(trial.contender == entry.name for trial in evidence.measured)
        failures = [failure for failure in evidence.failures if failure.contender == entry.name]
        absence, reason = _absence(entry.unavailable, ok, failures)
        found[entry.name] = Contender(
            name=entry.name,
            # In whatever is shown of a run, so that no figure on disk is without it.
            label=entry.title_on_disk,
            level=entry.level,
            base=base,
            twin=entry.twin,
            colour=colour,
            marker=marker,
            line=_LINES[forms[base] % len(_LINES)],
            filled=not forms[base],
            language=(entry.hello or {}).get("language", ""),
            collects=(entry.hello or {}).get("runtime", {}).get("gc"),
            deployed=_is_deployed(entry, specs.get(base)),
            runtime=runtime(entry.hello or {}),
            ok=ok,
            failed=len(failures),
            absence=absence,
            reason=reason,
            peer=entry.peer,
        )
        forms[base] += not entry.twin
    return found


def _is_deployed(entry: ContenderEntry, spec: ContenderSpec | None) -> bool:
    """Whether a contender's nodes are always programs: in a mixture, and by a form that says so."""
    form = entry.name.partition("@")[2].rpartition("+")[2]
    if spec is not None and form in spec.forms:
        return spec.forms[form].transport == TCP
    return form == TCP or entry.name.startswith(MIXED)


def _look(entry: ContenderEntry, spec: ContenderSpec | None) -> tuple[str, str] | None:
    """Return a contender's colour and marker: the run's, or the table's for an earlier run."""
    colour, marker = entry.color or "", entry.marker or ""
    # What a run says goes into the page's styles, so it has to be what a table may say.
    if is_color(colour) and is_marker(marker):
        return colour, marker
    return None if spec is None else (spec.color, spec.marker)


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


def _tallies(runs: Sequence[Run], evidence: Evidence) -> dict[str, dict[str, Tally]]:
    passed = Counter((trial.cell, trial.contender) for trial in evidence.measured)
    failed = Counter((failure.cell, failure.contender) for failure in evidence.failures)
    table: dict[str, dict[str, Tally]] = {}
    for cell in evidence.cells:
        row = table[cell.id] = {}
        for contender in runs[-1].manifest.contenders:
            key = (cell.id, contender.name)
            asked = contender.unavailable is None and not contender.lacks(cell)
            # Pooled runs may have had others as twins.
            blocks = sum(
                each.manifest.specification.blocks
                for each in runs
                if any(entry.name == contender.name for entry in each.manifest.contenders)
            )
            expected = blocks if asked else 0
            missing = max(0, expected - passed[key] - failed[key])
            row[contender.name] = Tally(passed[key], failed[key], missing)
    return table
