"""Which pair is measured next: the counted, each once, and then what is nearest to a decision."""

import random

import msgspec
import numpy as np
import pytest

from raftmark.bench.analysis.sequential import Verdict
from raftmark.bench.runs.forms import CheckOutcome, Failure, Trial
from raftmark.bench.runs.store import now
from raftmark.bench.tracking.agenda import Agenda, Pair
from raftmark.bench.tracking.counting import COUNTED_CELL
from raftmark.bench.tracking.plans import Compared, Plan, gated_cells

CELLS = [COUNTED_CELL, *(gated.cell for gated in gated_cells())]
NAMES = ("a", "b", "c")
FIGURES = [Compared(name, "replicate-w64", "throughput") for name in NAMES]
A, B, C = (Pair("replicate-w64", name) for name in NAMES)


def plan(counted=()):
    return Plan("old", "new", 0.05, 0.05, dict.fromkeys(NAMES, ""), FIGURES, list(counted), [], [])


def an_agenda(counted=(), blocks=60):
    return Agenda(plan(counted), CELLS, blocks, random.Random(1))


def trial(pair, side, throughput):
    commands = 1000
    result = {
        "workload": "replicate",
        "node": 1,
        "client": "",
        "started_ns": 0,
        "ended_ns": int(1e9 * commands / throughput),
        "commands": commands,
        "latency_ns": [[1000, commands]],
        "slices": [],
        "acknowledged": [commands],
        "counters": {"messages": 1, "saves": 1, "entries": commands, "bytes": None},
    }
    return Trial(
        trial=f"{pair.cell}/0/{pair.contender}@{side}",
        cell=pair.cell,
        block=0,
        order=0,
        contender=f"{pair.contender}@{side}",
        status="ok",
        failure=None,
        result=result,
        check=CheckOutcome(True, [], 1),
        cost=None,
        machine=None,
        started_at=now(),
        duration_s=1.0,
    )


def take(agenda, pair, slower=0.0, seconds=1.0):
    trials = [trial(pair, "base", 1e6), trial(pair, "head", 1e6 * np.exp(-slower))]
    agenda.take(pair, trials, seconds)


def lose(agenda, pair):
    failed = msgspec.structs.replace(
        trial(pair, "head", 1e6), status="failed", failure=Failure("run", "died"), result=None
    )
    agenda.take(pair, [trial(pair, "base", 1e6), failed], 1.0)


def test_what_is_counted_comes_first_and_once():
    agenda = an_agenda(counted=NAMES)
    for _ in NAMES:
        pair = agenda.next(0.0)
        assert pair is not None
        assert pair.cell == COUNTED_CELL.id
        take(agenda, pair)
    assert {agenda.next(0.0) for _ in range(9)} <= {A, B, C}


def test_each_pair_is_measured_once_before_any_a_second_time():
    agenda = an_agenda()
    seen = []
    for _ in NAMES:
        seen.append(agenda.next(0.0))
        take(agenda, seen[-1])
    assert sorted(seen) == [A, B, C]


@pytest.mark.parametrize(("clear", "lost_in_noise"), [(A, B), (B, A)])
def test_what_is_nearest_to_a_decision_comes_next(clear, lost_in_noise):
    agenda = an_agenda()
    for number in range(4):
        take(agenda, clear, slower=0.2)
        take(agenda, lost_in_noise, slower=0.3 * (-1) ** number)
        take(agenda, C, slower=0.3 * (-1) ** number)
    while agenda.verdicts[FIGURES[NAMES.index(clear.contender)]] is Verdict.UNDECIDED:
        assert agenda.next(1e6) == clear
        take(agenda, clear, slower=0.2)
    assert agenda.next(1e6) != clear


def test_what_takes_less_time_comes_first_where_all_need_as_many():
    agenda = an_agenda()
    for pair, seconds in ((A, 5.0), (B, 1.0), (C, 5.0)):
        for _ in range(4):
            take(agenda, pair, 0.2, seconds)
    assert agenda.next(1e6) == B


def test_what_seems_to_be_the_same_waits_until_all_can_tell_a_difference():
    agenda = an_agenda()
    fewest = plan().rule.fewest
    for pair, seconds in ((A, 0.1), (B, 5.0), (C, 5.0)):
        for _ in range(fewest if pair is A else 4):
            take(agenda, pair, 0.001, seconds)
    for _ in range(2 * (fewest - 4)):
        following = agenda.next(1e6)
        assert following in (B, C)
        take(agenda, following, 0.001, 5.0)
    assert agenda.next(1e6) == A


def test_what_there_is_no_time_for_waits():
    agenda = an_agenda()
    for pair, seconds in ((A, 10.0), (B, 40.0), (C, 40.0)):
        take(agenda, pair, 0.2, seconds)
    assert agenda.next(100.0) == A
    # Where there is no time for anything, each is measured as often as the others.
    take(agenda, A, 0.2, 10.0)
    assert agenda.next(1.0) in (B, C)


def test_no_pair_is_measured_more_often_than_asked_and_none_that_only_fails():
    agenda = an_agenda(blocks=3)
    for _ in range(3):
        lose(agenda, A)
        take(agenda, B, 0.1)
    assert agenda.wanted() == [B, C]
    assert agenda.next(1e6) == C
    for _ in range(3):
        take(agenda, C, 0.1)
    assert agenda.next(1e6) is None
    assert not agenda.decided


def test_a_pair_that_fails_now_and_then_is_not_given_up():
    agenda = an_agenda()
    for _ in range(6):
        lose(agenda, A)
        take(agenda, A, 0.1)
    assert A in agenda.wanted()


def test_the_outlook_says_what_there_is_no_time_for():
    rule = plan().rule
    assert (
        an_agenda()
        .outlook(3600.0)
        .startswith(f"with 3 figures a difference takes at least {rule.fewest} pairs of each (")
    )
    assert f"that there is none {rule.fewest_same}" in an_agenda().outlook(3600.0)
    assert an_agenda().outlook(50.0).endswith("in 50 s 1 of 3 can be decided")


def test_progress_is_told():
    agenda = an_agenda()
    for _ in range(20):
        take(agenda, A, 0.2)
    assert agenda.progress(61.0) == "20 pairs: 1 of 3 figures decided, 1 slower; at most 1:01 left"
