"""Who is started where a cluster has left its data: those whom the data names (thesis §4)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from raftmark.raft import Command, Configuration, Entry, Node, Saved, Snapshot
from raftmark.raft.members import members_of
from raftmark.raft.messages import ADD_SERVER, PROMOTE_SERVER, REMOVE_SERVER

from .scenario import Server, append, settings_of

SET = Entry(1, Command("set", "k", "v"))
FIRST = (1, 2, 3)


def added(server: int, term: int = 1) -> list[Entry]:
    """What makes a voter of a server."""
    return [Entry(term, Command(op, str(server))) for op in (ADD_SERVER, PROMOTE_SERVER)]


def removed(server: int, term: int = 1) -> list[Entry]:
    """What removes one."""
    return [Entry(term, Command(REMOVE_SERVER, str(server)))]


def left(*logs: Sequence[Entry]) -> dict[int, Saved]:
    """Nodes from 1 on with these logs, the first voters saved with them."""
    return {n: Saved(entries=log, first_voters=FIRST) for n, log in enumerate(logs, 1)}


def test_where_there_is_nothing_the_first_voters_are_started() -> None:
    assert members_of({}, FIRST) == FIRST
    assert members_of(left([], []), FIRST) == FIRST
    assert members_of({1: Saved()}, FIRST) == FIRST


def test_members_are_those_of_the_most_up_to_date_log() -> None:
    """Those who were removed do not come back, whatever their own logs say."""
    behind = [SET, *added(4)]
    ahead = [*behind, *removed(1), SET, *removed(2), SET]
    assert members_of(left(behind, behind, ahead, ahead), FIRST) == (3, 4)


def test_a_later_term_is_more_up_to_date_than_a_longer_log() -> None:
    longer = [*removed(3), *[SET] * 9]
    later = [Entry(2, Command("noop"))]
    assert members_of(left(longer, later, later), FIRST) == FIRST


def test_a_learner_is_a_member() -> None:
    learner = [SET, added(4)[0]]
    assert members_of(left(learner, learner, learner), FIRST) == (1, 2, 3, 4)


def test_a_change_that_may_be_taken_back_needs_those_of_before_too() -> None:
    """One of two has removed the other by itself: that one must agree, or it was never so."""
    alone = {1: Saved(entries=[SET, *removed(1)], first_voters=(1, 2)), 2: Saved(entries=[SET])}
    assert members_of(alone, (1, 2)) == (1, 2)
    agreed = {n: Saved(entries=[SET, *removed(1)], first_voters=(1, 2)) for n in (1, 2)}
    assert members_of(agreed, (1, 2)) == (2,)


def test_only_voters_of_the_new_configuration_decide_whether_a_change_is_committed() -> None:
    change = [SET, *removed(1)]
    assert members_of(left(change, change, [SET]), FIRST) == FIRST
    assert members_of(left([SET], change, change), FIRST) == (2, 3)


def test_members_are_told_by_a_snapshot_too() -> None:
    snapshot = Snapshot(9, 2, Configuration((3, 4), (5,)), ())
    saved = left([SET, *added(4)], [SET])
    saved[3] = Saved(snapshot=snapshot, entries=[SET], first_voters=FIRST)
    saved[4] = Saved(snapshot=snapshot, first_voters=FIRST)
    assert members_of(saved, FIRST) == (3, 4, 5)


@pytest.mark.parametrize("holders", [(), (1,), (1, 2)])
def test_a_majority_is_more_than_half(holders: tuple[int, ...]) -> None:
    """Rule 28: of four voters two are not enough."""
    log = [SET, *added(4), SET]
    change = [*log, *removed(5)]
    first = (1, 2, 3, 5)
    saved = {n: Saved(entries=log, first_voters=first) for n in (1, 2, 3, 4)}
    saved |= {n: Saved(entries=change, first_voters=first) for n in (5, *holders)}
    assert members_of(saved, first) == (1, 2, 3, 4, 5)
    saved[3] = saved[2] = saved[1] = saved[5]
    assert members_of(saved, first) == (1, 2, 3, 4)


def test_files_of_earlier_revisions_do_not_say_who_came_first() -> None:
    saved = {n: Saved(entries=[SET, *removed(1)]) for n in (1, 2, 3)}
    assert members_of(saved, FIRST) == (2, 3)


def test_the_first_voters_are_saved_once_and_kept() -> None:
    """Figure 2 (persistent state): with two beginnings of one log committed entries diverge."""
    server = Server(1, settings_of(3))
    server.node.election_timeout()
    saves = [server.node.ready().save]
    server.node.election_timeout()
    saves.append(server.node.ready().save)
    assert [save and save.first_voters for save in saves] == [FIRST, None]
    server.hear(append(9, 1, (0, 0), [9], commit=1)._replace(sender=2))
    server.node.take_snapshot((), keep_tail=False)
    replaced = server.node.ready().save
    assert replaced is not None
    assert replaced.first_voters == FIRST
    told = Node(1, settings_of(5), lambda: 0.5, Saved(first_voters=FIRST))
    assert told.log.configuration.voters == FIRST
