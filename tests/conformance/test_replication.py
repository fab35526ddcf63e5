"""Commands are committed, applied everywhere in one order, and can be read back."""

from __future__ import annotations

import hashlib
import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from .cluster import LIVELY, STEADY, ClusterUnderTest, cas, get, set_
from .conftest import StartCluster
from .messages import LogColumns, LogPage, Submitted, read
from .waiting import DEADLINE_S

pytestmark = pytest.mark.level("replicates")

# Byte order of UTF-8, of UTF-16 and of the alphabet differ for these.
KEYS = ["", "a", "B", "ä", "\u0000", "\uffff", "😀", "a b\n\t\"\\'", "k" * 65536]
# What KEYS with `VALUES` come to, in every contender and on every node.
STATE_OF_KEYS = "17ee884ca4ac1ee86e4545e330e294cc00554dedb45055c522676e7546218484"


@pytest.mark.parametrize("nodes", [1, 3, 5])
def test_commands_commit_and_read_back_on_every_node(start: StartCluster, nodes: int) -> None:
    cluster = start(nodes, **STEADY)
    for number in range(20):
        cluster.committed(f"key-{number % 7}", str(number))
    assert cluster.value_of("key-6") == "13"
    log = cluster.all_agree()
    set_by_us = [entry.command["value"] for entry in log if entry.command["op"] == "set"]
    assert set_by_us == [str(number) for number in range(20)]
    for node in cluster.nodes:
        assert cluster.log(node) == log


def test_the_state_of_a_cluster_without_commands_is_empty(start: StartCluster) -> None:
    cluster = start(**STEADY)
    cluster.elected_leader()
    log = cluster.all_agree()
    assert [entry.command for entry in log] == [{"op": "noop"}] * len(log)
    empty = hashlib.sha256(bytes(16)).hexdigest()
    assert {node.state_hash for node in cluster.status().values()} == {empty}


def test_unusual_keys_give_the_same_state_in_every_contender(start: StartCluster) -> None:
    cluster = start(**STEADY)
    values = {key: f"{number} 😀 \u0000" if number else "" for number, key in enumerate(KEYS)}
    serials = itertools.count(1)
    for key, value in values.items():
        cluster.insist(set_(key, value), {"client": "ä", "serial": next(serials)})
    for key, value in values.items():
        assert cluster.insist(get(key), {"client": "ä", "serial": next(serials)}) == value
    cluster.all_agree()
    assert {node.state_hash for node in cluster.status().values()} == {STATE_OF_KEYS}


@pytest.mark.parametrize(
    ("before", "command", "result", "after"),
    [
        pytest.param(None, set_("k", "1"), None, "1", id="set creates"),
        pytest.param("1", set_("k", "2"), None, "2", id="set replaces"),
        pytest.param(None, get("k"), None, None, id="get of nothing"),
        pytest.param("1", get("k"), "1", "1", id="get"),
        pytest.param("", get("k"), "", "", id="get of an empty value"),
        pytest.param("1", cas("k", "1", "2"), True, "2", id="cas as expected"),
        pytest.param("1", cas("k", "0", "2"), False, "1", id="cas unexpected"),
        pytest.param("1", cas("k", "1", "1"), True, "1", id="cas to the same"),
        pytest.param(None, cas("k", None, "1"), True, "1", id="cas creates"),
        pytest.param("1", cas("k", None, "2"), False, "1", id="cas finds something"),
        pytest.param(None, cas("k", "", "1"), False, None, id="cas: nothing is not empty"),
        pytest.param("", cas("k", None, "1"), False, "", id="cas: empty is not nothing"),
    ],
)
def test_what_commands_do(
    start: StartCluster, before: str | None, command: dict[str, Any], result: Any, after: Any
) -> None:
    cluster = start(1, **LIVELY)
    if before is not None:
        cluster.committed("k", before)
    told = cluster.result_of(command)
    assert told == result
    assert type(told) is type(result)
    assert cluster.value_of("k") == after


def test_the_answer_says_where_the_command_is_in_the_log(start: StartCluster) -> None:
    cluster = start(**STEADY)
    commands = [set_("k", "1"), cas("k", None, "2"), cas("k", "1", "2"), get("k")]

    def submit(leader: int) -> list[Submitted]:
        return [cluster.submit(command, node=leader) for command in commands]

    answers = cluster.undisturbed(submit)
    log = cluster.all_agree()
    for command, answer in zip(commands, answers, strict=True):
        entry = log[answer.index - 1]
        assert (entry.index, entry.term, entry.command) == (answer.index, answer.term, command)


