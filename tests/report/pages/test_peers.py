"""Beside other Rafts: what the page says where peers were measured, and that no word is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.answers import answers
from raftmark.report.findings.conclusion import findings
from raftmark.report.pages.build import render
from raftmark.report.pages.sections import code, peers
from tests.report.synthetic_runs import LABELS, PEER_LABELS, PEERS, REALISTIC, peer_cells

Examine = Callable[..., Analysis]
BOTH = {**REALISTIC, **PEERS}
NOT_SYNCED = "PySyncObj, not synced"


def run(**options: Any) -> dict[str, Any]:
    return {
        "behaviours": BOTH,
        "labels": PEER_LABELS,
        "outstanding": (),
        "timeouts_ms": (),
        "others": peer_cells(),
        "blocks": 12,
        **options,
    }


def test_every_contender_is_held_against_every_peer(examine: Examine) -> None:
    section = peers.section(examine(**run()))
    assert section is not None
    assert section.workloads == ("replicate", "election", "failover")
    measures = list(dict.fromkeys(row.condition for row in section.facts["rows"]))
    assert measures[0] == "1 command outstanding, in memory, 3 nodes"
    assert measures[5] == "256 commands outstanding, on disk, 3 nodes"
    assert measures[6] == "Election, 150 to 300 ms timeouts, 5 nodes"
    assert measures[7] == "Outage, 150 to 300 ms timeouts, 3 nodes"
    assert section.facts["comparisons"] == len(LABELS) * len(PEERS) * len(measures)
    for row in section.facts["rows"]:
        known = [gain for gain in row.gains if gain is not None]
        assert len(known) == (0 if row.name in PEERS else len(PEERS))


def test_a_gain_is_above_one_where_ours_is_better_whichever_way_it_runs(examine: Examine) -> None:
    slow = {"etcd": replace(PEERS["etcd"], capacity=100_000, latency_us=200, detection_ms=900)}
    section = peers.section(examine(**run(behaviours={"go": REALISTIC["go"], **slow})))
    assert section is not None
    ours = [row for row in section.facts["rows"] if row.name == "go"]
    assert all(row.gains[0].ratio.value > 1 for row in ours)
    [said] = section.facts["sentences"]
    assert "in memory Go commits 3.1 times as much with one command at a time" in said
    assert "an election with 150 to 300 ms timeouts takes 1/" in said


def test_the_sentences_name_the_best_in_the_peers_language(examine: Examine) -> None:
    section = peers.section(examine(**run()))
    assert section is not None
    go, python = section.facts["sentences"]
    assert go.startswith("Beside etcd raft: in memory Go commits 1.1 times as much with one")
    assert "asyncio" not in go
    assert python.startswith(f"Beside {NOT_SYNCED}: in memory the best of ours commits ")
    assert "as much with 64 outstanding (asyncio)" in python
    assert "on disk the best of ours" in python


def test_what_cannot_be_told_apart_is_not_called_ahead(examine: Examine) -> None:
    same = {"go": REALISTIC["go"], "etcd": replace(REALISTIC["go"], peer=PEERS["etcd"].peer)}
    section = peers.section(examine(**run(behaviours=same)))
    assert section is not None
    [said] = section.facts["sentences"]
    assert said.count("cannot be told apart") >= 6
    assert "as much" not in said
    assert "as long" not in said


def test_two_blocks_tell_too_little_for_a_sentence(examine: Examine) -> None:
    section = peers.section(examine(**run(blocks=2)))
    assert section is not None
    assert section.facts["sentences"] == []


def test_peers_are_no_answer_to_which_model(examine: Examine) -> None:
    analysis = examine(**run())
    assert analysis.peers.keys() == PEERS.keys()
    said = " ".join(sentence.text for sentence in (*answers(analysis), *findings(analysis)))
    assert "PySyncObj" not in said
    assert "etcd" not in said
    assert "Python's three" in said
    pairs = {name for headline in analysis.headlines for pair in headline.pairs for name in pair}
    assert not pairs & PEERS.keys()
    assert not code.section(analysis).facts["counted"].keys() & PEERS.keys()


@pytest.mark.parametrize("behaviours", [REALISTIC, {"etcd": PEERS["etcd"]}])
def test_without_both_there_is_no_section(examine: Examine, behaviours: Any) -> None:
    assert peers.section(examine(**run(behaviours=behaviours, blocks=3))) is None


def test_who_does_not_sync_is_nowhere_without_that_word(examine: Examine) -> None:
    html = render(examine(**run(blocks=3)))
    # The library's name alone stands where it is said what the peer is.
    assert html.count("PySyncObj") - html.count("PySyncObj 0.3.17") == html.count(NOT_SYNCED) > 20
