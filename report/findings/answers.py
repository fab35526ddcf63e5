"""The first screen's sentences: which of Python's models, and what Go would have given.

They are written by rules, and each says whom it compares, so that it can be repeated by itself. A
ratio is stated only where its interval excludes 1 along with all others of the report; where it
does not, the two cannot be told apart, and that is said. The picture above them has the intervals.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import permutations

from raftmark.bench.contenders.variants import TCP as MIXED
from raftmark.report.findings.analysis import EVENT_LOOP, Analysis, Placement
from raftmark.report.findings.wording import (
    GLUE,
    LEAST_MOVED,
    cardinal,
    figure,
    from_one_up,
    headline_unit,
    listed,
    moved,
    outstanding,
)
from raftmark.report.model import Claim, Headline, Outcome, Quantity, Sentence

_PYTHON = "Python"
_BEST = "the best of Python"
_LOADS = ("alone", "throughput")
SAME = 2.0
"""Where no two can differ by more than this, it does not matter which one is taken."""

_TOO_FAR = 10.0
"""A bound that is no nearer tells nobody anything."""


def answers(analysis: Analysis) -> list[Sentence]:
    """Answer the report's two questions in a few sentences."""
    if not analysis.measured_anything:
        return [Sentence("This run has no measurement: not one trial succeeded.")]
    asked = next((p for p in analysis.placements if _measured(p)), None)
    if asked is None:
        but = ", but mixtures of languages, below" if analysis.evidence.mixtures else ""
        return [Sentence(f"Nothing that could be compared was measured here{but}.")]
    view = _View(analysis, asked)
    found = [*view.pythons(), *view.go(), *view.indifferent()]
    found += [
        sentence
        for placement in analysis.placements
        if placement != asked
        for sentence in _View(analysis, placement).elsewhere()
    ]
    found += _from_run_to_run(analysis)
    return [*found, *_unasked(analysis)] or [Sentence("Only one contender has figures here.")]


def farthest(headline: Headline, names: Collection[str]) -> tuple[float, list[Claim]] | None:
    """Return by how much any two of these differ at most, and what is claimed with that.

    None if two of those that have figures cannot be compared.
    """
    known = headline.figures.keys() & set(names)
    pairs = {pair: found for pair, found in headline.pairs.items() if known.issuperset(pair)}
    claims = [
        Claim(headline.key, one, other, found.ratio)
        for (one, other), found in pairs.items()
        if found.ratio is not None
    ]
    if not claims or len(claims) < len(pairs):
        return None
    return max(end for c in claims for end in (c.ratio.interval or (math.inf,))), claims


def below(bound: float) -> str:
    """Spell a factor that nothing reaches which keeps to a bound: rounding must not lower it."""
    return f"{math.floor(10 * bound + 1) / 10:.1f}"


def models(analysis: Analysis, placement: Placement) -> list[str]:
    """Return who answers the report's question: each model once, as it is written.

    Controls, mixtures, and other forms of a contender, as with a compiled core, have sections of
    their own, unless there is nobody else.
    """
    known = {name: analysis.contenders[name] for name in placement.names}
    plain = [
        name
        for name, found in known.items()
        if (found.base == name or found.deployed)
        and name != EVENT_LOOP
        and not found.base.startswith(MIXED)
    ]
    return plain if len(plain) > 1 else list(known)


def _measured(placement: Placement) -> bool:
    return any(headline.figures for headline in placement.headlines)


def _from_run_to_run(analysis: Analysis) -> Iterator[Sentence]:
    """Say how far ratios move from run to run, or from host to host, where there are several.

    The table of figures says it of each headline; here is said of which they move farthest.
    """
    told = [h for h in analysis.headlines if h.kind in _LOADS and h.drift is not None]
    most = max((h.drift or 1.0 for h in told), default=None)
    if most is not None:
        unit = analysis.moved_by
        where = " where it moves most" if most >= LEAST_MOVED and len(told) > 1 else ""
        yield Sentence(
            f"From {unit} to {unit} a ratio of commands per second moves {moved(most)}{where}"
            f"{_by_whom(analysis)}."
        )


