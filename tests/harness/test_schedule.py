from collections import Counter
from itertools import pairwise

import pytest

from bench.schedule import schedule
from bench.specification import PROFILES, Specification, SpecificationError, narrow

from .support import election_cell, replicate_cell

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


def test_a_blocks_contenders_share_the_seed_of_their_clusters():
    planned = list(schedule(SPECIFICATION, CONTENDERS, seed=3))
    seeds = {(trial.cell.id, trial.block): trial.cluster_seed(3) for trial in planned}
    assert all(trial.cluster_seed(3) == seeds[trial.cell.id, trial.block] for trial in planned)
    assert len(set(seeds.values())) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds.values())


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_are_sound(name):
    specification = PROFILES[name]()
    assert specification.blocks >= 5
    assert len({cell.id for cell in specification.cells}) == len(specification.cells)
    assert {cell.workload["name"] for cell in specification.cells} == {"replicate", "election"}
    for cell in specification.cells:
        measured = cell.workload.get("warmup_s", 0) + cell.workload.get("duration_s", 0)
        assert cell.timeout_s > 2 * measured


def test_narrowing_keeps_what_was_named():
    narrowed = narrow(PROFILES["quick"](), workloads=["election"], blocks=3)
    assert {cell.workload["name"] for cell in narrowed.cells} == {"election"}
    assert narrowed.blocks == 3
    assert narrow(PROFILES["quick"]()) == PROFILES["quick"]()


def test_an_unknown_workload_is_refused():
    with pytest.raises(SpecificationError, match="no such workload: sort"):
        narrow(PROFILES["quick"](), workloads=["sort", "election"])