def test_the_log_shows_the_session_of_a_command(start: StartCluster) -> None:
    cluster = start(1, **LIVELY)
    cluster.elected_leader()
    cluster.submit(set_("k", "v"), client="éva", serial=7)
    assert cluster.log(1)[-1].command == {**set_("k", "v"), "client": "éva", "serial": 7}


@pytest.mark.deployed
def test_many_commands_at_once_are_each_applied_once(start: StartCluster) -> None:
    cluster = start(**STEADY)
    leader = cluster.elected_leader()
    commands = [set_(f"key-{n}", str(n)) for n in range(500)]
    with ThreadPoolExecutor(50) as pool:
        sessions = [{"client": f"client-{n}", "serial": 1} for n in range(len(commands))]
        results = list(pool.map(cluster.insist, commands, sessions))
    assert results == [None] * len(commands)
    log = cluster.all_agree()
    clients = {entry.command["client"] for entry in log if "client" in entry.command}
    assert clients == {f"client-{n}" for n in range(len(commands))}
    assert cluster.status()[leader].alive


def test_the_largest_key_and_value_are_replicated(start: StartCluster) -> None:
    cluster = start(**STEADY)
    key, value = "k" * 2**16, "é" * 2**18
    cluster.committed(key, value)
    assert cluster.value_of(key) == value
    cluster.all_agree()


# The log in pages


def page(cluster: ClusterUnderTest, **limits: int) -> tuple[list[int], int]:
    """Return the indices on a page of node 1's log, and the log's last index."""
    answer = read(LogPage, cluster.contender.call("log", node=1, **limits))
    return [entry.index for entry in answer.entries], answer.last_index


def test_a_part_of_the_log_can_be_read(start: StartCluster) -> None:
    cluster = start(1, **LIVELY)
    cluster.elected_leader()
    for number in range(8):
        cluster.submit(set_("k", str(number)))
    assert page(cluster) == ([1, 2, 3, 4, 5, 6, 7, 8, 9], 9)
    assert page(cluster, **{"from": 8}) == ([8, 9], 9)
    assert page(cluster, to=2) == ([1, 2], 9)
    assert page(cluster, **{"from": 3, "to": 3}) == ([3], 9)
    assert page(cluster, **{"from": 8, "to": 1000}) == ([8, 9], 9)
    assert page(cluster, **{"from": 10}) == ([], 9)
    assert page(cluster, **{"from": 10**9, "to": 2 * 10**9}) == ([], 9)


@pytest.mark.needs("columns")
def test_a_log_is_the_same_by_columns(start: StartCluster) -> None:
    cluster = start(1, **LIVELY)
    cluster.elected_leader()
    for serial in (1, 2, 3):
        cluster.submit(set_("ä" * serial, "x"), client="c", serial=serial)
    cluster.submit(cas("k", None, "y"))
    cluster.submit(get("k"))
    entries = cluster.log(1)
    for first, last in ((1, 6), (1, 2), (3, 5), (6, 6), (7, 9)):
        limits = {"from": first, "to": last, "columns": True}
        told = read(LogColumns, cluster.contender.call("log", node=1, **limits))
        assert (told.first_index, told.last_index, told.commit_index) == (first, 6, 6)
        columns = {name: column.spread(told.count) for name, column in told.columns.items()}
        shown = [
            {"key": "", "value": None, "expect": None, "client": None, "serial": 0}
            | {"term": entry.term, **entry.command}
            for entry in entries[first - 1 : last]
        ]
        names = ["term", "op", "key", "value", "expect", "client", "serial"]
        assert sorted(columns) == sorted(names)
        assert columns == {name: [each[name] for each in shown] for name in names}


def test_a_page_has_at_most_5000_entries(start: StartCluster) -> None:
    cluster = start(1, **LIVELY)
    cluster.elected_leader()
    answers = [
        cluster.contender.send("submit", command=set_("k", str(n)), timeout_ms=60_000)
        for n in range(5500)
    ]
    for answer in answers:
        answer.result(DEADLINE_S)
    assert page(cluster) == (list(range(1, 5001)), 5501)
    assert page(cluster, **{"from": 5001}) == (list(range(5001, 5502)), 5501)
    assert page(cluster, **{"from": 400}) == (list(range(400, 5400)), 5501)
    assert [entry.index for entry in cluster.log(1)] == list(range(1, 5502))
