"""The study of what is deployed: what it prints of a run's figures."""

from __future__ import annotations

from raftmark.bench.studies.deployed import SKETCH, baselines, better, tables

BLOCKS = range(6)
SAMPLES = {
    "asyncio-memory-w1": dict.fromkeys(BLOCKS, 8500.0),
    "asyncio-disk-w1": dict.fromkeys(BLOCKS, 1700.0),
    "go-memory-w64": {0: 236_000.0},
    "pysyncobj-batched-w1": dict.fromkeys(BLOCKS, 400.0),
    "pysyncobj-unbatched-w1": {block: 2_000.0 + block for block in BLOCKS},
    "pysyncobj-batched-w1-journal": dict.fromkeys(BLOCKS, 340.0),
}


def test_a_row_holds_a_contender_against_the_better_setting_and_the_sketch() -> None:
    assert tables(SAMPLES, ["asyncio", "go"])[2:] == [
        "| memory | 1 | asyncio | 8,500 (8,500 to 8,500) | 50% | 4.2 (4.2 to 4.2) times "
        "| 2,002, unbatched |",
        "| memory | 64 | go | 236,000 | 50% |  | not measured |",
        "| disk | 1 | asyncio | 1,700 (1,700 to 1,700) | 50% | 5 (5 to 5) times "
        "| 340, batched, journal *not synced* |",
    ]


def test_only_blocks_that_both_have_are_compared() -> None:
    samples = {**SAMPLES, "pysyncobj-unbatched-w1": {7: 2_000.0}}
    assert "|  | 2,000, unbatched |" in tables(samples, ["asyncio"])[2]


def test_every_cell_has_both_settings_of_the_peer() -> None:
    assert len(baselines()) == 2 * 3 * 2
    assert {better({}, "disk", 64), better({}, "memory", 256)} <= baselines().keys()
    assert len(SKETCH) == 4 * 2
