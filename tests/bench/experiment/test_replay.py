"""A page of a log says the same, however it is taken: column by column, or entry by entry."""

import random

import msgspec
import pytest

from raftmark.bench.experiment.pages import ByColumns, Entry
from raftmark.bench.experiment.replay import Replay

NAMES = ("term", "op", "key", "value", "expect", "client", "serial")
WORKLOAD = {"keys": 10, "payload": 2}
CLIENTS = 3
PAGE = 25


def by_columns(entries: list[Entry]) -> ByColumns:
    """Return a page as a contender tells it."""
    columns = {}
    for name, values in zip(NAMES, list(zip(*entries, strict=True))[1:], strict=True):
        distinct = list(dict.fromkeys(values))
        columns[name] = {"values": distinct}
        if len(distinct) > 1:
            columns[name]["at"] = [distinct.index(value) for value in values]
    page = {"first_index": entries[0].number, "count": len(entries), "columns": columns}
    return msgspec.convert(page, ByColumns)


def honest(rng: random.Random) -> list[Entry]:
    """Return a log in which clients send as they come to, in a term or two."""
    serials = dict.fromkeys(range(CLIENTS), 0)
    entries, term = [Entry(1, 1, "noop")], 1
    for index in range(2, 160):
        if rng.random() < 0.01:
            term += 1
            entries.append(Entry(index, term, "noop"))
            continue
        client = rng.choice(range(CLIENTS))
        serials[client] += 1
        key = f"key-{(client + serials[client] * CLIENTS) % 10}"
        sender = (f"client-{client}", serials[client])
        entries.append(Entry(index, term, "set", key, "xx", None, *sender))
    return entries


CHANGES = [
    {"op": "cas"},
    {"op": "noop"},
    {"key": "key-3"},
    {"key": "nobody's"},
    {"value": "yy"},
    {"value": None},
    {"expect": "xx"},
    {"client": "client-0"},
    {"client": "nobody"},
    {"client": None},
    {"serial": 0},
    {"serial": 7},
    {"serial": 2**63 - 1},
    {"term": 1},
    {"term": 9},
]


@pytest.mark.parametrize("change", [{}, *CHANGES], ids=str)
@pytest.mark.parametrize("start", [1, 40])
def test_a_page_is_the_same_in_both_forms(change, start):
    for seed in range(20):
        rng = random.Random(seed)
        log = honest(rng)
        at = rng.randrange(start - 1, len(log))
        log[at] = log[at]._replace(**change)
        one, other = (
            Replay(
                WORKLOAD, CLIENTS, repeated=seed % 2 == 1, first_indices=[start, 77], start=start
            )
            for _ in range(2)
        )
        for first in range(start - 1, len(log), PAGE):
            page = log[first : first + PAGE]
            one.take(page)
            other.take_page(by_columns(page))
        for each in (one, other):
            each.end([0] * CLIENTS)
        assert other.problems == one.problems
        if not one.problems:
            assert other.state_hash() == one.state_hash()
            assert [other.log_hash(n) for n in (start, 77)] == [
                one.log_hash(n) for n in (start, 77)
            ]
        assert (other.index, other.term) == (one.index, one.term)


def test_all_but_rare_pages_are_taken_column_by_column(monkeypatch):
    log = Replay(WORKLOAD, CLIENTS)
    entries = honest(random.Random(0))
    apart = []
    monkeypatch.setattr(log, "take", lambda page: (apart.append(page), Replay.take(log, page)))
    for first in range(0, len(entries), PAGE):
        log.take_page(by_columns(entries[first : first + PAGE]))
    assert log.index == len(entries)
    assert 0 < len(apart) < len(entries) / PAGE
    assert all(any(entry.op == "noop" for entry in page) for page in apart)
