"""The sentences follow from the data: another run, another verdict."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.runs.store import Run
from raftmark.report.findings.analysis import Analysis, analyse
from raftmark.report.findings.answers import answers
from raftmark.report.findings.caveats import caveats
from raftmark.report.findings.conclusion import findings, rule
from raftmark.report.model import Code, Outcome
from tests.report.example_runs import FAILING
from tests.report.synthetic_runs import LABELS, REALISTIC, Behaviour, alike, write_run

Examine = Callable[..., Analysis]


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def said(analysis: Analysis, beginning: str = "With 64 commands outstanding, ") -> str:
    """The first sentence that begins so: that on throughput, if nothing else is asked for."""
    return next(text for s in findings(analysis) if (text := plain(s.text)).startswith(beginning))


@pytest.mark.parametrize("winner", LABELS)
def test_whoever_is_fastest_leads(examine: Examine, winner: str) -> None:
    behaviours = alike(capacity=100_000, latency_us=200, detection_ms=10)
    behaviours[winner] = Behaviour(capacity=900_000, latency_us=10, detection_ms=0.3)
    analysis = examine(behaviours=behaviours)
    lead = said(analysis)
    assert lead.startswith(f"With 64 commands outstanding, {LABELS[winner]} committed the most, ")
    for other in LABELS.keys() - {winner}:
        assert re.search(rf"[\d.]+ \([\d.]+ to [\d.]+\) times {LABELS[other]}\b", lead)
    texts = [plain(sentence.text) for sentence in findings(analysis)]
    assert texts[0].startswith(f"With 1 command outstanding, {LABELS[winner]} committed the most")
    assert f"{LABELS[winner]} had the shortest tail" in texts[2]
    assert f"{LABELS[winner]} went from candidacy to leader soonest" in texts[3]


def test_the_lead_gives_the_paired_ratio(examine: Examine, tmp_path: Path) -> None:
    lead = said(examine(behaviours=REALISTIC))
    rates: dict[str, dict[int, float]] = {name: {} for name in LABELS}
    for line in (tmp_path / "run" / "trials.jsonl").read_text().splitlines():
        trial = json.loads(line)
        if trial["cell"] == "replicate-w64":
            rates[trial["contender"]][trial["block"]] = trial["result"]["commands"] / 2
    best = max(rates, key=lambda name: median(rates[name].values()))
    assert best == "go"
    for name in rates.keys() - {best}:
        found = re.search(rf"([\d.]+) \(([\d.]+) to ([\d.]+)\) times {LABELS[name]}", lead)
        assert found is not None
        ratio, low, high = map(float, found.groups())
        exact = median(rates[best][block] / rates[name][block] for block in rates[name])
        assert ratio == pytest.approx(exact, rel=0.05)
        # The ends are rounded to as many digits as the ratio.
        assert 0.99 * low < exact < 1.01 * high


def test_who_does_not_differ_is_not_ranked(examine: Examine) -> None:
    # Without any spread, every ratio is exactly 1.
    analysis = examine(behaviours=alike(spread=0.0))
    lead = said(analysis)
    assert "outstanding, the highest throughput measured is that of " in lead
    assert lead.endswith(" cannot be told apart from it.")
    assert "times" not in lead
    throughput = analysis.headlines[1]
    assert {c.outcome for c in throughput.pairs.values()} == {Outcome.ALIKE}


def test_one_who_fails_everywhere_is_named_and_not_compared(examine: Examine) -> None:
    analysis = examine(behaviours=FAILING)
    lead = said(analysis)
    assert lead.endswith("; no figure for Python asyncio (no successful trial).")
    assert "times Python asyncio" not in lead
    assert caveats(analysis)[0] == ("Python asyncio: every trial failed (two leaders in term 3).")


def test_one_who_cannot_run_is_named_and_the_others_are_compared(examine: Examine) -> None:
    behaviours = {**REALISTIC, "go": Behaviour(unavailable="no Go toolchain was found")}
    analysis = examine(behaviours=behaviours)
    lead = said(analysis)
    assert "Python asyncio committed the most" in lead
    assert "no figure for Go goroutines (no successful trial)" in lead
    assert caveats(analysis)[0] == ("Go goroutines: not available (no Go toolchain was found).")
    assert analysis.baseline == "threading"
    assert not analysis.missing


def test_a_trial_that_failed_is_counted_and_in_no_figure(examine: Examine) -> None:
    behaviours = dict(REALISTIC)
    behaviours["go"] = Behaviour(
        capacity=1_450_000,
        failure=("run", "it hung"),
        failing=lambda cell, block: cell == "replicate-w64" and block < 2,
    )
    analysis = examine(behaviours=behaviours)
    assert analysis.headlines[1].figures["go"].blocks == 6
    assert caveats(analysis)[0] == (
        "2 of 48 trials of Go goroutines failed. They are in no figure, and are listed below."
    )


def test_what_a_cut_short_run_lacks_is_counted(examine: Examine) -> None:
    analysis = examine(keep=lambda trial: trial["block"] < 7)
    assert caveats(analysis)[0] == ("The run is not complete: 24 of 192 trials are missing.")
    assert "committed the most" in said(analysis)


def test_what_the_time_did_not_do_for_is_said_with_what_that_leaves(
    tmp_path: Path, code: Mapping[str, Code | str]
) -> None:
    """A profile that may take so long is no worse for it; a run that was broken off is told of."""
    directory = write_run(tmp_path / "run", keep=lambda t: t["block"] < 7 or t["order"] < 2)
    manifest = json.loads((directory / "run.json").read_text())

    def caveat(budget_s: float) -> str:
        manifest["specification"]["budget_s"] = budget_s
        (directory / "run.json").write_text(json.dumps(manifest))
        return caveats(analyse(Run.open(directory), load_contenders(), code))[0]

    # The last of the made-up trials ends 4.1 s after the run began.
    assert caveat(4) == (
        "The 4 s that the profile synthetic may take were over after 180 of 192 trials; every "
        "figure of the verdict is of seven blocks or more."
    )
    assert caveat(10) == "The run is not complete: 12 of 192 trials are missing."


def test_one_block_gives_no_verdict(examine: Examine) -> None:
    analysis = examine(blocks=1)
    lead = said(analysis)
    assert "outstanding, the highest throughput measured is that of Go " in lead
    assert lead.count("only one block, so no interval") == 1
    assert all(label in lead for label in LABELS.values())
    assert "One block gives no intervals" in caveats(analysis)[0]


@pytest.mark.parametrize(("blocks", "share"), [(2, "50"), (5, "94")])
def test_too_few_blocks_are_said(examine: Examine, blocks: int, share: str) -> None:
    (caveat,) = caveats(examine(blocks=blocks))
    assert f"hold the true median {share} % of the time at most" in plain(caveat)


def test_nothing_measured_is_said(examine: Examine) -> None:
    analysis = examine(keep=lambda trial: False)
    [answer] = answers(analysis)
    assert answer.text == "This run has no measurement: not one trial succeeded."
    # Code is there to count without any trial.
    assert len(findings(analysis)) == 2
    assert "The run is not complete: 192 of 192 trials are missing." in caveats(analysis)


def test_no_block_in_common_gives_no_verdict(examine: Examine) -> None:
    def keep(trial: dict[str, Any]) -> bool:
        return bool((trial["block"] < 4) == (trial["contender"] == "go"))

    lead = said(examine(keep=keep))
    others = [label for name, label in LABELS.items() if name != "go"]
    assert all(label in lead.partition("no verdict on ")[2] for label in others)
    assert lead.endswith(" (no block in which both succeeded).")


@pytest.mark.parametrize("blocks", [6, 10])
def test_the_default_run_does_not_contradict_itself(examine: Examine, blocks: int) -> None:
    analysis = examine(blocks=blocks)
    assert caveats(analysis) == []
    assert "committed the most" in said(analysis)
    assert "of all 42 measured comparisons hold together, with 95 %" in plain(rule(analysis))
