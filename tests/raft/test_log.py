"""The replicated log against plain restatements of what the paper asks of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft import Entry, ReplicatedLog
from raft.messages import NOOP

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
