"""Recordings: kept whole, and of a real cluster what the protocol says happened."""

import pytest

from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.experiment.recording import COMMANDS, NODES, NotRecorded, record
from raftmark.bench.runs.recordings import FILE, NodeState, Recording, keep, load
from raftmark.bench.runs.store import Run, StoreError
from raftmark.report.pages.playback import steps
from tests.bench.support import contenders, fake, manifest


def test_recordings_are_kept_and_read(tmp_path):
    run = Run.create(tmp_path, manifest([], []))
    assert load(run.path) == []
    node = NodeState(1, True, "leader", 1, 1, 1, 1)
    recordings = [Recording("a", "election", [node], [{"event": "crash", "node": 1, "at_ns": 5}])]
    keep(run, recordings)
    assert load(run.path) == recordings
    assert sorted(p.name for p in run.path.iterdir() if "recordings" in p.name) == [FILE]


@pytest.mark.parametrize("content", ["", "{}", '{"recordings": [{}]}', "[" * 100_000])
def test_damaged_recordings_are_named(tmp_path, content):
    run = Run.create(tmp_path, manifest([], []))
    (run.path / FILE).write_text(content)
    with pytest.raises(StoreError, match=f"{FILE} .*delete it to go without"):
        load(run.path)


@pytest.mark.parametrize(
    ("name", "why"), [("stub", "offers no trace"), ("crashes", "could not be recorded")]
)
def test_what_cannot_be_recorded_is_said(tmp_path, name, why):
    [spec] = contenders(tmp_path, {"a": fake(name)}).values()
    with pytest.raises(NotRecorded, match=why):
        record(spec, seed=1)


@pytest.mark.parametrize("name", list(load_contenders()))
def test_a_real_election_and_replication_can_be_played(name):
    spec = load_contenders()[name]
    spec.prepare()
    election, replication = record(spec, seed=1)
    played = steps(election)
    [leader] = [n for n, node in played[-1].nodes.items() if node.role == "leader"]
    assert election.events[0] == {
        "event": "crash",
        "node": election.nodes[0].leader,
        "at_ns": election.events[0]["at_ns"],
    }
    assert played[-1].nodes[election.nodes[0].leader].role == "crashed"
    assert leader != election.nodes[0].leader
    assert any(step.kind == "request_vote" and step.link[0] == leader for step in played)
    before, *_, after = steps(replication)
    assert len(before.nodes) == NODES
    for node, view in before.nodes.items():
        # Whether the last answer of a follower came before the end, nobody waits for.
        assert view.last <= after.nodes[node].last <= view.last + COMMANDS
    led = replication.nodes[0].leader
    assert after.nodes[led].last == after.nodes[led].commit == before.nodes[led].last + COMMANDS
    assert [e["command"] for e in replication.events if e["event"] == "answer"] == [1, 2, 3]
