"""How much of a difference is the language's and how much the model's: what the controls tell.

A step leads from one contender to another that differs in one thing. Its gain is how many times
better that is, whichever way the metric runs: 2 is twice the throughput, or half the latency. It is
one of the headlines' comparisons, so all that is said of gains holds together with all else that
the report says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from raftmark.report.findings.analysis import EVENT_LOOP, Analysis
from raftmark.report.findings.wording import factor
from raftmark.report.model import Claim, Comparison, Headline, Outcome, Sentence

LOOP, GO = "asyncio", "go"
_COMPILED = "mypyc"
_THROUGHPUTS = ("alone", "throughput")
_MEASURES = (*_THROUGHPUTS, "tail", "cpu", "memory")


class Kind(Enum):
    """What a step changes."""

    LANGUAGE = "Language: same model, in Go"
    MODEL = "Model: same language"
    COMPILED = "Compiling: same sources"
    FREE = "Free threading"


@dataclass(frozen=True, slots=True)
class Gain:
    """What a step from `base` to `subject` gains in a headline: a ratio above 1 if it is better."""

    kind: Kind
    base: str
    subject: str
    headline: Headline
    gain: Comparison


def gains(analysis: Analysis) -> list[Gain]:
    """Return what each step gains in each measure, as far as both its ends were measured."""
    headlines = [h for key in _MEASURES for h in analysis.headlines if h.key == key]
    return [
        Gain(kind, base, subject, headline, _gain(headline, base, subject))
        for kind, base, subject in _steps(analysis)
        for headline in headlines
        if headline.samples.get(base) and headline.samples.get(subject)
    ]


def _gain(headline: Headline, base: str, subject: str) -> Comparison:
    """Turn a comparison so that its ratio is above 1 where the subject is better."""
    found, turned = headline.pairs[subject, base], headline.pairs[base, subject]
    return found if headline.higher_is_better else replace(found, ratio=turned.ratio)


def _steps(analysis: Analysis) -> Iterator[tuple[Kind, str, str]]:
    """Yield the steps whose both ends are in the run: what changes, from whom, to whom."""
    shown = analysis.shown
    if {LOOP, EVENT_LOOP} <= shown.keys():
        yield Kind.LANGUAGE, LOOP, EVENT_LOOP
    if {EVENT_LOOP, GO} <= shown.keys():
        yield Kind.MODEL, EVENT_LOOP, GO
    for name in shown:
        base, _, form = name.partition("@")
        if form == _COMPILED and base in shown:
            yield Kind.COMPILED, base, name
    for name in shown:
        if name.endswith("t") and "@" in name and name.removesuffix("t") in shown:
            yield Kind.FREE, name.removesuffix("t"), name


def sentences(analysis: Analysis, found: list[Gain]) -> list[Sentence]:
    """Say what the gains mean, by rule: nothing is said that no interval supports."""
    return [
        *_shares(analysis, found),
        *_compiling(analysis, found),
        *_free(analysis, found),
    ]


def _shares(analysis: Analysis, found: list[Gain]) -> Iterator[Sentence]:
    for headline in _throughputs(found):
        by = {gain.kind: gain for gain in found if gain.headline is headline}
        if {Kind.LANGUAGE, Kind.MODEL} <= by.keys():
            yield Sentence(
                f"{_where(headline)}, from {analysis.contenders[LOOP].label} to "
                f"{analysis.contenders[GO].label}: the language "
                f"{_said(by[Kind.LANGUAGE].gain)}, the model {_said(by[Kind.MODEL].gain)}.",
                _claims(by[Kind.LANGUAGE], by[Kind.MODEL]),
            )


def _compiling(analysis: Analysis, found: list[Gain]) -> Iterator[Sentence]:
    """Answer whether compiling would do instead of rewriting in Go."""
    compiled = f"{LOOP}@{_COMPILED}"
    for headline in _throughputs(found):
        gain = next((g for g in found if g.subject == compiled and g.headline is headline), None)
        if gain is None or not headline.samples.get(EVENT_LOOP):
            continue
        rest = Gain(
            Kind.LANGUAGE, compiled, EVENT_LOOP, headline, _gain(headline, compiled, EVENT_LOOP)
        )
        left = rest.gain
        if left.ratio is None or left.outcome is Outcome.UNKNOWN:
            continue
        answer = {
            Outcome.BETTER: f"no: the same model in Go is still {_times(left)} as fast",
            Outcome.ALIKE: "yes: this run cannot tell it from the same model in Go any more"
            if gain.gain.outcome is Outcome.BETTER
            else "more blocks would have to tell",
            Outcome.WORSE: "yes: it is then faster than the same model in Go",
        }[left.outcome]
        yield Sentence(
            f"Would compiling do instead of rewriting in Go? {_where(headline)}, compiling "
            f"{analysis.contenders[LOOP].label} {_said(gain.gain)}; {answer}.",
            _claims(gain, rest),
        )


def _free(analysis: Analysis, found: list[Gain]) -> Iterator[Sentence]:
    for headline in _throughputs(found):
        for gain in found:
            if gain.kind is Kind.FREE and gain.headline is headline:
                label = analysis.contenders[gain.subject].label
                yield Sentence(
                    f"{_where(headline)}, {label} {_said(gain.gain)} by running without the GIL.",
                    _claims(gain),
                )


def _claims(*gains: Gain) -> tuple[Claim, ...]:
    """Return what is claimed with gains: nothing where two cannot be told apart."""
    return tuple(
        Claim(gain.headline.key, gain.subject, gain.base, told.ratio)
        for gain in gains
        if (told := gain.headline.pairs[gain.subject, gain.base]).ratio is not None
        and told.outcome in {Outcome.BETTER, Outcome.WORSE}
    )


def _throughputs(found: list[Gain]) -> list[Headline]:
    headlines = {gain.headline.key: gain.headline for gain in found}
    return [headlines[key] for key in _THROUGHPUTS if key in headlines]


def _where(headline: Headline) -> str:
    return f"With {headline.condition}"


def _said(gain: Comparison) -> str:
    match gain.outcome:
        case Outcome.BETTER:
            return f"gains {_times(gain)}"
        case Outcome.WORSE:
            return f"loses: {_times(gain)} slower"
        case Outcome.ALIKE:
            return "makes no difference that this run can tell"
        case _:
            return f"is not known ({gain.reason})"


def _times(gain: Comparison) -> str:
    assert gain.ratio is not None
    spelled = factor(gain.ratio)
    interval = f" ({spelled.interval})" if spelled.interval else ""
    return f"{spelled.value}{interval} times"
