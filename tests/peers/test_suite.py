"""What `make test-peers` makes of the suite's results."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from raftmark.bench.contenders.places import ROOT
from raftmark.bench.contenders.registry import load_contenders
from tests.mutants.table import load_rules

from . import page, results
from .findings import Finding, Findings, read_findings
from .results import Result, keep, level_reached, read_results
from .suite import Case, Outcomes, name_of

KNOWN = Findings([Finding(["a"], ["test_x.py::test_fails"], "fault", "it errs", rule=7)])
TODAY = "2026-11-27"


def part(outcome: str, when: str = "call", **more: Any) -> Any:
    flags = {each: each == outcome for each in ("passed", "failed", "skipped")}
    return SimpleNamespace(when=when, **{"user_properties": [], **flags, **more})


def test_every_finding_names_peers_and_tests_that_there_are():
    table = load_contenders(ROOT / "peers" / "contenders.toml")
    rules = {each.number for each in load_rules()}
    for finding in read_findings().finding:
        assert all(table[peer].peer is not None for peer in finding.peers)
        assert finding.rule is None or finding.rule in rules
        asked = results.every_test() | {"test_histories.py::test_every_history_is_linearizable"}
        assert {test.partition("[")[0] for test in finding.tests} <= asked


def test_nothing_is_known_twice():
    known = [(p, t) for each in read_findings().finding for p in each.peers for t in each.tests]
    assert len(known) == len(set(known))


def test_a_finding_may_be_of_some_parameters_alone():
    finding = Finding(["a"], ["t.py::e[1]"], "default", "it is so set")
    known = Findings([finding])
    assert known.of("a", "t.py::e", "1") is finding
    assert known.of("a", "t.py::e", "2") is None
    assert known.of("b", "t.py::e", "1") is None


def test_the_page_shows_what_is_kept():
    text = page.PAGE.read_text(encoding="utf-8")
    assert text == page.with_table(text), "python -m tests.peers.page writes it"


def test_what_is_kept_is_of_peers():
    assert {path.stem for path in results.RESULTS.glob("*")} <= set(page.peers())


def test_the_worst_part_of_a_test_counts_and_nothing_is_left_out():
    outcomes = Outcomes()
    passes = Case("a", "elects", "t.py::p", "")
    fails = Case("a", "replicates", "test_x.py::test_fails", "")
    ends_badly = Case("a", "survives", "t.py::e", "1")
    lacks = Case("a", "complete", "t.py::l", "")
    outcomes.note(passes, part("passed"))
    outcomes.note(fails, part("skipped", wasxfail="known"))
    outcomes.note(ends_badly, part("passed"))
    outcomes.note(ends_badly._replace(parameters="2"), part("passed"))
    outcomes.note(ends_badly, part("failed", "teardown"))
    outcomes.note(lacks, part("skipped", "setup", user_properties=[("not offered", "read")]))
    found = outcomes.results(TODAY)
    assert found == {
        "a": {
            "t.py::p": Result("elects", TODAY, 1),
            "test_x.py::test_fails": Result("replicates", TODAY, 0, [""]),
            "t.py::e": Result("survives", TODAY, 1, ["1"]),
            "t.py::l": Result("complete", TODAY, 0, [], {"read": 1}),
        }
    }
    assert level_reached(found["a"]) == "elects"
    lines = page.table({**found, "b": {}}, KNOWN).splitlines()
    missing = len(results.every_test())
    assert lines[2:4] == [
        f"| `a` | 4 of {4 + missing} tests, 2026-11-27 | not all asked "
        "| 1 of 1 | 0 of 1 | 1 of 2 | 0 of 0 | read (1) |",
        "| `b` | not yet | not all asked | 0 of 0 | 0 of 0 | 0 of 0 | 0 of 0 |  |",
    ]
    assert lines[7:] == [
        "| `t.py::e` | `a` 1 of 2 | not known |  |  |",
        "| `test_x.py::test_fails` | `a` | fault | 7 | it errs |",
    ]


def test_a_test_that_was_not_asked_to_the_end_has_no_result():
    outcomes = Outcomes()
    first, second = (Case("a", "elects", "t.py::p", each) for each in "12")
    outcomes.waiting = {first, second}
    for when in ("setup", "call", "teardown"):
        outcomes.note(first, part("passed", when))
    outcomes.note(second, part("passed", "setup"))
    assert outcomes.results(TODAY) == {}


def test_a_level_is_reached_with_all_below_it():
    passing = {level: Result(level, TODAY, 1) for level in page.LEVELS}
    assert level_reached(passing) == "complete"
    assert (
        level_reached({**passing, "l": Result("elects", TODAY, 1, [], {"read": 1})}) == "survives"
    )
    assert level_reached({**passing, "f": Result("replicates", TODAY, 3, ["1"])}) == "elects"
    assert level_reached({}) == "none"


def test_what_is_asked_again_takes_the_place_of_what_was_said_before(tmp_path):
    first, second, *_ = sorted(results.every_test())
    keep("a", {first: Result("elects", "2026-11-26"), second: Result("elects", TODAY)}, tmp_path)
    keep("a", {first: Result("elects", TODAY, 1, ["x"])}, tmp_path)
    keep("a", {"test_gone.py::test_is_gone": Result("elects", TODAY)}, tmp_path)
    assert read_results("a", tmp_path) == {
        first: Result("elects", TODAY, 1, ["x"]),
        second: Result("elects", TODAY),
    }
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert read_results("b", tmp_path) == {}


def test_all_that_was_asked_is_the_whole_suite():
    whole = {name: Result("elects", TODAY, 1) for name in results.every_test()}
    some = next(iter(whole))
    table = page.table({"a": whole}, KNOWN).splitlines()
    assert table[2].startswith("| `a` | whole, 2026-11-27 | elects |")
    whole[some].on = "2026-11-26"
    table = page.table({"a": whole}, KNOWN).splitlines()
    assert table[2].startswith("| `a` | whole, 2026-11-26 to 2026-11-27 | elects |")


@pytest.mark.parametrize(
    ("nodeid", "name"),
    [
        ("tests/conformance/test_a.py::test_b[a]", ("test_a.py::test_b", "")),
        ("tests/conformance/test_a.py::test_b[a-x-1]", ("test_a.py::test_b", "x-1")),
        ("tests/conformance/test_a.py::test_b[x-a]", ("test_a.py::test_b", "x")),
        ("tests/conformance/test_a.py::test_b[x-a-1]", ("test_a.py::test_b", "x-1")),
        ("tests/conformance/test_a.py::test_b", ("test_a.py::test_b", "")),
    ],
)
def test_a_test_is_called_by_its_function_and_parameters(nodeid, name):
    assert name_of(nodeid, "a") == name
