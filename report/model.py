"""What a report is made of: the figures of a run, and how its contenders compare.

Only data here. `report.analysis` fills it in; `report.verdict` and `report.sections` read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from bench.codemetrics import SourceMetrics
from report.numbers import Interval

if TYPE_CHECKING:
    from report.evidence import Evidence


class Outcome(Enum):
    """What a comparison says about its subject."""

    BETTER = "better"
    WORSE = "worse"
    ALIKE = "cannot be told apart"
    UNKNOWN = "no verdict"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A figure: the median over blocks and its 95 % interval, which one block cannot give.

    `exact` figures are counted, not measured; they need no interval.
    """

    value: float
    interval: Interval | None = None
    blocks: int = 0
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """A contender against a reference: the ratio of their figures, and what it means.

    `ratio` is None when they cannot be compared. `reason` says why there is no verdict.
    """

    ratio: Quantity | None
    outcome: Outcome
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Headline:
    """One thing that contenders are compared in, such as throughput at 64 outstanding.

    `condition` is what the figure depends on most, such as the outstanding commands; `setting` is
    rest of it. `unit` is one of `bench.metrics`. `figures` has the
    contenders that have one; the two mappings of comparisons have every contender but their
    reference.
    """

    key: str
    title: str
    condition: str
    setting: str
    unit: str
    higher_is_better: bool
    figures: Mapping[str, Quantity]
    against_baseline: Mapping[str, Comparison]
    best: str | None
    against_best: Mapping[str, Comparison]


@dataclass(frozen=True, slots=True)
class Contender:
    """A contender of the run: how it looks, what it ran on, how its trials went.

    `absence` says in a few words why it has no measurement at all, `reason` in full; both are
    None when it has some.
    """

    name: str
    label: str
    colour: str
    marker: str
    runtime: str
    ok: int
    failed: int
    absence: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """Source text to be shown: a file, or some functions of it, and where it comes from."""

    origin: str
    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Length and complexity of a contender's own runtime and of the core beneath it.

    The runtime is by component, as are the `sources` to show of it; the core is by module.
    `excerpts` are the functions in which the model does one thing, by what that is.
    """

    language: str
    runtime: Mapping[str, SourceMetrics]
    core: Mapping[str, SourceMetrics]
    sources: Mapping[str, tuple[Source, ...]] = field(default_factory=dict)
    excerpts: Mapping[str, tuple[Source, ...]] = field(default_factory=dict)

    @property
    def runtime_total(self) -> SourceMetrics:
        """The whole runtime."""
        return SourceMetrics.total(self.runtime.values())

    @property
    def core_total(self) -> SourceMetrics:
        """The whole core."""
        return SourceMetrics.total(self.core.values())


@dataclass(frozen=True, slots=True)
class Tally:
    """How the trials of one contender in one cell went."""

    ok: int
    failed: int
    missing: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A trial that failed: where, at what stage, and why."""

    trial: str
    contender: str
    cell: str
    block: int
    stage: str
    message: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page.

    `key` is its anchor and the name of its template in `templates/sections`, which has `facts`.
    """

    key: str
    title: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that the report says, as figures.

    `tallies` are by cell and contender; contenders keep the run's order everywhere. The
    `environment` is facts as names and texts, by group. `command` measures the same again.
    """

    run: str
    profile: str
    seed: int
    command: str
    started_at: str
    resumed_at: tuple[str, ...]
    schema: int
    torn: int
    blocks: int
    evidence: Evidence
    contenders: Mapping[str, Contender]
    baseline: str | None
    headlines: tuple[Headline, ...]
    code: Mapping[str, Code | str]
    tallies: Mapping[str, Mapping[str, Tally]]
    environment: Mapping[str, tuple[tuple[str, str], ...]]

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
