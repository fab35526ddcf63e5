"""What a gate says of one figure, by its centre and by its mean; error rates by simulation."""

import math

import numpy as np
import pytest

from raftmark.bench.analysis.sequential import Verdict
from raftmark.bench.analysis.verdicts import NEVER, Rule

RULE = Rule(margin=0.05, error=0.005)
"""That of a comparison of ten figures."""

GATES = 400
DEARER = -math.log(0.7)


def noise(rng, shape, sd=0.02, outliers=0.05):
    """Return what two of a pair differ by where nothing changed: now and then by a third."""
    wild = (rng.random(shape) < outliers) * rng.choice([-0.33, 0.33], shape)
    return sd * rng.standard_normal(shape) + wild


def bimodal(rng, shape, sd=0.02):
    """Return differences to a HEAD that is 30 % slower in one process of five."""
    return sd * rng.standard_normal(shape) + DEARER * (rng.random(shape) < 0.2)


def first_told(differences):
    return RULE.first_told(differences, differences)


def judge(differences):
    return RULE.judge(differences, differences)


def rates(differences):
    told = first_told(differences)
    return {name: float((getattr(told, name) < NEVER).mean()) for name in told._fields}


@pytest.mark.parametrize("sd", [0.005, 0.02, 0.04, 0.2])
def test_nothing_that_changed_is_seldom_called_slower(sd):
    found = rates(noise(np.random.default_rng(1), (GATES, 60), sd))
    # Half of the figure's error is for slower; a binomial's fifth standard deviation beside it.
    assert found["slower"] <= RULE.error / 2 + 5 * math.sqrt(RULE.error / 2 / GATES)


@pytest.mark.parametrize("sd", [0.005, 0.02, 0.04])
def test_a_head_that_is_slower_in_one_process_of_five_is_never_the_same(sd):
    differences = bimodal(np.random.default_rng(1), (GATES, 60), sd)
    assert rates(differences)["same"] == 0


def test_and_is_called_slower_in_the_end():
    found = rates(bimodal(np.random.default_rng(1), (60, 150)))
    assert found["slower"] >= 0.95
    assert found["same"] == 0


def test_a_head_that_is_faster_but_dear_now_and_then_is_not_called_faster():
    differences = bimodal(np.random.default_rng(1), (GATES, 60)) - 0.02
    found = rates(differences)
    assert found["faster"] <= 0.02
    assert found["same"] <= 0.02


@pytest.mark.parametrize("sd", [0.005, 0.02])
def test_what_is_the_same_is_told_in_the_end(sd):
    found = first_told(sd * np.random.default_rng(1).standard_normal((50, 60)))
    assert (found.same < NEVER).mean() >= 0.95
    assert found.same.min() >= RULE.fewest_same


@pytest.mark.parametrize(("change", "within"), [(0.05, 20), (0.10, 14)])
def test_a_change_that_is_clear_of_the_noise_is_soon_told(change, within):
    told = first_told(math.log1p(change) + noise(np.random.default_rng(1), (100, 60)))
    assert np.median(told.slower) <= within
    assert (told.slower < NEVER).mean() >= 0.98


@pytest.mark.parametrize(
    ("shift", "sd", "blocks"),
    [(0, 0.01, 60), (0.03, 0.02, 40), (0.2, 0.05, 16), (-0.2, 0.05, 40), (0.01, 0.001, 60)],
)
def test_what_is_told_first_is_what_the_gate_says_block_by_block(shift, sd, blocks):
    for seed in (1, 2):
        sample = shift + sd * np.random.default_rng(seed).standard_t(3, blocks)
        told = first_told(sample)
        before, after = int(told.first) - 1, int(told.first)
        if before < blocks:
            assert judge(list(sample[:before])).verdict is Verdict.UNDECIDED
            verdict = judge(list(sample[:after])).verdict
            first = {int(told.slower): Verdict.SLOWER, int(told.faster): Verdict.FASTER}
            assert verdict is first.get(after, Verdict.SAME)
        else:
            assert judge(list(sample)).verdict is Verdict.UNDECIDED


def test_the_fewest_blocks_are_enough_and_one_less_is_not():
    for value, fewest, verdict in (
        (0.3, RULE.fewest, Verdict.SLOWER),
        (0.0, RULE.fewest_same, Verdict.SAME),
    ):
        assert judge([value] * fewest).verdict is verdict
        assert judge([value] * (fewest - 1)).verdict is Verdict.UNDECIDED


def test_what_is_small_in_the_centre_is_not_called_slower_while_the_mean_is_open():
    """Otherwise every real change would be one, however small, once the noise is small enough."""
    assert judge([0.01] * RULE.fewest).verdict is Verdict.UNDECIDED
    assert judge([0.01] * 80).verdict is Verdict.SAME


def test_what_is_typical_and_what_is_paid_are_judged_each_by_its_own():
    rng = np.random.default_rng(1)
    same, dear = 0.01 * rng.standard_normal((GATES, 80)), bimodal(rng, (GATES, 80))
    paid = RULE.first_told(same, dear)
    assert (paid.same < NEVER).sum() == 0
    assert (paid.slower < NEVER).mean() >= 0.5
    typical = RULE.first_told(
        same[:, :20] + math.log1p(0.05), 0.2 * rng.standard_normal((GATES, 20))
    )
    assert (typical.slower < NEVER).mean() >= 0.95
