"""The network's faults: who reaches whom, what is lost, doubled, late."""

from __future__ import annotations

import pytest

from raftmark.raft.links import MAX_HELD, PERFECT, DelayLine, Faults, Links


def copies(links: Links, to: int, messages: int = 1000) -> list[list[int]]:
    """The delays of each of many messages' copies."""
    return [list(links.delays_ns(to)) for _ in range(messages)]


def test_links_begin_perfect() -> None:
    links = Links(1, seed=0)
    assert links.perfect
    assert copies(links, 2) == [[0]] * 1000


@pytest.mark.parametrize(
    ("groups", "reached"),
    [
        ([[1, 2], [3]], {2}),
        ([[1, 2, 3]], {2, 3}),
        ([[2, 3]], set()),
        ([], set()),
        ([[1], [2, 3]], set()),
        (None, {2, 3}),
    ],
)
def test_only_nodes_of_the_same_group_are_reached(
    groups: list[list[int]] | None, reached: set[int]
) -> None:
    links = Links(1, seed=0)
    links.partition([[1], [2], [3]])
    links.partition(groups)
    assert {n for n in (2, 3) if list(links.delays_ns(n))} == reached
    assert links.perfect is (groups is None)


def test_a_blocked_way_leaves_the_way_back_open() -> None:
    there, back = Links(1, seed=0), Links(2, seed=0)
    for links in (there, back):
        links.block([(1, 2), (3, 1)])
    assert copies(there, 2, 1) == [[]]
    assert copies(there, 3, 1) == [[0]]
    assert copies(back, 1, 1) == copies(back, 3, 1) == [[0]]
    assert not there.perfect
    assert back.perfect


def test_each_form_of_partition_replaces_the_other() -> None:
    links = Links(1, seed=0)
    links.partition([[1, 2], [3]])
    links.block([(1, 2)])
    assert copies(links, 2, 1) == [[]]
    assert copies(links, 3, 1) == [[0]]
    links.partition([[1, 2], [3]])
    assert copies(links, 2, 1) == [[0]]
    assert copies(links, 3, 1) == [[]]
    links.block([(1, 2)])
    links.partition(None)
    assert links.perfect


def test_healing_leaves_the_other_faults() -> None:
    links = Links(1, seed=0)
    links.degrade(Faults(drop=1.0))
    links.partition([[1, 2]])
    links.partition(None)
    assert not links.perfect
    assert copies(links, 2, 10) == [[]] * 10
    links.degrade(PERFECT)
    assert links.perfect


def test_messages_are_dropped_and_doubled_as_often_as_asked() -> None:
    links = Links(1, seed=7)
    links.degrade(Faults(drop=0.25, duplicate=0.5, delay_ns=(10, 20)))
    counts = [len(each) for each in copies(links, 2, 20_000)]
    assert counts.count(0) == pytest.approx(5000, rel=0.05)
    assert counts.count(2) == pytest.approx(7500, rel=0.05)


def test_delays_lie_in_their_range_and_differ_between_copies() -> None:
    links = Links(1, seed=7)
    links.degrade(Faults(duplicate=1.0, delay_ns=(1000, 2000)))
    delays = copies(links, 2)
    assert all(1000 <= delay < 2000 for pair in delays for delay in pair)
    assert sum(one != other for one, other in delays) > 900


def test_a_seed_decides_what_happens_to_a_nodes_messages() -> None:
    def story(node_id: int, seed: int) -> list[list[int]]:
        links = Links(node_id, seed)
        links.degrade(Faults(0.3, 0.3, (0, 1000)))
        return copies(links, 2, 50)

    assert story(1, 5) == story(1, 5)
    assert story(1, 5) != story(1, 6)
    assert story(1, 5) != story(3, 5)


def test_a_delay_line_gives_out_what_is_due_in_order() -> None:
    line: DelayLine[str] = DelayLine()
    assert line.next_due_ns is None
    for due_ns, message in ((30, "c"), (10, "a"), (20, "b1"), (20, "b2")):
        line.push(due_ns, message)
    assert line.next_due_ns == 10
    assert list(line.pop_due(9)) == []
    assert list(line.pop_due(20)) == ["a", "b1", "b2"]
    assert line.next_due_ns == 30
    assert list(line.pop_due(99)) == ["c"]
    assert line.next_due_ns is None


def test_only_so_many_messages_are_on_their_way() -> None:
    line: DelayLine[int] = DelayLine()
    for number in range(MAX_HELD + 1):
        line.push(10, number)
    assert list(line.pop_due(10)) == list(range(MAX_HELD))
