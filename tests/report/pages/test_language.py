"""Language or model: what the page says where the controls were measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

import pytest

from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.controls import Kind, gains, sentences
from raftmark.report.pages.sections import language, verdict
from tests.report.synthetic_runs import LABELS, Behaviour

NAMES = {
    **LABELS,
    "go-loop": "Go event loop",
    "asyncio@mypyc": "Python asyncio, compiled core",
    "threading@3.14": "Python threads, 3.14",
    "threading@3.14t": "Python threads, 3.14t",
}
FORMS = {
    "asyncio@mypyc": "asyncio",
    "threading@3.14": "threading",
    "threading@3.14t": "threading",
}


def run(capacities: Mapping[str, float]) -> dict[str, Any]:
    """The options of a run whose contenders commit so much, and answer a lone command as fast."""
    behaviours = {
        name: Behaviour(capacity=capacity, latency_us=1e6 / capacity, spread=0.01)
        for name, capacity in capacities.items()
    }
    return {
        "behaviours": behaviours,
        "labels": NAMES,
        "forms": {name: base for name, base in FORMS.items() if name in behaviours},
        "outstanding": (1, 64),
        "timeouts_ms": (),
    }


def test_a_step_is_of_what_it_changes_and_of_nothing_else(examine: Callable[..., Analysis]) -> None:
    analysis = examine(**run({"asyncio": 100_000, "go": 900_000, "go-loop": 300_000}))
    found = {g.kind: g.gain for g in gains(analysis) if g.headline.key == "throughput"}
    assert set(found) == {Kind.LANGUAGE, Kind.MODEL}
    assert all(gain.ratio is not None for gain in found.values())
    ratios = [gain.ratio.value for gain in found.values() if gain.ratio is not None]
    assert ratios == pytest.approx([3, 3], rel=0.1)


def test_less_time_is_a_gain_as_more_commands_are(examine: Callable[..., Analysis]) -> None:
    analysis = examine(**run({"asyncio": 100_000, "go-loop": 300_000}))
    assert {g.headline.higher_is_better for g in gains(analysis)} == {True, False}
    for gain in gains(analysis):
        if gain.headline.key in {"alone", "throughput", "tail"}:
            assert gain.gain.ratio is not None
            assert gain.gain.ratio.value > 1.5, gain.headline.key


@pytest.mark.parametrize(
    ("compiled", "answer"),
    [(130_000, "no: the same model in Go is still 2."), (500_000, "yes: it is then faster")],
)
def test_whether_compiling_would_do_is_answered_from_the_figures(
    examine: Callable[..., Analysis], compiled: float, answer: str
) -> None:
    analysis = examine(
        **run({"asyncio": 100_000, "go-loop": 300_000, "go": 310_000, "asyncio@mypyc": compiled})
    )
    said = [
        sentence.text
        for sentence in sentences(analysis, gains(analysis))
        if "compiling do instead" in sentence.text
    ]
    assert len(said) == 2
    assert all(answer in sentence for sentence in said)


def test_what_cannot_be_told_apart_is_not_called_a_gain(examine: Callable[..., Analysis]) -> None:
    analysis = examine(
        **run({"asyncio": 300_000, "go-loop": 300_000, "go": 300_000, "asyncio@mypyc": 300_000})
    )
    said = [sentence.text for sentence in sentences(analysis, gains(analysis))]
    assert any("the model makes no difference that this run can tell" in each for each in said)
    assert any("more blocks would have to tell" in each for each in said)


def test_free_threading_is_held_against_the_same_release(examine: Callable[..., Analysis]) -> None:
    capacities = {
        "threading": 90_000,
        "asyncio": 100_000,
        "go-loop": 300_000,
        "threading@3.14": 100_000,
        "threading@3.14t": 200_000,
    }
    analysis = examine(**run(capacities))
    free = {(g.base, g.subject) for g in gains(analysis) if g.kind is Kind.FREE}
    assert free == {("threading@3.14", "threading@3.14t")}


def test_without_a_control_there_is_no_section(examine: Callable[..., Analysis]) -> None:
    assert language.section(examine(**run({"asyncio": 100_000, "go": 900_000}))) is None


def test_the_section_has_every_step_in_its_table(examine: Callable[..., Analysis]) -> None:
    analysis = examine(
        **run({"asyncio": 100_000, "go-loop": 300_000, "go": 310_000, "asyncio@mypyc": 130_000})
    )
    section = language.section(analysis)
    assert section is not None
    assert [gain.subject for gain in section.facts["gains"]].count("asyncio@mypyc") >= 3
    assert set(section.facts["subjects"]) == {"go-loop", "go", "asyncio@mypyc"}


def test_pairs_of_models_come_first_and_those_with_controls_are_folded(
    examine: Callable[..., Analysis],
) -> None:
    asked = {"asyncio": 100_000, "threading": 80_000, "go": 900_000}
    analysis = examine(**run({**asked, "go-loop": 300_000, "asyncio@mypyc": 200_000}))
    (group,) = verdict.section(analysis).facts["groups"]
    first = {frozenset((pair.one, pair.other)) for pair in group.pairs}
    assert first == {frozenset(pair) for pair in combinations(asked, 2)}
    folded = {frozenset((pair.one, pair.other)) for pair in group.others}
    assert len(folded) == 10 - 3
    assert not folded & first
