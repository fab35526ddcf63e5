"""Messages are bounded in bytes too: what is large travels in many of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from raftmark.raft import AppendEntries, Command, Entry, InstallSnapshot, Item, Message, Role
from raftmark.raft.messages import fitting, size_of_entry, size_of_item

from .scenario import Scenario

MAX_BYTES = 1000


def large(count: int, size: int = 300) -> list[Command]:
    """Commands that set keys of two bytes to values of so many."""
    return [Command("set", f"{n:02}", "v" * (size - 2)) for n in range(count)]


def leading(**others: int) -> Scenario:
    """Node 1 leads three nodes, whose messages have room for a thousand bytes."""
    scenario = Scenario(3, max_bytes=MAX_BYTES, **others)
    scenario.elect(1)
    return scenario


def sizes(messages: Sequence[Message], to: int) -> list[list[int]]:
    """The sizes of the entries, or items, in each message to a node that has any."""
    found = []
    for m in messages:
        if m.to == to and isinstance(m, AppendEntries) and m.entries:
            found.append(list(map(size_of_entry, m.entries)))
        elif m.to == to and isinstance(m, InstallSnapshot) and m.items:
            found.append(list(map(size_of_item, m.items)))
    return found


@pytest.mark.parametrize(
    ("command", "size"),
    [
        (Command("noop"), 0),
        (Command("get", "key"), 3),
        (Command("set", "key", ""), 3),
        (Command("set", "clé", "…"), 4 + 3),
        (Command("cas", "k", "👍", None, "client", 7), 1 + 4 + 6),
        (Command("cas", "k", "v", "ex"), 4),
    ],
)
def test_an_entrys_size_is_the_bytes_of_its_texts(command: Command, size: int) -> None:
    assert size_of_entry(Entry(3, command)) == size


def test_an_items_size_is_the_bytes_of_its_texts() -> None:
    items = [Item("clé", "…", 0), Item("client", True, 7), Item("k", None, 0)]
    assert list(map(size_of_item, items)) == [7, 6, 1]


def test_what_fits_is_at_least_one() -> None:
    assert fitting([3, 3, 3], int, 6) == (2, 6)
    assert fitting([3, 3, 3], int, 100) == (3, 9)
    assert fitting([9, 1], int, 6) == (1, 9)
    assert fitting([], int, 6) == (0, 0)


def test_append_entries_are_bounded_in_bytes_and_stay_contiguous() -> None:
    """§5.3: each follows on the one before, so that nothing is left out."""
    scenario = leading()
    scenario.propose(1, *large(8))
    assert sizes(scenario.under_way, to=2) == [[300] * 3, [300] * 3, [300] * 2]
    scenario.settle()
    assert scenario.commit_indexes()[1] == 9
    assert scenario.servers[2].terms == [1] * 9


def test_an_entry_that_is_larger_than_a_message_should_be_travels_alone() -> None:
    scenario = leading()
    scenario.propose(1, *large(2), *large(1, 5000), *large(2))
    assert sizes(scenario.under_way, to=2) == [[300] * 2, [5000], [300] * 2]
    scenario.settle()
    assert scenario.commit_indexes()[1] == 6


def test_the_bytes_under_way_to_a_follower_are_bounded() -> None:
    """The window has so much room for each of its messages, whoever is how large."""
    scenario = leading(window=4)
    scenario.propose(1, *large(12, 900))
    assert len(sizes(scenario.under_way, to=2)) == 4
    scenario.settle()
    scenario.propose(1, *large(12, 2500))
    assert sizes(scenario.under_way, to=2) == [[2500]] * 2
    scenario.settle()
    assert scenario.commit_indexes()[1] == 25


def test_a_probe_is_bounded_too() -> None:
    scenario = leading()
    scenario.isolate(3)
    scenario.propose(1, *large(10))
    scenario.settle()
    scenario.heal()
    scenario.elect(2)
    assert scenario.servers[3].terms == scenario.servers[2].terms


def test_snapshots_are_bounded_in_bytes_and_larger_items_travel_alone() -> None:
    scenario = leading()
    scenario.isolate(3)
    commands = [*large(7), Command("set", "50", "v" * 4998), *large(1)]
    scenario.propose(1, *commands)
    scenario.settle()
    scenario.compact(1)
    scenario.heal()
    scenario.time_out(1)
    pieces: list[list[int]] = []
    while scenario.under_way:
        pieces += sizes(scenario.under_way[:1], to=3)
        scenario.deliver(type(scenario.under_way[0]))
    assert pieces == [[300] * 3, [300] * 3, [300], [5000]]
    assert scenario.servers[3].machine.items() == scenario.servers[1].machine.items()


def test_a_heartbeat_goes_after_what_is_known_to_match_while_much_is_under_way() -> None:
    """It may overtake what waits in a socket, and must not be refused for that."""
    scenario = leading(window=4)
    scenario.propose(1, *large(10, 900))
    first, *waiting = scenario.take(AppendEntries, to=2)
    scenario.servers[1].hear(*scenario.servers[2].hear(first))
    scenario.under_way.clear()
    scenario.time_out(1)
    [heartbeat] = scenario.take(AppendEntries, to=2)
    assert isinstance(heartbeat, AppendEntries)
    assert (heartbeat.prev_log_index, heartbeat.entries) == (2, ())
    for message in (heartbeat, *waiting):
        scenario.servers[1].hear(*scenario.servers[2].hear(message))
    assert scenario.node(1).role is Role.LEADER
    assert scenario.node(1)._progress[2].probing is False
    assert scenario.node(1)._progress[2].match_index == 5


def test_much_that_is_lost_is_sent_again() -> None:
    """Such a heartbeat finds no loss; the next one does, as nothing was acknowledged."""
    scenario = leading(window=4)
    scenario.propose(1, *large(10, 900))
    first, *_ = scenario.take(AppendEntries, to=2)
    scenario.servers[1].hear(*scenario.servers[2].hear(first))
    scenario.under_way.clear()
    for _ in range(2):
        scenario.time_out(1)
        scenario.settle()
    assert scenario.servers[2].terms == scenario.servers[1].terms
