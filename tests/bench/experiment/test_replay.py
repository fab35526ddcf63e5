"""A page of a log says the same, however it is taken: column by column, or entry by entry."""

import random
from typing import Any

import msgspec
import pytest

from raftmark.bench.contenders.contender import Patience
from raftmark.bench.experiment.pages import ByColumns, Entry, read_log
from raftmark.bench.experiment.replay import Replay
from tests.bench.support import PATIENCE

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


class Telling:
    """A contender that tells at most so many entries of a log at a time."""

    def __init__(self, log: list[Entry], most: int) -> None:
        self.log, self.most = log, most
        self.asked: list[tuple[int, int]] = []
        self.awaited: list[int] = []

    def send_as(self, _kind: type, _op: str, **fields: Any) -> Any:
        self.asked.append((fields["from"], fields["to"]))
        return self.log[fields["from"] - 1 : fields["to"]][: self.most]

    def wait_for(self, page: Any, _op: str, _patience: Any) -> Any:
        self.awaited.append(len(self.asked))
        return by_columns(page)


@pytest.mark.parametrize("most", [5000, 1999])
@pytest.mark.parametrize("start", [1, 4001])
def test_pages_follow_each_other_however_long_they_are(most, start):
    log = [Entry(index, 1, "noop") for index in range(1, 21_001)]
    contender: Any = Telling(log, most)
    pages = read_log(
        contender,
        [1, 2, 3],
        len(log),
        64,
        Patience(PATIENCE, "check"),
        start=start,
        by_columns=True,
    )
    read = [entry for page in pages for entry in page.entries()]
    assert read == log[start - 1 :]
    # Some are under way while one is awaited.
    assert contender.awaited[0] == 3
    assert max(to for _, to in contender.asked) == len(log)
