"""Random lives of whole clusters: safe after every event, live once the faults stop."""

from __future__ import annotations

from collections import Counter, deque

import pytest

from raftmark.raft import Command, ReplicatedLog, Role
from raftmark.raft.messages import ADD_SERVER, PROMOTE_SERVER, REMOVE_SERVER

from . import replay
from .lives import CLIMATES, INTERLEAVED, interleaved_life, live, weathered_life
from .scenario import settings_of
from .world import Boundary, Violation, World

# How many lives there are is up to --lives; each one's virtual time is bounded.
pytestmark = pytest.mark.timeout(24 * 3600)


@pytest.fixture
def lives(pytestconfig: pytest.Config) -> int:
    """By how much more lives than usual are to be lived."""
    times: int = pytestconfig.option.lives
    return times


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("climate", CLIMATES)
def test_a_cluster_is_safe_always_and_live_once_the_faults_stop(
    nodes: int, climate: str, seed: int, lives: int
) -> None:
    """Figure 3's properties after every event, and §5.4.3, §9.3 for its recovery.

    As safe are members that change (thesis §4), reads (§6.4) and snapshots (§7), and every
    learner becomes a voter.
    """
    for life in range(8 * lives):
        live(f"{climate}/{nodes}/{seed}/{life}")


@pytest.mark.parametrize("nodes", [2, 3, 4, 5])
def test_any_interleaving_is_safe(nodes: int, seed: int, lives: int) -> None:
    """The same properties after every event, whatever the order of events."""
    for life in range(200 * lives):
        live(f"{INTERLEAVED}/{nodes}/{seed}/{life}")


def test_the_simulation_is_as_bad_as_it_claims() -> None:
    """Or the tests above would prove nothing: what they are to withstand happens, and often."""
    weather = CLIMATES["all at once"]
    lives = [weathered_life(nodes, f"{life}", weather) for nodes in (3, 5) for life in range(20)]
    counts: Counter[str] = Counter()
    for life in lives:
        counts.update(life.counts)
        counts.update(life.properties.changes)
        counts.update({boundary.value: count for boundary, count in life.crashes.items()})
        counts["elections"] += len(life.properties.leaders)
        counts["retries"] += sum(client.retries for client in life.clients)
        counts["steps"] += sum(client.acknowledged for client in life.clients)
        counts["reads answered"] += sum(client.reads for client in life.clients)
    print(counts)
    for boundary in Boundary:
        assert counts[boundary.value] > 5, boundary
    for what, often in {
        "elections": 100,
        "configurations rolled back": 1,
        "entries replaced": 10,
        "leaders without a quorum": 5,
        "pieces after the first": 100,
        "pieces lost": 100,
        "pre-votes granted": 100,
        "pre-votes refused": 100,
        "reads answered": 1000,
        "reads confirmed": 1000,
        "reads lost": 30,
        "retries": 100,
        "servers come back": 10,
        "snapshots installed": 100,
        "snapshots taken": 200,
        "steps": 1000,
        "transfers aborted": 10,
        "transfers done": 5,
        ADD_SERVER: 30,
        PROMOTE_SERVER: 30,
        REMOVE_SERVER: 30,
    }.items():
        assert counts[what] > often, f"{what}: {counts[what]}"


def test_the_interleavings_are_as_bad_as_they_claim() -> None:
    counts: Counter[str] = Counter()
    for life in range(200):
        interleaving = interleaved_life(2 + life % 3, f"{life}")
        counts.update(interleaving.counts)
        counts.update(interleaving.properties.changes)
    print(counts)
    for what in (
        "configurations rolled back",
        "entries replaced",
        "leaders without a quorum",
        "pre-votes refused",
        "reads confirmed",
        "reads lost",
        "snapshots installed",
        ADD_SERVER,
        PROMOTE_SERVER,
        REMOVE_SERVER,
    ):
        assert counts[what] > 1, what


def test_a_lone_voter_may_lead_a_term_again_that_it_had_not_saved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it had appended is in no other log, and in its own no more."""
    world = World(settings_of(1), "a seed")
    (server,) = world.servers.values()
    monkeypatch.setattr(world.random, "choice", lambda _boundaries: Boundary.BEFORE_SAVE)
    for value in ("before the crash", "after it"):
        server.node.election_timeout()
        world.properties.check(server)
        assert (server.node.role, server.node.term) == (Role.LEADER, 1)
        server.propose([world.proposal(Command("set", "k", value))])
        world.properties.check(server)
        assert not world.perform(server, crash=1.0)[1]
        server.crash()
        server.begin()


def test_a_seed_decides_everything() -> None:
    stories = [
        (life.now_ns, life.events, life.properties.committed)
        for life in (weathered_life(4, seed, CLIMATES["all at once"]) for seed in ("a", "a", "b"))
    ]
    assert stories[0] == stories[1] != stories[2]


def test_a_life_that_goes_wrong_says_how_to_replay_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And its replay goes wrong in the same way: here, where votes go to anybody."""
    monkeypatch.setattr(ReplicatedLog, "is_up_to_date", lambda *_: True)
    with pytest.raises(Violation) as failure:
        deque(map(live, (f"{INTERLEAVED}/3/{life}" for life in range(1000))), maxlen=0)
    [note] = failure.value.__notes__
    name = note.removeprefix("replay with: python -m tests.raft.replay '").removesuffix("'")
    assert replay.main([name]) == 1
    told = capsys.readouterr()
    assert str(failure.value) in told.err
    assert "expires" in told.out


@pytest.mark.parametrize("arguments", [[], ["lossy"], ["lossy/x/1"], ["unknown/3/1"], ["a", "b"]])
def test_a_replay_of_no_life_says_what_to_name(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay.main(arguments) == 2
    assert "KIND/NODES/SEED" in capsys.readouterr().err
