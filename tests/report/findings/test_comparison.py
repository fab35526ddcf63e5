"""Comparisons are paired within blocks, and say no more than their interval does."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from raftmark.report.findings.comparison import (
    compare,
    compare_apart,
    quantity,
)
from raftmark.report.findings.coverage import coverage, coverage_apart
from raftmark.report.findings.headlines import counted_headline, measured_headline
from raftmark.report.model import Comparison, Headline, Outcome, Samples


def compared(subject: list[float], reference: list[float], *, higher: bool = True) -> Comparison:
    return compare(
        dict(enumerate(subject)),
        dict(enumerate(reference)),
        higher_is_better=higher,
    )


def test_what_a_block_has_in_common_cancels() -> None:
    blocks = [1.0, 10.0, 100.0, 3.0, 30.0, 300.0]
    found = compared([2 * value for value in blocks], blocks)
    assert found.outcome is Outcome.BETTER
    assert found.ratio is not None
    assert found.ratio.value == 2
    assert found.ratio.interval == (2, 2)


@pytest.mark.parametrize(("higher", "outcome"), [(True, Outcome.BETTER), (False, Outcome.WORSE)])
def test_the_metric_says_which_way_is_better(higher: bool, outcome: Outcome) -> None:
    subject, reference = [3.0, 3.1, 3.2, 2.9, 3.0, 3.3], [1.0] * 6
    assert compared(subject, reference, higher=higher).outcome is outcome


def test_an_interval_that_contains_one_gives_no_winner() -> None:
    assert compared([1.3, 0.8, 1.2, 0.7, 1.4, 0.9], [1.0] * 6).outcome is Outcome.ALIKE


def test_only_blocks_in_which_both_succeeded_are_paired() -> None:
    found = compare(
        {0: 2.0, 1: 2.0, 2: 99.0},
        {0: 1.0, 1: 1.0, 3: 99.0},
        higher_is_better=True,
    )
    assert found.ratio is not None
    assert (found.ratio.value, found.ratio.blocks) == (2, 2)


def test_one_value_has_no_interval() -> None:
    assert quantity([5.0]).interval is None
    assert compared([2.0], [1.0]).outcome is Outcome.UNKNOWN


def headline(samples: Samples, **options: Any) -> Headline:
    return measured_headline(
        "throughput",
        "Throughput",
        "",
        "commands/s",
        setting="",
        samples=samples,
        **{
            "higher_is_better": True,
            "twins": {},
            "pairs": combinations("abc", 2),
            "among": 3,
            **options,
        },
    )


def test_a_difference_within_the_noise_floor_is_none() -> None:
    blocks = range(8)
    samples = {
        "a": dict.fromkeys(blocks, 100.0),
        "a~": {block: 90.0 + block for block in blocks},
        "b": {block: 105.0 + block / 10 for block in blocks},
        "c": {block: 150.0 + block / 10 for block in blocks},
    }
    found = headline(samples, twins={"a~": "a"})
    assert found.noise is not None
    assert found.noise.factor == pytest.approx(100 / 90, rel=0.02)
    against = found.against("a")
    assert set(against) == {"b", "c"}
    assert against["b"].outcome is Outcome.ALIKE
    assert against["b"].reason == "within the noise floor"
    assert against["c"].outcome is Outcome.BETTER
    assert found.pairs["a", "c"].outcome is Outcome.WORSE
    assert headline(samples).against("a")["b"].outcome is Outcome.BETTER


@pytest.mark.parametrize(("higher", "outcome"), [(True, Outcome.WORSE), (False, Outcome.BETTER)])
def test_a_twin_is_no_better_than_its_figures(higher: bool, outcome: Outcome) -> None:
    samples = {
        **{name: dict.fromkeys(range(8), 100.0) for name in "abc"},
        "a~": dict.fromkeys(range(8), 74.0),
    }
    found = headline(samples, twins={"a~": "a"}, higher_is_better=higher)
    assert found.noise is not None
    assert found.noise.compared.outcome is outcome


def test_the_more_is_looked_at_the_more_it_takes_to_be_told_apart() -> None:
    samples = {
        "a": dict.fromkeys(range(8), 100.0),
        "b": {block: 105.0 + 7 * (block % 3) for block in range(8)},
        "c": dict.fromkeys(range(8), 100.0),
    }
    assert headline(samples, among=3).against("a")["b"].outcome is Outcome.BETTER
    assert headline(samples, among=10_000).against("a")["b"].outcome is Outcome.ALIKE


def test_two_blocks_tell_nothing_along_with_others() -> None:
    found = headline({name: {0: 100.0, 1: 101.0} for name in "abc"}).against("a")["b"]
    assert (found.outcome, found.reason) == (Outcome.UNKNOWN, "two blocks tell too little")


def test_whoever_is_best_is_best_of_those_asked_for() -> None:
    rates = {"a": 1.0, "b": 2.0, "c": 3.0}
    samples = {name: dict.fromkeys(range(6), rate) for name, rate in rates.items()}
    found = headline(samples)
    assert (found.best("abc"), found.best("ab"), found.best("")) == ("c", "b", None)
    assert headline(samples, higher_is_better=False).best("abc") == "a"


def test_counts_compare_exactly() -> None:
    counts = {"a": 200, "b": 100, "c": 100, "d": None}
    metric = counted_headline("lines", "Code", "", counts=counts)
    assert metric.best(counts) == "b"
    outcomes = {name: found.outcome for name, found in metric.against("b").items()}
    assert outcomes == {"a": Outcome.WORSE, "c": Outcome.ALIKE, "d": Outcome.UNKNOWN}
    ratio = metric.against("a")["b"].ratio
    assert metric.against("a")["b"].outcome is Outcome.BETTER
    assert ratio is not None
    assert ratio.value == 0.5


def apart(now: list[float], before: list[float], *, higher: bool = True) -> Comparison:
    # The blocks of two runs have nothing to do with each other, whatever their numbers are.
    subject = {7 * block: value for block, value in enumerate(now)}
    return compare_apart(subject, dict(enumerate(before)), higher_is_better=higher)


def test_two_runs_are_compared_without_pairing() -> None:
    found = apart([20.0, 22.0, 21.0, 23.0], [10.0, 11.0, 10.5, 11.5, 10.0])
    assert found.outcome is Outcome.BETTER
    assert found.ratio is not None
    assert found.ratio.value == pytest.approx(2, rel=0.05)
    assert found.ratio.blocks == 4
    assert apart([10.0, 11.0, 12.0, 13.0], [13.0, 12.0, 11.0, 10.0]).outcome is Outcome.ALIKE


@pytest.mark.parametrize(
    ("factor", "higher", "outcome"),
    [
        (2, True, Outcome.BETTER),
        (2, False, Outcome.WORSE),
        (0.5, True, Outcome.WORSE),
        (0.5, False, Outcome.BETTER),
    ],
)
def test_the_metric_says_which_change_is_better(
    factor: float, higher: bool, outcome: Outcome
) -> None:
    before = [10.0, 11.0, 10.5, 11.5]
    assert apart([factor * value for value in before], before, higher=higher).outcome is outcome


def test_two_runs_of_one_block_give_a_ratio_and_no_verdict() -> None:
    found = apart([6.0], [3.0])
    assert found.outcome is Outcome.UNKNOWN
    assert found.ratio is not None
    assert (found.ratio.value, found.ratio.interval) == (pytest.approx(2), None)


@pytest.mark.parametrize(("now", "before"), [([], [1.0]), ([1.0], []), ([0.0, 1.0], [1.0, 1.0])])
def test_two_runs_without_figures_have_no_ratio(now: list[float], before: list[float]) -> None:
    found = apart(now, before)
    assert (found.ratio, found.outcome) == (None, Outcome.UNKNOWN)
    assert found.reason


@pytest.mark.parametrize(
    ("blocks", "others", "share"), [(1, 1, 0), (2, 2, 2 / 3), (3, 3, 0.9), (1, 8, 7 / 9)]
)
def test_coverage_of_two_runs_of_few_blocks(blocks: int, others: int, share: float) -> None:
    assert coverage_apart(blocks, others) == pytest.approx(share)


def test_coverage_of_two_runs_of_blocks_enough() -> None:
    assert coverage_apart(4, 4) == coverage_apart(2, 8) == 0.95


@pytest.mark.parametrize(("blocks", "share"), [(2, 0.5), (5, 0.9375), (6, 0.95), (30, 0.95)])
def test_coverage_of_few_blocks(blocks: int, share: float) -> None:
    assert coverage(blocks) == share
