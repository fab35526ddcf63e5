"""The replicated log against plain restatements of what the paper asks of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftmark.raft import Entry, ReplicatedLog
from raftmark.raft.messages import NOOP, Command, Configuration

from .scenario import log_of

terms_of_a_log = st.lists(st.integers(1, 4), max_size=8).map(sorted)


def contents(log: ReplicatedLog) -> list[Entry]:
    """All entries of a log."""
    return list(log.slice(1, log.last_index))


def test_an_empty_log_ends_at_index_and_term_zero() -> None:
    log = ReplicatedLog()
    assert (log.last_index, log.last_term, log.term_at(0)) == (0, 0, 0)
    assert log.matches(0, 0)
    assert not log.matches(1, 0)
    assert contents(log) == []


def test_a_slice_is_cut_to_what_exists() -> None:
    entries = log_of([1, 1, 2])
    log = ReplicatedLog(entries)
    assert log.slice(2, 9) == tuple(entries[1:])
    assert log.slice(2, 2) == (entries[1],)
    assert log.slice(4, 9) == log.slice(3, 2) == ()


def test_the_term_past_the_end_is_an_error() -> None:
    with pytest.raises(IndexError):
        ReplicatedLog(log_of([1])).term_at(2)


@given(own=terms_of_a_log, leaders=terms_of_a_log, data=st.data())
def test_merge_does_what_figure_2_says(
    own: list[int], leaders: list[int], data: st.DataObject
) -> None:
    """AppendEntries, steps 3 and 4: delete from the first conflict on, append what is new.

    The entries of two logs with the same index and term are the same, as in any cluster.
    """
    log = ReplicatedLog(log_of(own))
    sent = log_of(leaders)
    common = [0, *(n for n in range(1, min(len(own), len(leaders)) + 1) if own[:n] == leaders[:n])]
    prev_index = data.draw(st.sampled_from(common))
    end = data.draw(st.integers(prev_index, len(sent)))

    expected = log_of(own)
    written_from = None
    for index in range(prev_index + 1, end + 1):
        if index <= len(expected) and expected[index - 1].term != leaders[index - 1]:
            del expected[index - 1 :]
        if index > len(expected):
            expected.append(sent[index - 1])
            written_from = written_from or index

    assert log.merge(prev_index, sent[prev_index:end]) == written_from
    assert contents(log) == expected


@given(terms_of_a_log, st.integers(0, 10), st.integers(0, 5))
def test_the_last_possible_match_skips_every_later_term(
    terms: list[int], index: int, term: int
) -> None:
    """§5.3, the end: the largest index up to `index` whose term is not above `term`."""
    log = ReplicatedLog(log_of(terms))
    possible = [n for n, t in enumerate([0, *terms]) if n <= index and t <= term]
    assert log.last_possible_match(index, term) == max(possible)


def test_a_log_keeps_no_hold_of_what_it_was_made_from() -> None:
    entries = [Entry(1, NOOP)]
    log = ReplicatedLog(entries)
    entries.clear()
    assert log.last_index == 1


# -- compaction (§7) and configurations (thesis §4.1) -----------------------------------------


def test_a_compacted_log_keeps_its_end_and_the_term_before_its_beginning() -> None:
    log = ReplicatedLog(log_of([1, 1, 2, 3, 3]))
    log.compact(3)
    assert (log.first_index, log.last_index, log.last_term) == (4, 5, 3)
    assert (log.term_at(3), log.term_at(4)) == (2, 3)
    assert log.slice(1, 9) == log.slice(4, 5) == tuple(log_of([1, 1, 2, 3, 3])[3:])
    assert log.slice(1, 3) == ()
    log.compact(5)
    assert (log.first_index, log.last_index, log.last_term) == (6, 5, 3)
    log.append([Entry(4, NOOP)])
    assert log.slice(1, 9) == (Entry(4, NOOP),)


def test_what_is_compacted_away_matches_any_leaders_log() -> None:
    """§5.4.3: it was committed, so that every leader has it."""
    log = ReplicatedLog(log_of([1, 1, 2, 3]))
    log.compact(3)
    assert log.matches(2, 1)
    assert log.matches(3, 2)
    assert not log.matches(3, 1)
    assert log.matches(4, 3)
    assert not log.matches(5, 3)


@given(terms_of_a_log, st.integers(0, 8), st.integers(0, 10), st.integers(0, 5))
def test_a_compacted_log_has_no_earlier_possible_match(
    terms: list[int], start: int, index: int, term: int
) -> None:
    """§5.3: what is gone is not looked at, and it matches anyway."""
    whole, log = ReplicatedLog(log_of(terms)), ReplicatedLog(log_of(terms))
    start = min(start, len(terms))
    log.compact(start)
    found = log.last_possible_match(index, term)
    if min(index, len(terms)) < start:
        assert found == index
    else:
        assert found == max(start, whole.last_possible_match(index, term))


@given(own=terms_of_a_log, leaders=terms_of_a_log, data=st.data())
def test_a_compacted_log_merges_as_a_whole_one_does(
    own: list[int], leaders: list[int], data: st.DataObject
) -> None:
    """§7: where what is compacted away agrees with the leader's log, as it always does."""
    common = [0, *(n for n in range(1, min(len(own), len(leaders)) + 1) if own[:n] == leaders[:n])]
    start = data.draw(st.sampled_from(common))
    prev_index = data.draw(st.sampled_from(common))
    end = data.draw(st.integers(prev_index, len(leaders)))
    whole, log = ReplicatedLog(log_of(own)), ReplicatedLog(log_of(own))
    log.compact(start)
    sent = log_of(leaders)[prev_index:end]
    assert log.merge(prev_index, sent) == whole.merge(prev_index, sent)
    assert log.slice(1, 99) == whole.slice(start + 1, 99)
    assert log.last_index == whole.last_index


def test_each_entry_has_the_configuration_that_those_before_it_make() -> None:
    """Thesis §4.1: also where the log no longer has them, and where it has lost its tail."""
    first = Configuration((1, 2, 3))
    add, promote, remove = (
        Command(op, "4") for op in ("add_server", "promote_server", "remove_server")
    )
    entries = [Entry(1, command) for command in (NOOP, add, NOOP, promote, remove)]
    log = ReplicatedLog(entries, first)
    learner, voter = Configuration((1, 2, 3), (4,)), Configuration((1, 2, 3, 4))
    expected = [first, first, learner, learner, voter, first]
    assert [log.configuration_at(index) for index in range(6)] == expected
    assert (log.configuration, log.configuration_index) == (first, 5)

    log.compact(3)
    assert [log.configuration_at(index) for index in range(3, 6)] == expected[3:]
    assert log.merge(3, [Entry(2, NOOP)]) == 4
    assert (log.configuration, log.configuration_index) == (learner, 3)


def test_a_log_that_begins_behind_a_snapshot_begins_with_its_configuration() -> None:
    configuration = Configuration((1, 5))
    log = ReplicatedLog(log_of([7]), configuration, start=9, start_term=6)
    assert (log.first_index, log.last_index, log.term_at(9)) == (10, 10, 6)
    assert log.configuration_at(9) == log.configuration == configuration
    assert log.configuration_index == 9
