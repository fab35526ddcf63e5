"""Mixtures: what the page says where one language leads and another follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.answers import answers
from raftmark.report.findings.loads import plain_loads
from raftmark.report.findings.mixture import Part, mixtures, sentences
from raftmark.report.pages.sections import mixture
from tests.report.synthetic_runs import Behaviour, alike, mixture_cells

Examine = Callable[..., Analysis]


def run(behaviours: dict[str, Behaviour], **options: Any) -> dict[str, Any]:
    """The options of a run that has mixtures of all of these and nothing else."""
    others = mixture_cells((64,), options.pop("followers", behaviours))
    return {
        "behaviours": behaviours,
        "others": others,
        "outstanding": (),
        "timeouts_ms": (),
        **options,
    }


def pace(capacity: float) -> Behaviour:
    return Behaviour(capacity=capacity, latency_us=1e6 / capacity, spread=0.01)


def test_a_part_is_held_against_a_cluster_that_is_all_of_one_kind(examine: Examine) -> None:
    analysis = examine(**run({"asyncio": pace(100_000), "go": pace(300_000)}))
    [found] = mixtures(analysis)
    assert found.leaders == found.followers == ("asyncio", "go")
    assert len(found.figures) == 4
    gains = {rewrite.part: rewrite.gain.ratio for rewrite in found.rewrites}
    assert {rewrite.contender for rewrite in found.rewrites} == {"asyncio"}
    # The made-up clusters are as fast as their slower part: only all of it helps.
    values = {part: ratio.value for part, ratio in gains.items() if ratio is not None}
    assert values == pytest.approx({Part.LEADER: 1, Part.FOLLOWERS: 1, Part.ALL: 2.46}, rel=0.1)
    [said] = sentences(analysis, [found])
    assert said.startswith("Python asyncio as deployed, with 64 commands outstanding: rewriting")
    assert "rewriting only the leader in Go makes no difference that this run can tell; " in said
    assert "all of it would give 2." in said


def test_equals_gain_nothing_and_the_twin_tells_how_little_that_is(examine: Examine) -> None:
    analysis = examine(**run(alike(), twin="asyncio", followers=list(alike())))
    said = sentences(analysis, mixtures(analysis))
    assert len(said) == 3
    assert all("would" not in sentence for sentence in said)
    assert not any("~" in name for found in mixtures(analysis) for name in found.leaders)


def test_what_was_not_measured_is_not_said(examine: Examine) -> None:
    failing = Behaviour(failure=("run", "it hung"))
    analysis = examine(**run({"asyncio": failing, "threading": pace(9e4), "go": pace(3e5)}))
    [found] = mixtures(analysis)
    assert {leader for leader, _ in found.figures} == {"threading", "go"}
    assert all("asyncio" not in sentence for sentence in sentences(analysis, [found]))
    assert mixture.section(analysis) is not None


def test_without_go_there_is_a_table_and_nothing_to_rewrite_in(examine: Examine) -> None:
    analysis = examine(**run({"asyncio": pace(1e5), "threading": pace(2e5)}))
    [found] = mixtures(analysis)
    assert not found.rewrites
    assert not sentences(analysis, [found])


def test_mixtures_are_no_loads_of_a_contender(examine: Examine) -> None:
    analysis = examine(**run({"asyncio": pace(1e5), "go": pace(3e5)}))
    assert not [headline for headline in analysis.headlines if not headline.counted]
    assert "mixtures of languages, below" in answers(analysis)[0].text


def test_a_contender_is_compared_at_its_own_loads(examine: Examine) -> None:
    mixed = run({"asyncio": pace(1e5), "go": pace(3e5)}, outstanding=(1, 64), deployed=True)
    analysis = examine(**mixed)
    assert {headline.deployed for headline in analysis.headlines} == {True, False}
    assert not any("follows" in headline.setting for headline in analysis.headlines)
    assert {cell.id for cell in plain_loads(analysis.evidence)} == {"replicate-w1", "replicate-w64"}


def test_without_mixtures_there_is_no_section(examine: Examine) -> None:
    assert mixture.section(examine()) is None
