from collections import Counter
from itertools import count, pairwise, repeat, zip_longest

import msgspec
import pytest

from raftmark.bench.design.cells import deployed, mixture_cell, offered_cell, with_snapshots
from raftmark.bench.design.cells import replicate_cell as load
from raftmark.bench.design.schedule import Left, Planned, left, schedule
from raftmark.bench.design.specification import PROFILES, Specification, SpecificationError, narrow
from raftmark.bench.experiment.entries import with_their_followers
from raftmark.bench.runs.forms import ContenderEntry
from raftmark.bench.runs.plan import expected
from tests.bench.support import HELLO, election_cell, manifest, replicate_cell

CONTENDERS = ["a", "b", "c", "d"]
SPECIFICATION = Specification(
    blocks=20, cells=[replicate_cell(1), replicate_cell(64), election_cell()]
)


def test_every_block_has_every_contender_in_every_cell_once():
    planned = list(schedule(SPECIFICATION, CONTENDERS, seed=3))
    expected = {(cell.id, name) for cell in SPECIFICATION.cells for name in CONTENDERS}
    for block in range(SPECIFICATION.blocks):
        inside = [trial for trial in planned if trial.block == block]
        assert Counter((t.cell.id, t.contender) for t in inside) == Counter(expected)
        assert [trial.order for trial in inside] == list(range(len(expected)))
    assert len({trial.id for trial in planned}) == len(planned)
    assert [trial.block for trial in planned] == sorted(trial.block for trial in planned)


def test_the_order_follows_from_the_seed():
    once, again, other = (list(schedule(SPECIFICATION, CONTENDERS, seed)) for seed in (3, 3, 4))
    assert once == again
    assert once != other


def test_blocks_differ_in_their_order():
    planned = list(schedule(SPECIFICATION, CONTENDERS, seed=3))
    orders = {
        tuple((t.cell.id, t.contender) for t in planned if t.block == block)
        for block in range(SPECIFICATION.blocks)
    }
    assert len(orders) == SPECIFICATION.blocks


def test_no_contender_has_a_fixed_neighbour():
    specification = Specification(blocks=400, cells=[replicate_cell()])
    planned = list(schedule(specification, CONTENDERS, seed=5))
    pairs = Counter(
        (before.contender, after.contender)
        for before, after in pairwise(planned)
        if before.block == after.block
    )
    # Twelve ordered pairs share 1200 places; a fixed order would leave most of them without any.
    assert len(pairs) == 12
    assert min(pairs.values()) > 60


def test_where_trials_share_a_process_all_do_the_same_before():
    specification = msgspec.structs.replace(SPECIFICATION, one_process=True)
    planned = list(schedule(specification, CONTENDERS, seed=3))
    cells = len(specification.cells)
    turns = [planned[start : start + cells] for start in range(0, len(planned), cells)]
    for turn in turns:
        assert len({(trial.block, trial.contender) for trial in turn}) == 1
        assert [trial.cell for trial in turn] == specification.cells
    assert len({trial.id for trial in planned}) == len(planned) == cells * 4 * SPECIFICATION.blocks
    assert len({tuple(t[0].contender for t in turns if t[0].block == b) for b in range(3)}) > 1


