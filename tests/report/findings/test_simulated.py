"""All sentences of a report hold together: known truths are planted, and false sentences counted.

`pytest tests/report/findings/test_simulated.py --simulated-reports 2000` takes some minutes; what
it found stands in docs/methodology.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from raftmark.bench.analysis.metrics import Metric
from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.runs.store import Run
from raftmark.report.findings.analysis import Analysis, analyse
from raftmark.report.findings.answers import answers
from raftmark.report.findings.conclusion import findings
from raftmark.report.findings.controls import gains, sentences
from raftmark.report.findings.evidence import Measured
from raftmark.report.findings.headlines import headlines
from raftmark.report.model import Sentence
from tests.report.synthetic_runs import LABELS, REALISTIC, write_run

BLOCKS = 10
TWIN = "threading~"
CONTROLS = {
    "go-loop": "Go event loop",
    "asyncio@mypyc": "Python asyncio, compiled core",
    "threading@mypyc": "Python threads, compiled core",
}
"""Who takes the language apart from the model: planted as whom they are forms of, or as Go."""

Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]
"""Logarithms of what a contender is faster by, from trial to trial."""


def usual(generator: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float64]:
    return generator.normal(0, 0.05, size)


def faster(generator: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float64]:
    return math.log(1.1) + generator.normal(0, 0.05, size)


def two_humps(generator: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float64]:
    slow = math.log(0.6) * (generator.random(size) < 0.3)
    return slow + generator.normal(0, 0.05, size)


def heavy_tails(generator: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float64]:
    return 0.05 * generator.standard_t(2, size)


def skewed(generator: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float64]:
    return -generator.exponential(0.1, size)


PLANTED: Mapping[str, Mapping[str, Draw]] = {
    "equal": dict.fromkeys(LABELS, usual),
    "one is 10 % better": {**dict.fromkeys(LABELS, usual), "go": faster},
    "one has two humps": {**dict.fromkeys(LABELS, usual), "multiprocessing": two_humps},
    "equal, heavy tails": dict.fromkeys(LABELS, heavy_tails),
    "equal, skewed": dict.fromkeys(LABELS, skewed),
}


def _of(name: str) -> str:
    """Return whose draws a contender has."""
    return name.partition("@")[0].removesuffix("-loop")


@pytest.fixture(scope="module")
def controlled(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """The same of a report with controls, whose sentences are of the same family."""
    directory = write_run(
        tmp_path_factory.mktemp("controlled") / "run",
        {**REALISTIC, **{name: REALISTIC[_of(name)] for name in CONTROLS}},
        labels={**LABELS, **CONTROLS},
        forms={name: _of(name) for name in CONTROLS if "@" in name},
        blocks=1,
        outstanding=(1, 64),
        timeouts_ms=((150, 300),),
        elections=4,
        twin="threading",
    )
    return analyse(Run.open(directory), load_contenders(), {})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """A report's analysis, whose trials are to be replaced."""
    directory = write_run(
        tmp_path_factory.mktemp("simulated") / "run",
        blocks=1,
        outstanding=(1, 64),
        timeouts_ms=((150, 300),),
        elections=4,
        twin="threading",
    )
    return analyse(Run.open(directory), load_contenders(), {})


def made_up(
    template: Analysis, planted: Mapping[str, Draw], generator: np.random.Generator
) -> Iterator[Measured]:
    """Trials in each of which every figure was drawn, beside what its block has in common."""
    for pattern in template.evidence.measured:
        if pattern.contender == TWIN:
            continue
        for name in (
            {pattern.contender, TWIN} if pattern.contender == "threading" else {pattern.contender}
        ):
            metrics = list(pattern.values)
            drawn = planted[_of(pattern.contender)](generator, (len(metrics), BLOCKS))
            for block in range(BLOCKS):
                found = {
                    metric: _value(metric, drawn[place, block])
                    for place, metric in enumerate(metrics)
                }
                yield replace(pattern, contender=name, block=block, values=found)


def _value(metric: Metric, faster: float) -> float:
    return 1000 * math.exp(faster if metric.higher_is_better else -faster)


