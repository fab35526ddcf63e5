"""Blocks that were measured on several hosts, and nodes that had hosts of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.runs.store import Run
from raftmark.report.findings.analysis import Analysis, analyse
from raftmark.report.findings.answers import answers
from tests.report.synthetic_runs import REALISTIC, write_run

SMALL: dict[str, Any] = {"outstanding": (1, 64), "timeouts_ms": ((150, 300),), "elections": 2}
HOSTS = ("host-a", "host-b", "host-c")
BLOCKS = 12

Told = Callable[[dict[str, Any]], dict[str, Any]]


def analysed(path: Path, told: Told) -> Analysis:
    """Analyse a run whose trials are as `told` makes them."""
    directory = write_run(path / "run", REALISTIC, seed=1, blocks=BLOCKS, **SMALL)
    file = directory / "trials.jsonl"
    trials = [told(json.loads(line)) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(trial) + "\n" for trial in trials))
    return analyse(Run.open(directory), load_contenders(), {})


def on_hosts(go_gains: float) -> Told:
    """Each block on a host, on the second of which Go commits so many times as much."""

    def told(trial: dict[str, Any]) -> dict[str, Any]:
        host = trial["block"] % len(HOSTS)
        result = trial["result"]
        if trial["contender"] == "go" and host == 1 and "commands" in result:
            length_ns = result["ended_ns"] - result["started_ns"]
            result["ended_ns"] = result["started_ns"] + int(length_ns / go_gains)
        return {**trial, "host": HOSTS[host]}

    return told


def drifts(analysis: Analysis) -> list[float]:
    found = [each.drift for each in analysis.headlines if each.kind in {"alone", "throughput"}]
    assert found
    assert None not in found
    return [drift for drift in found if drift is not None]


def test_how_far_ratios_move_from_host_to_host_is_told(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, on_hosts(3))
    assert analysis.evidence.grouped_by == "host"
    assert min(drifts(analysis)) > 1.3
    assert any(
        "From host to host a ratio of commands per second moves by" in str(s)
        for s in answers(analysis)
    )


def test_hosts_that_are_alike_move_them_less(tmp_path: Path) -> None:
    alike = drifts(analysed(tmp_path / "alike", on_hosts(1)))
    apart = drifts(analysed(tmp_path / "apart", on_hosts(3)))
    assert all(one < other for one, other in zip(alike, apart, strict=True))


@pytest.mark.parametrize("host", [None, "host-a"])
def test_of_one_host_nothing_of_the_kind_is_said(tmp_path: Path, host: str | None) -> None:
    analysis = analysed(tmp_path, lambda trial: {**trial, "host": host})
    assert analysis.evidence.grouped_by is None
    assert {headline.drift for headline in analysis.headlines} == {None}


def test_of_a_block_that_two_hosts_measured_only_the_larger_part_counts(tmp_path: Path) -> None:
    def told(trial: dict[str, Any]) -> dict[str, Any]:
        late = trial["block"] == 3 and trial["contender"] == "go" and trial["cell"].endswith("w64")
        return {**trial, "host": "host-b" if late else "host-a"}

    analysis = analysed(tmp_path, told)
    [left_out] = analysis.evidence.failures
    assert (left_out.contender, left_out.block) == ("go", 3)
    assert left_out.message == "most of its block is host-a's"
    assert analysis.evidence.grouped_by is None


def test_how_well_clocks_were_known_stands_in_the_environment(tmp_path: Path) -> None:
    def told(trial: dict[str, Any]) -> dict[str, Any]:
        known = [400_000, 700_000, 900_000 + (trial["block"] == 5) * 1_000_000]
        hosts = [
            {"node": n, "host": host, "offset_ns": 5 * n, "uncertainty_ns": ns}
            for n, (host, ns) in enumerate(zip(HOSTS, known, strict=True), 1)
        ]
        return {**trial, "node_hosts": hosts}

    analysis = analysed(tmp_path, told)
    facts = dict(analysis.environment["hosts"])
    trials = len(analysis.evidence.clocks_ns)
    assert facts["clocks of hosts, known to within"] == (
        f"1.6 ms of each other, 2.6 ms in the worst of {trials} trials"
    )


def test_without_hosts_the_environment_says_nothing_of_them(tmp_path: Path) -> None:
    assert "hosts" not in analysed(tmp_path, lambda trial: trial).environment