@pytest.mark.parametrize(
    ("cell", "following", "expected"),
    [
        (offered_cell(1000), load(1), Left.CLUSTER),
        (deployed(offered_cell(1000)), deployed(load(64)), Left.CLUSTER),
        # A long log.
        (offered_cell(10_000), load(1), Left.PROCESS),
        (load(1), load(64), Left.PROCESS),
        (deployed(load(64)), deployed(load(1)), Left.PROCESS),
        # Other nodes, another log, or one that is not whole.
        (offered_cell(1000), load(64, nodes=5), Left.PROCESS),
        (offered_cell(1000), election_cell(), Left.PROCESS),
        (offered_cell(1000, storage="disk"), load(1, storage="disk"), Left.PROCESS),
        (with_snapshots(offered_cell(1000)), with_snapshots(load(1)), Left.PROCESS),
        (load(64), deployed(load(64)), Left.NOTHING),
        (mixture_cell("go", 1), mixture_cell("go", 64), Left.PROCESS),
    ],
)
def test_what_a_trial_leaves_to_the_next_one(cell, following, expected):
    def leaves(block: int = 0, name: str = "a", **changes: bool) -> Left:
        allowed = {"one_process": True, "one_cluster": True} | changes
        specification = Specification(blocks=2, cells=[cell, following], **allowed)
        return left(specification, Planned(cell, 0, 0, "a"), Planned(following, block, 1, name))

    assert leaves() is expected
    assert leaves(block=1) is leaves(name="b") is Left.NOTHING
    assert leaves(one_process=False) is Left.NOTHING
    assert leaves(one_cluster=False) is min(expected, Left.PROCESS)
    specification = Specification(blocks=1, cells=[cell], one_process=True, one_cluster=True)
    assert left(specification, Planned(cell, 0, 0, "a"), None) is Left.NOTHING


def test_a_blocks_contenders_share_the_seed_of_their_clusters():
    planned = list(schedule(SPECIFICATION, CONTENDERS, seed=3))
    seeds = {(trial.cell.id, trial.block): trial.cluster_seed(3) for trial in planned}
    assert all(trial.cluster_seed(3) == seeds[trial.cell.id, trial.block] for trial in planned)
    assert len(set(seeds.values())) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds.values())


def test_a_twin_draws_by_a_seed_of_its_own():
    planned = list(schedule(SPECIFICATION, CONTENDERS, seed=3))
    seeds = {trial.cluster_seed(3) for trial in planned}
    twins = {trial.cluster_seed(3, twin=True) for trial in planned}
    assert len(twins) == len(seeds)
    assert not twins & seeds


def test_nobody_is_asked_for_what_it_does_not_offer():
    cells = [replicate_cell(), election_cell()]
    less = {"features": ["memory", "election"]}
    entries = [
        ContenderEntry("all", "All", HELLO, None),
        ContenderEntry("less", "Less", less, None),
        ContenderEntry("absent", "Absent", None, "no such program"),
    ]
    assert entries[1].lacks(cells[0]) == {"replicate"}
    assert not entries[0].lacks(cells[0])
    run = manifest([], cells, blocks=3, contenders=entries)
    trials = expected(run)
    assert Counter((trial.cell.id, trial.contender) for trial in trials) == {
        ("replicate-w2", "all"): 3,
        ("election-12-24", "all"): 3,
        ("election-12-24", "less"): 3,
    }
    # The others keep their places.
    everything = schedule(run.specification, ["all", "less"], run.seed)
    assert trials == [t for t in everything if (t.cell.id, t.contender) != ("replicate-w2", "less")]


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_are_sound(name):
    specification = PROFILES[name]()
    assert specification.blocks >= 6
    assert len({cell.id for cell in specification.cells}) == len(specification.cells)
    for cell in specification.cells:
        assert cell.timeout_s > 2 * cell.usual_s
        low, high = cell.cluster["election_timeout_ms"]
        assert 1 <= low <= high
        assert 0.5 <= cell.cluster["heartbeat_ms"] < low


PROCESS_S, CLUSTER_S, TRIAL_S = 0.15, 0.25, 0.19
"""What took time besides loads, by the mean of all contenders (two cores, idle): until a process
ran, and its end; until a cluster was led, and its end; and of each trial its check."""


def test_all_blocks_of_the_quick_profile_fit_its_time():
    """By counting what was asked for: four contenders, and one of them once more."""
    specification = PROFILES["quick"]()
    cells = [*map(Planned, specification.cells, repeat(0), count(), repeat("a"))]
    leaves = [left(specification, *each) for each in zip_longest(cells, cells[1:])]
    clusters = len(cells) - leaves.count(Left.CLUSTER)
    rest_s = PROCESS_S * leaves.count(Left.NOTHING) + CLUSTER_S * clusters + TRIAL_S * len(cells)
    block_s = 5 * (rest_s + sum(cell.usual_s for cell in specification.cells))
    assert specification.blocks >= 10
    assert specification.blocks * block_s <= specification.budget_s
    # A report is written besides, in what is left of five minutes.
    assert specification.budget_s <= 280