def _by_whom(analysis: Analysis) -> str:
    """Say by which runs that is known, where they are not those of the report."""
    if not analysis.kept:
        return ""
    begun = [datetime.fromisoformat(each.started_at) for each in analysis.kept]
    begun.append(datetime.fromisoformat(analysis.started_at))
    hours = max(1, round((max(begun) - min(begun)).total_seconds() / 3600))
    several = len({each.commit for each in analysis.kept}) > 1
    return (
        f", by {cardinal(len(begun))} runs of a machine like this, when it was quiet, within "
        f"{cardinal(hours)} {'hour' if hours == 1 else 'hours'}"
        f"{', of several revisions' * several}"
    )


def _unasked(analysis: Analysis) -> Iterator[Sentence]:
    """Say which placement the run has none of."""
    has = {placement.deployed for placement in analysis.placements}
    if has == {False}:
        yield Sentence(
            "All this is of nodes inside one program. As deployed, a program for each node and TCP "
            "between them, nothing was measured here."
        )
    elif has == {True}:
        yield Sentence(
            "All this is as deployed, a program for each node and TCP between them. Of nodes "
            "inside one program nothing was measured here."
        )


_ALIKE_IN = {
    "alone": "throughput",
    "throughput": "throughput",
    "tail": "the tail of latency",
    "disk": "throughput",
}


