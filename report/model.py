"""What a report is made of: figures, how contenders compare, and who they are.

Only data here, which knows nothing of who makes it or reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from raftmark.bench.codemetrics import WORDS_KNOWN, SourceMetrics
from raftmark.bench.contenders.registry import Peer

Interval = tuple[float, float]
"""The two ends of an interval."""

Samples = Mapping[str, Mapping[int, float]]
"""One value by contender and block; a contender without any is there with no block."""


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
class Floor:
    """How far a metric differs where nothing does: a twin against the contender that it is.

    `factor` (1 or more) is the further end of the interval of their ratio; a ratio between its
    reciprocal and itself is noise.
    """

    twin: str
    base: str
    compared: Comparison
    factor: float

    def covers(self, ratio: float) -> bool:
        """Whether a ratio is no further from 1 than noise is."""
        return 1 / self.factor <= ratio <= self.factor


@dataclass(frozen=True, slots=True)
class Headline:
    """One thing that contenders are compared in, such as throughput at 64 outstanding.

    `condition` is what the figure depends on most, such as the outstanding commands; `setting` is
    the rest of it. `unit` is one of `bench.analysis.metrics`. `figures` has the contenders that
    have one. `pairs` has each comparison that is looked at, of a subject with a reference, both
    ways round; the intervals of all headlines' pairs hold together at 95 %. `noise` is None for
    what is counted, and where no twin was measured. `deployed`: the nodes of its cell are programs
    of their own. `drift` is how far ratios move from run to run
    where runs are pooled, or from host to host where blocks were measured on several, noise apart:
    a factor within which, and whose reciprocal, 95 % of those lie. `samples` are what is measured
    by contender and block, or run.
    """

    key: str
    title: str
    condition: str
    setting: str
    unit: str
    higher_is_better: bool
    figures: Mapping[str, Quantity]
    pairs: Mapping[tuple[str, str], Comparison]
    deployed: bool = False
    noise: Floor | None = None
    drift: float | None = None
    counted: bool = False
    samples: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What it is, in whichever placement."""
        return self.key.partition("@")[0]

    def against(self, reference: str | None) -> dict[str, Comparison]:
        """Return how all that are compared with a reference compare with it."""
        return {one: found for (one, other), found in self.pairs.items() if other == reference}

    def best(self, among: Iterable[str]) -> str | None:
        """Return whose figure is best of some contenders, None if they have none."""
        known = [name for name in among if name in self.figures]
        choose = max if self.higher_is_better else min
        return choose(known, key=lambda name: self.figures[name].value, default=None)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a sentence claims: that the subject's figure is so many times the reference's.

    It is true if the true ratio lies in the interval of `ratio`.
    """

    headline: str
    subject: str
    reference: str
    ratio: Quantity


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the report, and all that it claims of how contenders differ."""

    text: str
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class Contender:
    """A contender of the run: how it looks, what it ran on, how its trials went.

    `base` is the contender that it is a form of, itself if of none; the two have a colour and a
    marker in common, and differ in `line`, a line style of matplotlib's, and in whether the marker
    is `filled`. A `twin` is its base once more, and shows what differs where nothing does.
    `absence` says in a few words why it has no measurement at all, `reason` in full; both are
    None when it has some. `level` is what the conformance suite found it able to do, None if it was
    not examined. `deployed`: its nodes are programs of their own, which speak TCP; else all of them
    live in one contender, and speak by its own means. `peer` says what it is, where it is
    somebody else's Raft; one that does not sync its saves has that in its label.
    `collects`: whether its runtime's cyclic garbage collector is on, None if it does not say.
    """

    name: str
    label: str
    level: str | None
    base: str
    twin: bool
    colour: str
    marker: str
    line: str
    filled: bool
    language: str
    deployed: bool
    collects: bool | None
    runtime: str
    ok: int
    failed: int
    absence: str | None
    reason: str | None
    peer: Peer | None = None

    @property
    def brief(self) -> str:
        """Its name among the others, where it is known that they are Python's models and Go."""
        return self.label.removeprefix("Python ").replace("Go goroutines", "Go")


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
    def words_are_counted(self) -> bool:
        """Whether its language is one whose words of concurrency are known."""
        return set(self.language.split(", ")) <= set(WORDS_KNOWN)

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
    `workloads` are those that it is about, none if it is about all. `empty`: it only says how to
    get what it is about, so nothing leads to it.
    """

    key: str
    title: str
    facts: Mapping[str, Any]
    workloads: tuple[str, ...] = ()
    empty: bool = False
