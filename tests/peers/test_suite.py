"""What `make test-peers` makes of the suite's results."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from raftmark.bench.contenders.places import ROOT
from raftmark.bench.contenders.registry import load_contenders
from tests.mutants.table import load_rules

from .suite import Case, Finding, Findings, Outcomes, name_of, read_findings

KNOWN = Findings([Finding(["a"], ["test_x.py::test_fails"], "fault", "it errs", rule=7)])


def part(outcome: str, when: str = "call", **more: Any) -> Any:
    flags = {each: each == outcome for each in ("passed", "failed", "skipped")}
    return SimpleNamespace(when=when, **{"user_properties": [], **flags, **more})


def test_every_finding_names_peers_and_tests_that_there_are():
    table = load_contenders(ROOT / "peers" / "contenders.toml")
    suite = ROOT / "tests" / "conformance"
    rules = {each.number for each in load_rules()}
    for finding in read_findings().finding:
        assert all(table[peer].peer is not None for peer in finding.peers)
        assert finding.rule is None or finding.rule in rules
        for test in finding.tests:
            file, function = test.split("::")
            assert f"def {function}(" in (suite / file).read_text(), test


def test_the_worst_part_of_a_test_counts_and_nothing_is_left_out():
    outcomes = Outcomes(KNOWN)
    passes, fails = Case("a", "elects", "t.py::p"), Case("a", "replicates", "test_x.py::test_fails")
    ends_badly, lacks = Case("a", "survives", "t.py::e[1]"), Case("a", "complete", "t.py::l")
    outcomes.note(passes, part("passed"))
    outcomes.note(fails, part("skipped", wasxfail="known"))
    outcomes.note(ends_badly, part("passed"))
    outcomes.note(ends_badly, part("failed", "teardown"))
    outcomes.note(lacks, part("skipped", "setup", user_properties=[("not offered", "read")]))
    assert outcomes.level("a") == "elects"
    lines = outcomes.table().splitlines()
    assert lines[2] == "| `a` | elects | 1 of 1 | 0 of 1 | 0 of 1 | 0 of 0 | read (1) |"
    assert lines[6:] == [
        "| `t.py::e[1]` | `a` | not known |  |  |",
        "| `test_x.py::test_fails` | `a` | fault | 7 | it errs |",
    ]


@pytest.mark.parametrize(
    ("nodeid", "name"),
    [
        ("tests/conformance/test_a.py::test_b[a]", "test_a.py::test_b"),
        ("tests/conformance/test_a.py::test_b[a-x-1]", "test_a.py::test_b[x-1]"),
        ("tests/conformance/test_a.py::test_b[x-a]", "test_a.py::test_b[x]"),
    ],
)
def test_a_test_is_called_by_its_function_and_parameters(nodeid, name):
    assert name_of(nodeid, "a") == name