class _View:
    """One placement: its contenders, and what may be said of them."""

    def __init__(self, analysis: Analysis, placement: Placement) -> None:
        self._analysis = analysis
        self._headlines = {headline.kind: headline for headline in placement.headlines}
        known = {n: analysis.contenders[n] for n in placement.names if analysis.contenders[n].ok}
        plain = models(analysis, placement)
        self._python = [n for n in plain if n in known and known[n].language == _PYTHON]
        self._go = next((n for n, found in known.items() if found.base == "go"), None)
        self._names = [name for name in plain if name in known]
        self._title = placement.title
        self._where = f"{placement.title}, " if len(analysis.placements) > 1 else ""

    def pythons(self) -> Iterator[Sentence]:
        """Which of Python's: with one command at a time, and with many."""
        compared = [h for h in self._loads() if len(self._ordered(h)) > 1]
        if len(compared) > 1 and (same := self._same(compared)):
            yield same
        else:
            yield from map(self._ranked, compared)

    def go(self) -> Iterator[Sentence]:
        """What Go would have given: in commands, and in what one costs."""
        if self._go is None or not self._python:
            return
        told, claims = self._ahead()
        parts = [f"Go commits {listed(told)}"] if told else []
        told, named = [], ""
        for key, what in (("cpu", "CPU time"), ("memory", "memory for its entry")):
            headline = self._headlines.get(key)
            best = headline.best(self._python) if headline is not None else None
            if headline is None or best is None:
                continue
            if claim := self._claim(headline, best, self._go):
                times = _times(claim)
                share = f"{times} times" if claim.ratio.value > 1 else f"1/{times} of"
                who = self._whose(headline, best)
                # Whom the sentence is about already is not named again.
                told.append(
                    f"{share} Go's {what}" if who == named else f"{who} {share} Go's {what}"
                )
                claims.append(claim)
                named = who
        parts += [f"a command costs {listed(told)}"] if told else []
        if parts:
            yield Sentence(f"{_sentence_case(self._where + '; '.join(parts))}.", tuple(claims))

    def indifferent(self) -> Iterator[Sentence]:
        """Where it does not matter whom one takes."""
        parts: list[str] = []
        claims: list[Claim] = []
        whole, voting = self._headlines.get("election"), self._headlines.get("voting")
        most = farthest(whole, self._names) if whole is not None else None
        if whole is not None and most is not None and most[0] <= SAME:
            claims += most[1]
            parts.append(
                f"it does not matter to a whole election, {self._range(whole)}: the timeouts "
                f"decide, and no model takes {below(most[0])} times as long as another"
            )
            if voting is not None and (own := self._range(voting, whose=True)):
                parts.append(f"its own part, from candidacy to leader, is {own}")
        same, unknown = self._alike()
        if same:
            parts.append(f"Go and {_BEST} cannot be told apart in {listed(same)}")
        if unknown:
            parts.append(
                f"whether Go or {_BEST} is ahead in {listed(unknown)}, this run cannot tell"
            )
        if parts:
            yield Sentence(f"{_sentence_case(self._where + '; '.join(parts))}.", tuple(claims))

    def _alike(self) -> tuple[list[str], list[str]]:
        """In what Go and the best of Python are alike, with a bound, and in what that is open.

        An interval that reaches beyond `SAME` shows no difference, and no likeness either.
        """
        same, unknown = [], []
        for key, what in _ALIKE_IN.items():
            headline = self._headlines.get(key)
            best = None if headline is None else headline.best(self._python)
            if headline is None or best is None or self._go is None:
                continue
            found = headline.pairs.get((best, self._go))
            if found is not None and found.ratio is not None and found.outcome is Outcome.ALIKE:
                low, high = found.ratio.interval or (0.0, math.inf)
                farthest = max(high, 1 / low) if low > 0 else math.inf
                where = f"{what} {under(headline)}"
                if farthest < SAME:
                    same.append(f"{where} (less than {below(farthest)} times apart)")
                else:
                    unknown.append(where)
        return same, unknown

    def elsewhere(self) -> Iterator[Sentence]:
        """The same questions, in a sentence, of the placement that is not the first."""
        told, claims = self._ahead()
        leads: dict[tuple[str, str], list[str]] = {}
        for headline in self._loads():
            best, *others = self._ordered(headline)
            ahead = {name: self._claim(headline, best, name) for name in others}
            claims += [claim for claim in ahead.values() if claim]
            if not others:
                continue
            alike = [name for name, claim in ahead.items() if not claim]
            found, more = f"Python's fastest is {self._short(best)}", ""
            if alike:
                names = [self._short(n) for n in self._python if n == best or n in alike]
                found = f"{listed(names)} cannot be told apart"
                if behind := [self._short(name) for name, claim in ahead.items() if claim]:
                    more = f", where {self._short(best)} commits more than {listed(behind)}"
            leads.setdefault((found, more), []).append(under(headline))
        parts = [
            f"{found} {'at either load' if len(when) > 1 else when[0]}{more}"
            for (found, more), when in leads.items()
        ]
        parts += [f"Go commits {listed(told)}"] if told else []
        if parts:
            yield Sentence(f"{self._title}: {'; '.join(parts)}.", tuple(claims))

    def _loads(self) -> list[Headline]:
        """The headlines of throughput that have figures of Python here."""
        found = (self._headlines.get(key) for key in _LOADS)
        return [h for h in found if h is not None and h.best(self._python) is not None]

    def _ordered(self, headline: Headline) -> list[str]:
        """Those of Python's that have a figure, who commits the most first."""
        known = [name for name in self._python if name in headline.figures]
        return sorted(known, key=lambda name: -headline.figures[name].value)

    def _same(self, headlines: Sequence[Headline]) -> Sentence | None:
        """Say in one sentence that none of Python's can be told apart at any of these loads."""
        names = {frozenset(self._ordered(headline)) for headline in headlines}
        found = [farthest(headline, self._ordered(headline)) for headline in headlines]
        known = [bound for bound in found if bound is not None]
        if len(names) > 1 or len(known) < len(headlines):
            return None
        pairs = permutations(self._ordered(headlines[0]), 2)
        if any(self._claim(h, one, other) for one, other in pairs for h in headlines):
            return None
        loads = [under(headline) for headline in headlines]
        whole = listed([self._short(name) for name in self._python if name in next(iter(names))])
        text = f"{self._where}{whole} cannot be told apart, neither {' nor '.join(loads)}"
        claims: list[Claim] = []
        if (most := max(bound for bound, _ in known)) < _TOO_FAR:
            text += f", and are less than {below(most)} times apart"
            claims = [claim for _, each in known for claim in each]
        return Sentence(f"{_sentence_case(text)}.", tuple(claims))

    def _ranked(self, headline: Headline) -> Sentence:
        best, *others = self._ordered(headline)
        when = f"{self._where}{under(headline)}"
        claims = {name: self._claim(headline, best, name) for name in others}
        behind = [
            f"{_times(claim)} times {self._short(name)}" for name, claim in claims.items() if claim
        ]
        alike = [self._short(name) for name, claim in claims.items() if not claim]
        who = self._short(best)
        made = tuple(claim for claim in claims.values() if claim)
        if not alike:
            many = cardinal(1 + len(others))
            whole = 1 + len(others) == len(self._python)
            among = f"Python's {many}" if whole else f"the {many} of Python's that have figures"
            return Sentence(
                f"{_sentence_case(when)}, {who} is the fastest of {among}: {listed(behind)}.",
                made,
            )
        text = f"{_sentence_case(when)}, {listed([who, *alike])} cannot be told apart"
        if behind:
            text += f"; {who} commits {listed(behind)}"
        return Sentence(f"{text}.", made)

    def _ahead(self) -> tuple[list[str], list[Claim]]:
        """How many times as much Go commits as the best of Python, by load."""
        told: list[str] = []
        claims: list[Claim] = []
        named = ""
        for headline in self._loads():
            best = headline.best(self._python)
            if best is None or self._go is None:
                continue
            claim = self._claim(headline, self._go, best)
            if not claim:
                continue
            claims.append(claim)
            times, when = _times(claim), under(headline)
            share = f"{times} times" if claim.ratio.value > 1 else f"1/{times}"
            whom = self._whose(headline, best)
            told.append(f"{share} {when}" if whom == named else f"{share} as much as {whom} {when}")
            named = whom
        return told, claims

    def _whose(self, headline: Headline, best: str) -> str:
        """Name the best of Python where it is told apart from the others, which it may not be."""
        others = [name for name in self._ordered(headline) if name != best]
        apart = all(self._claim(headline, best, name) for name in others)
        return self._short(best) if apart else _BEST

    def _claim(self, headline: Headline, subject: str, reference: str) -> Claim | None:
        """Claim that two differ, if they can be told apart."""
        found = headline.pairs.get((subject, reference))
        if found is None or found.ratio is None:
            return None
        if found.outcome not in {Outcome.BETTER, Outcome.WORSE}:
            return None
        return Claim(headline.key, subject, reference, found.ratio)

    def _range(self, headline: Headline, *, whose: bool = False) -> str:
        """The lowest and the highest figure, and whose they are."""
        figures = {n: headline.figures[n] for n in self._names if n in headline.figures}
        if not figures:
            return ""
        symbol, size = headline_unit(headline)
        ordered = sorted(figures, key=lambda name: figures[name].value)
        low, high = (_spelled(figures[name], size) for name in (ordered[0], ordered[-1]))
        first, last = self._short(ordered[0]), self._short(ordered[-1])
        if low == high:
            return f"{low}{GLUE}{symbol}"
        if not whose:
            return f"{low} to {high}{GLUE}{symbol}"
        return f"{low} ({first}) to {high}{GLUE}{symbol} ({last})"

    def _short(self, name: str) -> str:
        """A contender's name among others of its language."""
        contender = self._analysis.contenders[name]
        # As deployed all are, which their sentence says.
        found = self._analysis.contenders.get(contender.base) if contender.deployed else None
        return (found or contender).brief


def _times(claim: Claim) -> str:
    """Spell how many times one is the other, in no more digits than one remembers."""
    value = from_one_up(claim.ratio).value
    return f"{value:.3g}" if value < 1.095 else f"{float(f'{value:.2g}'):g}"


def _spelled(quantity: Quantity, size: float) -> str:
    return figure(quantity, size).value


def under(headline: Headline) -> str:
    """Say under which load a throughput is."""
    if headline.condition == outstanding(1):
        return "with one command at a time"
    load, _, where = headline.condition.partition(" commands outstanding")
    return f"with {load} outstanding{where}"


def _sentence_case(text: str) -> str:
    return text[0].upper() + text[1:]
