"""A comparison of HEAD with BASE, for people: as text, Markdown, JSON and HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from raftmark.bench.analysis.sequential import Verdict
from raftmark.bench.tracking.compare import Comparison, Finding, Outcome
from raftmark.bench.tracking.counting import Count
from raftmark.bench.tracking.plans import Plan
from raftmark.report.findings.numbers import spell_ratio
from raftmark.report.findings.units import in_unit
from raftmark.report.findings.wording import listed
from raftmark.report.pages.templating import static, templates

_MARKS = {
    Verdict.SLOWER: "▼",
    Verdict.FASTER: "▲",
    Verdict.SAME: "=",
    Verdict.UNDECIDED: "?",
}
# What is worse and what is better, where that is not "slower" and "faster".
_WORDS = {
    "bytes": ("more memory", "less memory"),
    "s": ("more CPU time", "less CPU time"),
}


class Row(NamedTuple):
    """One figure as text. `mark` is one character, `verdict` a few words."""

    contender: str
    cell: str
    what: str
    base: str
    head: str
    ratio: str
    mark: str
    verdict: str
    blocks: int


class Counted(NamedTuple):
    """One count as text."""

    contender: str
    what: str
    base: str
    head: str
    verdict: str
    grew: bool


def headline(comparison: Comparison) -> str:
    """Return the answer in a few sentences, the worst first."""
    wrong = "a safety rule was broken, or what cannot be was told, in"
    safety = [f"{wrong} {trial}" for trial in comparison.unsafe]
    sentences = [
        f"{start}: {'; '.join(found)}."
        for start, found in (
            ("HEAD is broken", [*safety, *comparison.broken]),
            ("Worse than BASE", _worse(comparison)),
            ("BASE is broken", comparison.base_broken),
            ("Trials fail more often", comparison.frail if not comparison.broken else []),
        )
        if found
    ]
    match comparison.outcome:
        case Outcome.FIRST:
            sentences.insert(0, "There is nothing to compare with yet.")
        case Outcome.UNDECIDED:
            sentences.insert(0, "Nothing could be decided.")
        case Outcome.PASSED:
            sentences.insert(0, _passed(comparison))
    return " ".join(sentences)


def _worse(comparison: Comparison) -> list[str]:
    plan = comparison.plan
    return [
        f"{plan.labels[f.contender]}: {f.title} {_verdict(f, plan)} in {f.cell} "
        f"({_mean(f) if _by_mean(f) else _ratio(f)})"
        for f in comparison.with_verdict(Verdict.SLOWER)
    ] + [
        f"{plan.labels[c.contender]}: {_number(c.head)} instead of {_number(c.base)} {c.what}"
        for c in comparison.costlier
    ]


def _passed(comparison: Comparison) -> str:
    told = len(comparison.findings) - len(comparison.with_verdict(Verdict.UNDECIDED))
    sentence = f"Nothing got worse, as far as it can be told: {told} of "
    sentence += f"{len(comparison.findings)} figures are decided"
    better = comparison.with_verdict(Verdict.FASTER)
    return f"{sentence}, {len(better)} of them better." if better else f"{sentence}."


def rows(comparison: Comparison) -> list[Row]:
    """Return all figures as text, what got worse first."""
    order = [Verdict.SLOWER, Verdict.FASTER, Verdict.UNDECIDED, Verdict.SAME]
    return [
        Row(
            comparison.plan.labels[finding.contender],
            finding.cell,
            finding.title,
            *_values(finding),
            _ratio(finding),
            _MARKS[finding.verdict],
            _verdict(finding, comparison.plan),
            finding.blocks,
        )
        for finding in sorted(comparison.findings, key=lambda f: order.index(f.verdict))
    ]


def counted(comparison: Comparison) -> list[Counted]:
    """Return the counts as text: what differs, and all that a command costs."""
    return [
        Counted(
            comparison.plan.labels[count.contender],
            count.what,
            _number(count.base),
            _number(count.head),
            _change(count),
            count.gated and count.grew,
        )
        for count in comparison.counts
        if count.gated or count.base != count.head
    ]


def notes(comparison: Comparison) -> list[str]:
    """Return what a reader has to know besides, as sentences."""
    plan = comparison.plan
    found = [plan.caution] if plan.caution else []
    found += [f"Not compared: {sentence}." for sentence in plan.left_out]
    found += [f"One after the other, not in turns: {sentence}." for sentence in plan.apart]
    found += [f"Failed trials of {name}: {said}." for name, said in comparison.failures.items()]
    if comparison.uncounted:
        names = listed([plan.labels[name] for name in comparison.uncounted])
        found.append(f"Not counted yet: what a command costs with {names}.")
    few = [f for f in comparison.with_verdict(Verdict.UNDECIDED) if f.blocks < plan.fewest_blocks]
    if few:
        found.append(
            f"Undecidable for want of time: {len(few)} of {len(comparison.findings)} figures have "
            f"fewer than the {plan.fewest_blocks} pairs that a difference takes."
        )
    return found


def method(comparison: Comparison) -> str:
    """Return how to read the figures."""
    plan = comparison.plan
    return (
        f"Ratios are HEAD over BASE within pairs, their medians with intervals that hold however "
        f"often one looks. If nothing changed, anything is told to be slower with a probability of "
        f"{100 * plan.error:g} % at most. "
        f"A change of at most {100 * plan.margin:g} % is taken for none. "
        f"Measured for {comparison.seconds / 60:.1f} minutes; run {comparison.run}."
    )


def _opening(comparison: Comparison) -> list[str]:
    """Return what is compared, and the answer; where HEAD is broken that comes first."""
    compared = f"HEAD {comparison.plan.head} against BASE {comparison.plan.base}"
    both = [compared, headline(comparison)]
    return both[::-1] if comparison.outcome is Outcome.BROKEN else both


def as_text(comparison: Comparison) -> str:
    """Lay a comparison out for a terminal or a log."""
    found = [*_opening(comparison), ""]
    if lines := rows(comparison):
        header = ("", "contender", "cell", "figure", "BASE", "HEAD", "ratio", "pairs", "")
        found += _aligned([header, *map(_cells, lines)])
    if counts := counted(comparison):
        found += ["", "Counted:"]
        found += _aligned([(c.contender, c.what, c.base, c.head, c.verdict) for c in counts])
    found += ["", *notes(comparison), method(comparison)]
    return "\n".join(found) + "\n"


def _cells(r: Row) -> tuple[str, ...]:
    return (
        *(r.mark, r.contender, r.cell, r.what),
        *(r.base, r.head, r.ratio, str(r.blocks), r.verdict),
    )


def as_markdown(comparison: Comparison) -> str:
    """Lay a comparison out for a pull request's comment or a job's summary."""
    found = ["### Raftmark", ""]
    for line in _opening(comparison):
        emphasis = "**" * (line == headline(comparison))
        found += [f"{emphasis}{_escape(line)}{emphasis}", ""]
    if lines := rows(comparison):
        found += [
            "| | Contender | Cell | Figure | BASE | HEAD | Ratio | Pairs | |",
            "|---|---|---|---|---:|---:|---:|---:|---|",
        ]
    found += [
        f"| {r.mark} | {_escape(r.contender)} | {_escape(r.cell)} | {r.what} | {r.base} | {r.head} "
        f"| {r.ratio} | {r.blocks} | {r.verdict} |"
        for r in lines
    ]
    if counts := counted(comparison):
        found += ["", "| Contender | Counted | BASE | HEAD | |", "|---|---|---:|---:|---|"]
        found += [
            f"| {_escape(c.contender)} | {c.what} | {c.base} | {c.head} | {c.verdict} |"
            for c in counts
        ]
    found += ["", *(f"- {_escape(note)}" for note in notes(comparison)), ""]
    found += [f"<sub>{_escape(method(comparison))}</sub>"]
    return "\n".join(found) + "\n"


def as_json(comparison: Comparison) -> str:
    """Return a comparison for programs: the fields of `Comparison`, and the name of its outcome."""
    fields = {"outcome": comparison.outcome.name.lower(), **msgspec.to_builtins(comparison)}
    return msgspec.json.format(msgspec.json.encode(fields), indent=2).decode() + "\n"


def as_html(comparison: Comparison) -> str:
    """Lay a comparison out as a page that needs nothing else."""
    page = templates().get_template("difference.html")
    return page.render(
        plan=comparison.plan,
        headline=headline(comparison),
        rows=rows(comparison),
        counts=counted(comparison),
        notes=notes(comparison),
        method=method(comparison),
        style=static("report.css"),
    )


FORMATS: dict[str, Callable[[Comparison], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "json": as_json,
    "html": as_html,
}


def _values(finding: Finding) -> tuple[str, str]:
    if finding.base is None or finding.head is None:
        return "none", "none"
    base, head = in_unit(finding.unit, (finding.base, finding.head))
    return base, head


def _ratio(finding: Finding) -> str:
    if finding.ratio is None:
        return "none"
    if finding.low is not None and finding.high is not None:
        return f"{spell_ratio(finding.ratio, (finding.low, finding.high))}"
    ends = [
        f"{word} {spell_ratio(end).value}"
        for word, end in (("at least", finding.low), ("at most", finding.high))
        if end is not None
    ]
    return f"{spell_ratio(finding.ratio).value} ({ends[0] if ends else 'nothing sure yet'})"


def _mean(finding: Finding) -> str:
    if finding.mean is None or finding.mean_low is None or finding.mean_high is None:
        return "none"
    return f"{spell_ratio(finding.mean, (finding.mean_low, finding.mean_high))}"


def _words(finding: Finding) -> tuple[str, str]:
    return _WORDS.get(finding.unit, ("slower", "faster"))


def _verdict(finding: Finding, plan: Plan) -> str:
    match finding.verdict:
        case Verdict.SLOWER:
            return _words(finding)[0] + " on the average" * _by_mean(finding)
        case Verdict.FASTER:
            return _words(finding)[1]
        case Verdict.SAME:
            return f"no difference larger than {100 * plan.margin:g} %"
        case Verdict.UNDECIDED:
            fewest = plan.fewest_blocks
            few = f": {finding.blocks} of {fewest} pairs" if finding.blocks < fewest else ""
            return f"cannot tell yet{few}"


def _by_mean(finding: Finding) -> bool:
    """Whether the mean alone shows a figure to differ from BASE's: its centre may be the same."""
    return (finding.low is None or finding.low <= 1) and (finding.high is None or finding.high >= 1)


def _number(number: float) -> str:
    return f"{number:,g}" if number < 1e6 else f"{number:,.0f}"


def _change(count: Count) -> str:
    if count.base == count.head:
        return "equal"
    difference = count.head - count.base
    return f"{_number(abs(difference))} {'more' if difference > 0 else 'fewer'}"


def _aligned(lines: Iterable[tuple[str, ...]]) -> list[str]:
    lines = list(lines)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return [
        "  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _escape(text: str) -> str:
    """Keep what a contender or a branch is called from being taken for Markdown."""
    for character in "\\`*_[]<>|@#&~$":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")