def report(
    template: Analysis, planted: Mapping[str, Draw], generator: np.random.Generator
) -> list[Sentence]:
    """All sentences of a report on made-up trials."""
    evidence = replace(template.evidence, measured=tuple(made_up(template, planted, generator)))
    found = replace(
        template, evidence=evidence, headlines=headlines(evidence, {}, template.contenders)
    )
    return [*answers(found), *findings(found), *sentences(found, gains(found))]


def truths(planted: Mapping[str, Draw]) -> dict[tuple[str, str], float]:
    """How many times as good one is as another: the median ratio, of many."""
    drawn = {
        name: draw(np.random.default_rng(index), (1_000_000,))
        for index, (name, draw) in enumerate(planted.items())
    }
    return {
        (one, other): 1.0 if planted[one] is planted[other] else math.exp(np.median(a - b))
        for one, a in drawn.items()
        for other, b in drawn.items()
    }


def is_false(
    sentence: Sentence, true: Mapping[tuple[str, str], float], higher: Mapping[str, bool]
) -> bool:
    """Whether any claim of a sentence leaves the truth out."""
    for claim in sentence.claims:
        assert claim.ratio.interval is not None
        ratio = true[_of(claim.subject), _of(claim.reference)]
        ratio = ratio if higher[claim.headline] else 1 / ratio
        low, high = claim.ratio.interval
        if not low * (1 - 1e-9) <= ratio <= high * (1 + 1e-9):
            return True
    return False


@pytest.mark.parametrize("name", PLANTED)
def test_at_most_5_per_cent_of_reports_have_a_false_sentence(
    template: Analysis, name: str, request: pytest.FixtureRequest
) -> None:
    reports: int = request.config.getoption("--simulated-reports")
    wrong, claims = _simulate(template, name, reports)
    assert claims > 10 * reports
    assert wrong / reports <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / reports)


@pytest.mark.parametrize("name", ["equal", "one is 10 % better"])
def test_at_most_5_per_cent_of_reports_with_controls_have_a_false_sentence(
    controlled: Analysis, name: str, request: pytest.FixtureRequest
) -> None:
    reports = max(1, request.config.getoption("--simulated-reports") // 4)
    wrong, _ = _simulate(controlled, name, reports)
    assert wrong / reports <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / reports)


def _simulate(template: Analysis, name: str, reports: int) -> tuple[int, int]:
    """Return how many of so many reports have a false sentence, and how many claims all have."""
    planted = PLANTED[name]
    true = truths(planted)
    higher = {headline.key: headline.higher_is_better for headline in template.headlines}
    generator = np.random.default_rng(2026)
    wrong = claims = 0
    for _ in range(reports):
        sentences = report(template, planted, generator)
        claims += sum(len(sentence.claims) for sentence in sentences)
        wrong += any(is_false(sentence, true, higher) for sentence in sentences)
    each = claims / reports
    print(f"{name}: {wrong} of {reports} reports with a false sentence, {each:.0f} claims each")
    return wrong, claims


def test_what_the_controls_tell_is_among_what_is_simulated(controlled: Analysis) -> None:
    planted = PLANTED["one is 10 % better"]
    large = {**planted, "go": lambda g, size: math.log(2.5) + usual(g, size)}
    said = report(controlled, large, np.random.default_rng(1))
    (language,) = (s for s in said if "With 64 commands outstanding, from Python asyncio" in s.text)
    assert "the language gains 2." in language.text
    assert "the model makes no difference that this run can tell" in language.text
    (claim,) = language.claims
    assert (claim.subject, claim.reference) == ("go-loop", "asyncio")


def test_a_difference_that_is_there_is_found(template: Analysis) -> None:
    planted = PLANTED["one is 10 % better"]
    large = {**planted, "go": lambda g, size: math.log(2.5) + usual(g, size)}
    said = " ".join(sentence.text for sentence in report(template, large, np.random.default_rng(1)))
    assert "Go commits 2." in said
    assert "nor with 64 outstanding" in said
    assert "cannot be told apart" in said
