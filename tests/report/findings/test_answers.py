"""The first screen answers by itself: which of Python's models, and what Go would have given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raftmark.report.findings.about import about, limits
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.answers import answers
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
    assert "times Go's CPU time with asyncio" in go
    assert same.startswith("It does not matter to a whole election, ")
    assert "As deployed, " in placement
    assert "nothing was measured here" in placement


def test_both_placements_are_told_the_deployed_one_first(examine: Examine) -> None:
    found = texts(examine(**LOADS, deployed=True))
    assert found[0].startswith("As deployed, with one command at a time, asyncio is the fastest")
    assert found[-1].startswith("In one program: Python's fastest is asyncio with one command")
    assert not any("nothing was measured" in text for text in found)


def test_equals_are_not_ranked(examine: Examine) -> None:
    found = texts(examine(behaviours=alike(), **LOADS))
    assert "asyncio" in found[0]
    assert found[0].endswith(" cannot be told apart.")
    assert not any(text.startswith("Go commits") for text in found)


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