def test_the_full_profile_has_every_workload():
    assert {cell.workload["name"] for cell in PROFILES["full"]().cells} == {
        *("replicate", "election", "offered", "failover", "catch_up", "stability", "service")
    }


def test_the_papers_profile_is_its_figure_16():
    specification = PROFILES["paper"]()
    elections = {}
    for cell in specification.cells:
        timeouts = tuple(cell.cluster["election_timeout_ms"])
        elections[timeouts] = specification.blocks * cell.workload["elections"]
        assert cell.cluster["nodes"] == 5
        assert cell.cluster["heartbeat_ms"] == timeouts[0] / 2
        assert cell.workload["lagging"] == 2
        # All hear of a candidate equally late, and soon enough for the lowest timeouts.
        soonest, latest = cell.links["delay_ms"]
        assert 0 < soonest == latest < timeouts[0] / 4
        assert cell.may_stay_undecided == (timeouts in {(150, 150), (150, 151)})
        if cell.may_stay_undecided:
            assert cell.timeout_s > cell.workload["elections"] * cell.workload["cap_s"]
    assert elections == {
        (150, 150): 100,
        (150, 151): 1000,
        (150, 155): 1000,
        (150, 175): 1000,
        (150, 200): 1000,
        (150, 300): 1000,
        (12, 24): 1000,
        (25, 50): 1000,
        (50, 100): 1000,
        (100, 200): 1000,
    }


def test_narrowing_keeps_what_was_named():
    narrowed = narrow(PROFILES["quick"](), workloads=["election"], blocks=3)
    assert {cell.workload["name"] for cell in narrowed.cells} == {"election"}
    assert narrowed.blocks == 3
    assert narrow(PROFILES["quick"]()) == PROFILES["quick"]()


def test_narrowing_keeps_the_cells_of_a_pattern():
    narrowed = narrow(PROFILES["paper"](), cells=["election-12-*", "election-150-15[15]-paper"])
    assert [cell.id for cell in narrowed.cells] == [
        "election-150-151-paper",
        "election-150-155-paper",
        "election-12-24-paper",
    ]


def test_a_pattern_without_a_cell_is_refused():
    with pytest.raises(
        SpecificationError, match=r"no such cell: replicate-\*; choose from election"
    ):
        narrow(PROFILES["paper"](), cells=["election-*", "replicate-*"])


def test_an_unknown_workload_is_refused():
    with pytest.raises(SpecificationError, match="no such workload: sort"):
        narrow(PROFILES["quick"](), workloads=["sort", "election"])


def test_who_follows_takes_part_and_has_programs_of_its_own():
    """Whoever is mixed already cannot lead, and there is nobody to follow who is not in the run."""
    cells = [replicate_cell(), *(mixture_cell(name, 64) for name in ("go", "asyncio", "absent"))]
    hello = {"features": [*HELLO["features"], "transfer"]}
    both = ["native", "tcp"]
    entries = [
        ContenderEntry("go", "Go", hello, None, transports=both),
        ContenderEntry("asyncio", "Asyncio", hello, None),
        ContenderEntry("tcp:go+go", "Mixed", hello, None, transports=both),
        ContenderEntry("absent", "Absent", None, "no such program", transports=both),
    ]
    said: list[str] = []
    kept = with_their_followers(entries, Specification(blocks=1, cells=cells), said.append).cells
    assert said == ["asyncio, absent cannot follow here: without 2 cells of mixtures"]
    assert [cell.id for cell in kept] == ["replicate-w2", "mixture-w64-go"]
    asked = {entry.name: not entry.lacks(kept[1]) for entry in entries[:3]}
    assert asked == {"go": True, "asyncio": False, "tcp:go+go": False}
