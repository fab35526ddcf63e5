import msgspec
import pytest

from raftmark.bench.contenders.conformance import (
    FAILS,
    LEVELS,
    Examination,
    fingerprint,
    recall,
    remember,
)
from raftmark.bench.contenders.registry import Build, ContenderSpec
from raftmark.bench.runs.forms import ContenderEntry

ALL = dict.fromkeys(LEVELS, 1)


@pytest.mark.parametrize(
    ("passed", "failed", "not_offered", "level"),
    [
        (ALL, {}, {}, "complete"),
        (ALL, {}, {"disk": 3}, "survives"),
        (ALL, {"complete": ["t"]}, {}, "survives"),
        ({"elects": 1, "replicates": 1}, {"survives": ["t"]}, {}, "replicates"),
        ({"elects": 9}, {"elects": ["t"]}, {}, FAILS),
        ({}, {}, {}, FAILS),
        ({"replicates": 1}, {}, {}, FAILS),
    ],
)
def test_a_level_is_reached_with_all_below_it(passed, failed, not_offered, level):
    assert Examination.of("x", "complete", passed, failed, not_offered).level == level


def test_nothing_is_concluded_beyond_what_was_asked():
    assert Examination.of("x", "replicates", ALL, {}, {}).level == "replicates"


@pytest.fixture
def spec(tmp_path, monkeypatch) -> ContenderSpec:
    monkeypatch.setattr("raftmark.bench.contenders.conformance.CACHE", tmp_path / "cache")
    for name in ("main.x", "core.x", "build.x"):
        (tmp_path / name).write_text("1")
    return ContenderSpec(
        name="x", label="X", command=["run", "main.x"], color="#000000", marker="o",
        sources={"node": ["*.nothing"]}, core=["core.x"], root=str(tmp_path),
        build=Build(command=["b"], cwd=".", inputs=["build.*"], output="out"),
    )  # fmt: skip


@pytest.mark.parametrize("changed", ["main.x", "core.x", "build.x", "another.nothing"])
def test_what_was_found_is_forgotten_when_a_file_of_the_contender_changes(spec, changed):
    assert recall(spec) is None
    found = Examination.of("x", "elects", {"elects": 3}, {}, {})
    remember(spec, found)
    assert recall(spec) == found
    (spec.directory / changed).write_text("2")
    assert recall(spec) is None


@pytest.mark.parametrize(
    "changed", [{"command": ["run", "main.x", "-v"]}, {"name": "y"}, {"env": {"A": "1"}}], ids=str
)
def test_what_was_found_is_of_one_way_to_run_it(spec, changed):
    other = msgspec.structs.replace(spec, **changed)
    assert fingerprint(other) != fingerprint(spec)
    assert fingerprint(msgspec.structs.replace(spec, label="Y")) == fingerprint(spec)


@pytest.mark.parametrize(
    ("level", "title"),
    [
        (None, "X"),
        ("complete", "X"),
        ("replicates", "X (replicates only)"),
        (FAILS, "X (fails the suite)"),
    ],
)
def test_who_passes_less_than_all_is_never_shown_as_an_equal(level, title):
    assert ContenderEntry("x", "X", None, None, level=level).title == title
