"""Comparisons are paired within blocks, and say no more than their interval does."""

from __future__ import annotations

import numpy as np
import pytest

from report.comparison import (
    compare,
    counted_headline,
    coverage,
    measured_headline,
    quantity,
    rng_for,
)
from report.model import Comparison, Outcome


def compared(subject: list[float], reference: list[float], *, higher: bool = True) -> Comparison:
    return compare(
        dict(enumerate(subject)),
        dict(enumerate(reference)),
        higher_is_better=higher,
        rng=np.random.default_rng(1),
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
        rng=np.random.default_rng(1),
    )
    assert found.ratio is not None
    assert (found.ratio.value, found.ratio.blocks) == (2, 2)


def test_one_value_has_no_interval() -> None:
    assert quantity([5.0], np.random.default_rng(1)).interval is None
    assert compared([2.0], [1.0]).outcome is Outcome.UNKNOWN


def test_the_same_seed_gives_the_same_estimates() -> None:
    def metric() -> object:
        rng = np.random.default_rng(3)
        samples = {n: dict(enumerate(rng.lognormal(0, 1, 12).tolist())) for n in ("a", "b")}
        return measured_headline(
            "throughput",
            "Throughput",
            "",
            "commands/s",
            setting="",
            samples=samples,
            higher_is_better=True,
            baseline="a",
            seed=5,
        )

    assert metric() == metric()


def test_every_estimate_draws_its_own_resamples() -> None:
    streams = [rng_for(1, "a"), rng_for(2, "a"), rng_for(1, "b"), rng_for(1, "a", "b")]
    assert len({stream.random() for stream in streams}) == len(streams)


def test_counts_compare_exactly() -> None:
    counts = {"a": 200, "b": 100, "c": 100, "d": None}
    metric = counted_headline("lines", "Code", "", counts=counts, baseline="a")
    assert metric.best == "b"
    outcomes = {name: found.outcome for name, found in metric.against_best.items()}
    assert outcomes == {"a": Outcome.WORSE, "c": Outcome.ALIKE, "d": Outcome.UNKNOWN}
    assert metric.against_baseline["b"].outcome is Outcome.BETTER
    assert metric.against_baseline["b"].ratio is not None
    assert metric.against_baseline["b"].ratio.value == 0.5


@pytest.mark.parametrize(("blocks", "share"), [(2, 0.5), (5, 0.9375), (6, 0.95), (30, 0.95)])
def test_coverage_of_few_blocks(blocks: int, share: float) -> None:
    assert coverage(blocks) == share
