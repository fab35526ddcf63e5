"""The first screen answers by itself: which of Python's models, and what Go would have given."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from raftmark.report.findings.about import about, limits
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.answers import answers, below, farthest
from raftmark.report.findings.takeaways import of_elections
from tests.report.synthetic_runs import REALISTIC, Behaviour, alike

Examine = Callable[..., Analysis]
LOADS: dict[str, Any] = {"outstanding": (1, 64), "timeouts_ms": ((150, 300),), "blocks": 10}


def texts(analysis: Analysis) -> list[str]:
    return [sentence.text.replace("\N{NO-BREAK SPACE}", " ") for sentence in answers(analysis)]


def test_the_two_questions_are_answered_in_a_few_sentences(examine: Examine) -> None:
    alone, busy, go, same, placement = texts(examine(**LOADS))
    assert alone.startswith("With one command at a time, asyncio is the fastest of Python's three:")
    assert busy.startswith("With 64 outstanding, asyncio is the fastest of Python's three:")
    assert go.startswith("Go commits ")
    assert re.search(r"a command costs asyncio [\d.]+ times Go's CPU time", go)
    assert same.startswith("It does not matter to a whole election, ")
    assert "As deployed, " in placement
    assert "nothing was measured here" in placement


def test_both_placements_are_told_the_deployed_one_first(examine: Examine) -> None:
    found = texts(examine(**LOADS, deployed=True))
    assert found[0].startswith("As deployed, with one command at a time, asyncio is the fastest")
    # Each of them can be repeated by itself, and none may be taken for one of the other placement.
    *first, other = found
    assert len(first) >= 4
    assert all(text.startswith("As deployed, ") for text in first)
    assert other.startswith("In one program: Python's fastest is asyncio at either load; Go ")
    assert not any("nothing was measured" in text for text in found)


def test_equals_are_not_ranked(examine: Examine) -> None:
    analysis = examine(behaviours=alike(), **LOADS)
    found = texts(analysis)
    # One sentence for both loads, which can be repeated by itself, with how far they may differ.
    assert re.fullmatch(
        "Threads, asyncio and processes cannot be told apart, neither with one command at a time "
        r"nor with 64 outstanding, and are less than 1\.\d times apart\.",
        found[0],
    )
    assert {claim.headline for claim in answers(analysis)[0].claims} == {"alone", "throughput"}
    assert not any(text.startswith("Go commits") for text in found)


def test_where_pythons_are_alike_nobody_of_them_is_named_beside_go(examine: Examine) -> None:
    fast = Behaviour(capacity=2_000_000, latency_us=10)
    behaviours = {**alike(), "go": fast}
    found = texts(examine(behaviours=behaviours, **LOADS, deployed=True))
    for where in ("As deployed, ", "In one program: "):
        [go] = [text for text in found if text.startswith(where) and "Go commits" in text]
        assert re.search(
            r"Go commits [\d.]+ times as much as the best of Python with one command at a time and "
            r"[\d.]+ times with 64 outstanding",
            go,
        )
    assert "threads, asyncio and processes cannot be told apart at either load; Go" in go


def test_one_that_is_behind_is_told_from_two_that_are_alike(examine: Examine) -> None:
    slow = Behaviour(capacity=50_000, latency_us=400)
    behaviours = {**alike(), "multiprocessing": slow}
    *_, other = texts(examine(behaviours=behaviours, **LOADS, deployed=True))
    assert re.search(
        r"threads and asyncio cannot be told apart at either load, where (threads|asyncio) commits "
        "more than processes|threads and asyncio cannot be told apart with one command at a time, "
        r"where (threads|asyncio) commits more than processes; ",
        other,
    )


def test_without_go_python_is_compared_all_the_same(examine: Examine) -> None:
    behaviours = {**REALISTIC, "go": Behaviour(unavailable="no Go toolchain was found")}
    found = texts(examine(behaviours=behaviours, **LOADS))
    assert found[0].startswith("With one command at a time, asyncio is the fastest")
    assert not any("Go " in text for text in found)


def test_the_page_says_what_it_is_and_what_it_does_not_tell(examine: Examine) -> None:
    analysis = examine(**LOADS)
    said = about(analysis)
    assert "a trial under load 2 s long" in said
    assert "CPython 3.11.7" in said
    assert "Go 1.27.3" in said
    told = " ".join(limits(analysis))
    for part in ("consensus", "by reference", "clients are where the leader is", "snapshot"):
        assert part in told


@pytest.mark.parametrize(
    ("without", "said"),
    [
        (["threading"], "With 64 outstanding, asyncio is the fastest of the two of Python's that "),
        (["threading", "multiprocessing"], None),
    ],
)
def test_who_has_no_figure_is_not_counted_among_those_who_are_beaten(
    examine: Examine, without: list[str], said: str | None
) -> None:
    def fails(cell: str, _block: int) -> bool:
        return cell == "replicate-w64"

    broken = Behaviour(failure=("run", "it hung"), failing=fails)
    found = texts(examine(behaviours={**REALISTIC, **dict.fromkeys(without, broken)}, **LOADS))
    busy = [text for text in found if text.startswith("With 64 outstanding, ")]
    assert len(busy) == (said is not None)
    assert all(text.startswith(str(said)) for text in busy)


def test_go_may_commit_less(examine: Examine) -> None:
    slow = Behaviour(capacity=31_000, latency_us=310)
    found = " ".join(texts(examine(behaviours={**REALISTIC, "go": slow}, **LOADS)))
    assert re.search(r"Go commits 1/[\d.]+ as much as asyncio with one command at a time", found)


def test_no_bound_is_rounded_down(examine: Examine) -> None:
    """The end of an interval that is farther from 1 counts, whichever of the two is the slower."""
    assert [below(bound) for bound in (1.0, 1.01, 1.34, 1.4)] == ["1.1", "1.1", "1.4", "1.5"]
    analysis = examine(**LOADS)
    (headline,) = (h for h in analysis.headlines if h.key == "election")
    bound = farthest(headline, list(analysis.shown))
    assert bound is not None
    ratios = [found.ratio for found in headline.pairs.values() if found.ratio is not None]
    ends = [end for ratio in ratios for end in ratio.interval or ()]
    assert bound[0] == max(ends) >= 1 / min(ends) * (1 - 1e-9)
    assert f"no model takes {below(bound[0])} times as long" in of_elections(analysis)


def test_where_go_does_not_matter_is_said_with_how_far_it_may(examine: Examine) -> None:
    found = texts(examine(behaviours=alike(spread=0.02), **LOADS, deployed=True))
    [said] = [text for text in found if "Go and the best of Python" in text]
    assert said.startswith("As deployed, ")
    assert re.search(
        r"in throughput with one command at a time \(less than 1\.\d times apart\)", said
    )
    assert "throughput with 64 outstanding (less than 1." in said


def test_what_is_open_is_not_said_to_be_alike(examine: Examine) -> None:
    """An interval that reaches far beyond 1 shows no difference, and no likeness."""
    found = texts(examine(behaviours=alike(spread=1.2), **LOADS, deployed=True))
    [said] = [text for text in found if "this run cannot tell" in text]
    assert "whether Go or the best of Python is ahead in throughput with one command at" in said
    assert "cannot be told apart in throughput with one command" not in said
