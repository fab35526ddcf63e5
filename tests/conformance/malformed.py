r"""Malformed requests, each by a name that says what is wrong with it.

Whatever JSON writes with a backslash, or `json.dumps` will not write, is spelt out as text, in
which @ stands for a valid id.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from .cluster import cas, get, set_

# A valid id that the suite itself never gets to: replies to it come as unmatched ones.
ID = 2**53 - 1


class Case(NamedTuple):
    """A line of input, and the id that its reply has."""

    line: bytes
    id: int | None


def request(op: Any, /, **fields: Any) -> Case:
    """Make a request."""
    return Case(json.dumps({"id": ID, "op": op, **fields}, ensure_ascii=False).encode(), ID)


def as_text(line: str) -> Case:
    """Make a request of what `json.dumps` would not write."""
    return Case(_bytes(line), ID)


def each(op: str, field: str, values: tuple[Any, ...], /, **others: Any) -> dict[str, Case]:
    """Make a request for each of these values of a field."""
    return {
        f"{op} with {field} {value!r:.60}": request(op, **{field: value}, **others)
        for value in values
    }


def no_request(line: str | bytes) -> Case:
    """Make a line that is not a JSON object with a valid id."""
    return Case(_bytes(line), None)


def _bytes(line: str | bytes) -> bytes:
    return line.replace("@", str(ID)).encode() if isinstance(line, str) else line


NOT_REQUESTS = {
    "nonsense": no_request("nonsense"),
    "half an object": no_request('{"id": @, "op": "hello"'),
    "two objects": no_request('{"id": @, "op": "hello"}{"id": @, "op": "hello"}'),
    "an object and more": no_request('{"id": @, "op": "hello"} x'),
    "single quotes": no_request("{'id': @, 'op': 'hello'}"),
    "a comment": no_request('{"id": @, "op": "hello"} // hi'),
    "a trailing comma": no_request('{"id": @, "op": "hello",}'),
    "a name without quotes": no_request('{id: @, "op": "hello"}'),
    "an empty array": no_request("[]"),
    "an array": no_request('[{"id": @, "op": "hello"}]'),
    "a string": no_request('"hello"'),
    "a number": no_request("1"),
    "null": no_request("null"),
    "true": no_request("true"),
    "an empty object": no_request("{}"),
    "a zero byte": no_request(b"\0"),
    "a byte order mark": no_request(b'\xef\xbb\xbf{"id": 1, "op": "hello"}'),
    "bytes that are no UTF-8": no_request(b"\xff\xfe\x80"),
    "a name that is no UTF-8": no_request(b'{"id": 1, "op": "hello", "\xff": 1}'),
    "a value that is no UTF-8": no_request(b'{"id": 1, "op": "hello", "x": "\xc3"}'),
    "an overlong form of UTF-8": no_request(b'{"id": 1, "op": "\xc0\xaf"}'),
    "a surrogate in UTF-8": no_request(b'{"id": 1, "op": "\xed\xa0\x80"}'),
    "UTF-16": no_request('{"id": 1, "op": "hello"}'.encode("utf-16-le")),
    "a bare tab in a string": no_request('{"id": 1, "op": "he\tllo"}'),
    "a bad escape": no_request(r'{"id": 1, "op": "\x68ello"}'),
    "deep arrays": no_request("[" * 500_000),
    "deep objects": no_request('{"a":' * 100_000),
    "a number of 10000 digits": no_request("9" * 10_000),
}

DEEP = '[{"]": ' * 100_000 + "1" + "}]" * 100_000
DIGITS = "9" * 10_000

# What a parser of JSON may give up at; the line has an id all the same.
HARD_TO_READ = {
    "a name twice": as_text('{"id": @, "op": "hello", "op": "hello"}'),
    "a name twice, once escaped": as_text(r'{"id": @, "op": "hello", "\u006fp": "hello"}'),
    "a name twice within": as_text('{"id": @, "op": "start", "x": {"y": 1, "y": 1}}'),
    "a field twice": as_text('{"id": @, "op": "crash", "node": 1, "node": 1}'),
    "deeply nested": as_text(f'{{"id": @, "op": "hello", "x": {DEEP}}}'),
    "deeply nested, and the id last": as_text(f'{{"op": "hello", "x": {DEEP}, "id": @}}'),
    "deeply nested for an op": as_text(f'{{"id": @, "op": {DEEP}}}'),
    "a seed of 10000 digits": as_text(f'{{"id": @, "op": "start", "seed": {DIGITS}}}'),
    "a field of 10000 digits": as_text(f'{{"id": @, "op": "hello", "x": -{DIGITS}}}'),
    "a number that is too large": as_text('{"id": @, "op": "hello", "x": 1e400}'),
    "half a character": as_text(r'{"id": @, "op": "hello", "x": "\ud800"}'),
    "half a character, the second": as_text(r'{"id": @, "op": "hello", "x": "\udc00"}'),
    "half a character in a name": as_text(r'{"id": @, "op": "hello", "\ud800": 1}'),
    "a zero character": as_text(r'{"id": @, "op": "hello", "\u0000": "\u0000"}'),
    "a key of half a character": as_text(
        r'{"id": @, "op": "submit", "command": {"op": "set", "key": "\ud800", "value": "1"}}'
    ),
}

BAD_IDS = {
    f"id {what}": no_request(f'{{"id": {text}, "op": "hello"}}')
    for what, text in {
        "null": "null",
        "true": "true",
        "a string": '"1"',
        "a fraction": "1.5",
        "an array": "[1]",
        "an object": "{}",
        "negative": "-1",
        "2^53": "9007199254740992",
        "2^64": "18446744073709551616",
        "of 10000 digits": "1" * 10_000,
        "1e999": "1e999",
        "NaN": "NaN",
        "with a leading zero": "01",
        "with an exponent": "1e0",
        "of a fraction of nothing": "1.0",
    }.items()
} | {
    "two ids": no_request('{"id": @, "id": @, "op": "hello"}'),
    "two ids, once escaped": no_request(r'{"id": @, "\u0069d": @, "op": "hello"}'),
    "an id within": no_request('{"x": {"id": @}, "op": "hello"}'),
    "an id in pairs": no_request('[["id", @], ["op", "hello"]]'),
    "no id, deeply nested": no_request(f'{{"op": "hello", "x": {DEEP}}}'),
    "no end, deeply nested": no_request(f'{{"id": @, "op": "hello", "x": {DEEP}'),
    "no id": no_request('{"op": "hello"}'),
    "an event": no_request('{"event": "role", "node": 1}'),
}

BAD_OPS = {
    "no op": as_text('{"id": @}'),
    "op null": request(None),
    "op true": request(True),
    "op a number": request(1),
    "op an array": request(["hello"]),
    "op an object": request({"op": "hello"}),
    "op empty": request(""),
    "op unknown": request("shutdown"),
    "op in capitals": request("HELLO"),
    "op with a space": request("hello "),
    "op of an inner name": request("__init__"),
    "op of an inner handler": request("_start"),
    "op very long": request("x" * 100_000),
    "op of a surrogate": as_text(r'{"id": @, "op": "\ud800"}'),
}

_COMPLETE: dict[str, dict[str, Any]] = {
    "hello": {},
    "start": {},
    "status": {},
    "submit": {"command": set_("k", "changed")},
    "read": {"key": "k"},
    "log": {"node": 1},
    "snapshot": {"node": 1},
    "transfer": {"node": 2},
    "add_server": {"node": 4},
    "remove_server": {"node": 2},
    "crash": {"node": 1},
    "restart": {"node": 1},
    "pause": {"node": 1},
    "resume": {"node": 1},
    "partition": {"groups": [[1]]},
    "heal": {},
    "links": {"drop": 0.5},
    "run": {"workload": {"name": "replicate"}},
    "stop": {},
    "quit": {},
}

UNKNOWN_FIELDS = {
    f"{op} with an unknown field": request(op, **fields, sudo=True)
    for op, fields in _COMPLETE.items()
} | {
    "a field in capitals": request("crash", Node=1),
    "a field in capitals beside the right one": request("crash", node=1, Node=1),
    "a field without a name": request("stop", **{"": 1}),
}

_NO_NODES: tuple[Any, ...] = (0, 10, -1, 2**53, 10**30, True, "1", 1.5, [1], {})

BAD_NODES: dict[str, Case] = {}
for _op in ("log", "snapshot", "crash", "restart", "pause", "resume", "transfer", "remove_server"):
    BAD_NODES |= {f"{_op} of no node": request(_op)}
    BAD_NODES |= each(_op, "node", (*_NO_NODES, None))
BAD_NODES |= {"add_server of no node": request("add_server")}
BAD_NODES |= each("add_server", "node", (0, 10, -1, 10**30, True, "4", 4.5, [4], {}, None))

_NO_TIMEOUTS: tuple[Any, ...] = (0, 0.5, -1, 600_001, 10**30, True, "5000", None, [1])

BAD_TIMEOUTS: dict[str, Case] = {}
for _op, _fields in _COMPLETE.items():
    if _op in ("read", "transfer", "add_server", "remove_server"):
        BAD_TIMEOUTS |= each(_op, "timeout_ms", _NO_TIMEOUTS, **_fields)

_COMMAND = set_("k", "changed")


def submit_as_text(fields: str) -> Case:
    return as_text(f'{{"id": @, "op": "submit", {fields}}}')


BAD_SUBMITS = {
    "submit nothing": request("submit"),
    **each("submit", "command", (None, "set k v", ["set", "k", "v"], {}, True, 1)),
    "submit an unknown op": request("submit", command={"op": "delete", "key": "k"}),
    "submit a no-op": request("submit", command={"op": "noop"}),
    **{
        f"submit {op}": request("submit", command={"op": op, "key": "2"})
        for op in ("add_server", "promote_server", "remove_server")
    },
    "submit op null": request("submit", command={"op": None, "key": "k"}),
    "submit op an array": request("submit", command={"op": ["get"], "key": "k"}),
    "set without key": request("submit", command={"op": "set", "value": "v"}),
    "set without value": request("submit", command={"op": "set", "key": "k"}),
    "set with expect": request("submit", command=_COMMAND | {"expect": "w"}),
    "set with a session inside": request("submit", command=_COMMAND | {"client": "c"}),
    "get without key": request("submit", command={"op": "get"}),
    "get with value": request("submit", command=get("k") | {"value": "v"}),
    "cas without expect": request("submit", command={"op": "cas", "key": "k", "value": "v"}),
    "cas without value": request("submit", command={"op": "cas", "key": "k", "expect": "v"}),
    "cas expecting a number": request("submit", command=cas("k", None, "v") | {"expect": 1}),
    "cas expecting false": request("submit", command=cas("k", None, "v") | {"expect": False}),
    **{
        f"set {field} {value!r}": request("submit", command=_COMMAND | {field: value})
        for field in ("key", "value")
        for value in (None, 1, True, ["k"], {"k": "v"})
    },
    "a key too long": request("submit", command=set_("k" * (2**16 + 1), "v")),
    "a key too long in UTF-8": request("submit", command=get("é" * 2**15 + "k")),
    "a value too long": request("submit", command=set_("k", "v" * (2**19 + 1))),
    "a value too long in UTF-8": request("submit", command=set_("k", "é" * 2**18 + "v")),
    "an expected value too long": request("submit", command=cas("k", "v" * (2**19 + 1), "v")),
    "a surrogate as key": submit_as_text(r'"command": {"op": "get", "key": "\ud800"}'),
    "a surrogate as value": submit_as_text(
        r'"command": {"op": "set", "key": "k", "value": "\udc00x"}'
    ),
    "a surrogate as client": submit_as_text(
        r'"command": {"op": "set", "key": "k", "value": "v"}, "client": "\udfff", "serial": 1'
    ),
    **each("submit", "node", _NO_NODES, command=_COMMAND),
    "serial without client": request("submit", command=_COMMAND, serial=1),
    "client without serial": request("submit", command=_COMMAND, client="c"),
    **each("submit", "client", (1, True, ["c"], {}), command=_COMMAND, serial=1),
    **each(
        "submit",
        "serial",
        (0, -1, 1.5, True, "1", [1], {}, 10**30),
        command=_COMMAND,
        client="c",
    ),
    **each("submit", "timeout_ms", _NO_TIMEOUTS, command=_COMMAND),
    "submit with timeout_ms 1e999": submit_as_text(
        f'"command": {json.dumps(_COMMAND)}, "timeout_ms": 1e999'
    ),
}

BAD_READS = {
    "read nothing": request("read"),
    "read a command": request("read", command=get("k")),
    "read with a session": request("read", key="k", client="c", serial=1),
    **each("read", "key", (None, 1, True, ["k"], {}, "k" * (2**16 + 1), "é" * 2**15 + "k")),
    **each("read", "node", (*_NO_NODES, None), key="k"),
    "read a surrogate": as_text(r'{"id": @, "op": "read", "key": "\ud800"}'),
}

BAD_LOGS = {
    **each("log", "from", ("1", True, 1.5, None, [1], {}), node=1),
    **each("log", "to", ("1", True, 1.5, None, [1], {}), node=1),
    **each("log", "columns", ("1", 1, None, [True], {}), node=1),
}

BAD_PARTITIONS = {
    "partition without groups": request("partition"),
    **each("partition", "groups", (None, 1, "1", True, {}, [1, 2], [[1], 2], [None], ["12"])),
    **each("partition", "groups", ([{"1": 1}], [[0]], [[1, 10]], [[-1]], [["1"]], [[True]])),
    **each("partition", "groups", ([[1.5]], [[None]], [[[1]]], [[1, 1]], [[1], [1]])),
    **each("partition", "groups", ([[1, 2], [3, 2]],)),
    **each("partition", "blocked", (None, 1, "1", True, {}, [1, 2], [[1, 2], 3], [None], ["12"])),
    **each("partition", "blocked", ([[1]], [[1, 2, 3]], [[]], [[1, 1]], [[0, 1]], [[1, 10]])),
    **each("partition", "blocked", ([["1", "2"]], [[True, 2]], [[1.5, 2]], [[1, None]])),
    "partition by groups and blocked": request("partition", groups=[[1]], blocked=[[1, 2]]),
}

BAD_LINKS = {
    **each("links", "drop", (-0.1, 1.1, 10**30, True, "0", None, [0], {})),
    **each("links", "duplicate", (-0.1, 1.1, 10**30, True, "0", None, [0], {})),
    **each("links", "delay_ms", (5, "5", None, True, {}, [], [5], [1, 2, 3], [5, 1], [-1, 5])),
    **each("links", "delay_ms", ([0, 60_001], ["0", "1"], [True, True], [None, None], [[0], [1]])),
    "links half bad": request("links", drop=0.5, duplicate=2),
    "links with drop NaN": no_request('{"id": @, "op": "links", "drop": NaN}'),
    "links with drop -Infinity": no_request('{"id": @, "op": "links", "drop": -Infinity}'),
    "links with delay_ms 1e999": as_text('{"id": @, "op": "links", "delay_ms": [0, 1e999]}'),
}


def _workloads(name: str, field: str, values: tuple[Any, ...]) -> dict[str, Case]:
    return {
        f"run {name} with {field} {value!r}": request("run", workload={"name": name, field: value})
        for value in values
    }


BAD_RUNS = {
    "run nothing": request("run"),
    **each("run", "workload", (None, "replicate", ["replicate"], {}, True, 1)),
    **each("run", "workload", ({"name": None}, {"name": ["replicate"]}, {"name": "sleep"})),
    "run with a field beside the workload": request(
        "run", workload={"name": "replicate"}, outstanding=1
    ),
    **_workloads("replicate", "sudo", (True,)),
    **_workloads("replicate", "elections", (10,)),
    **_workloads("election", "outstanding", (10,)),
    **_workloads("replicate", "outstanding", (0, -1, 4097, 10**30, 1.5, True, "64", None, [64])),
    **_workloads("replicate", "warmup_s", (-1, 3601, True, "1", None, [1])),
    **_workloads("replicate", "duration_s", (0, 0.0009, -1, 3601, True, "1", None, [1])),
    **_workloads("replicate", "slice_ms", (0, 0.9, -1, 1001, True, "5", None, [5])),
    **_workloads("election", "elections", (0, -1, 100_001, 1.5, True, "10", None)),
    **_workloads("election", "lagging", (-1, 5, 1.5, True, "1", None, [1])),
    **_workloads("election", "cap_s", (0, 0.0009, -1, 3601, True, "30", None, [30])),
    **_workloads("offered", "outstanding", (64,)),
    **_workloads("offered", "rate", (0, 0.5, -1, 10_000_001, 10**30, True, "1000", None, [1000])),
    **_workloads("offered", "sessions", (0, -1, 4097, 1.5, True, "64", None)),
    **_workloads("offered", "limit", (0, -1, 1_000_001, 1.5, True, "64", None)),
    **_workloads("offered", "warmup_s", (-1, 3601, True, "1", None)),
    **_workloads("offered", "duration_s", (0, 0.0009, -1, 3601, True, "1", None)),
    **_workloads("failover", "duration_s", (1,)),
    **_workloads("failover", "outstanding", (0, -1, 4097, 1.5, True, "16", None)),
    **_workloads("failover", "before_s", (0, 0.09, -1, 3601, True, "1", None)),
    **_workloads("failover", "after_s", (0, 0.09, -1, 3601, True, "1", None)),
    **_workloads("catch_up", "outstanding", (64,)),
    **_workloads("catch_up", "entries", (0, -1, 1_000_001, 1.5, True, "100", None)),
    **_workloads("catch_up", "by", ("", "Entries", "log", 1, True, None, ["entries"])),
    **_workloads("catch_up", "cap_s", (0, 0.0009, -1, 3601, True, "30", None)),
    **_workloads("stability", "sudo", (True,)),
    **_workloads("stability", "outstanding", (-1, 4097, 1.5, True, "0", None)),
    **_workloads("stability", "duration_s", (0, 0.09, -1, 3601, True, "1", None)),
    **{
        name: case
        for workload in ("replicate", "offered", "failover", "catch_up", "stability")
        for name, case in {
            **_workloads(workload, "payload", (-1, 65537, 1.5, True, "64", None)),
            **_workloads(workload, "keys", (0, 1_000_001, 1.5, True, "64", None)),
            **_workloads(workload, "session", ("", "s" * 65, "é" * 33, 1, True, None, ["s"])),
        }.items()
    },
    "run replicate with duration_s 1e999": as_text(
        '{"id": @, "op": "run", "workload": {"name": "replicate", "duration_s": 1e999}}'
    ),
    "run offered with rate 1e999": as_text(
        '{"id": @, "op": "run", "workload": {"name": "offered", "rate": 1e999}}'
    ),
}

# These are also put to a contender without a cluster, where nothing else would refuse them.
BAD_STARTS = {
    **each("start", "nodes", (0, -1, 10, 10**30, 1.5, True, "3", None, [3], {})),
    **each("start", "election_timeout_ms", (150, "150", None, True, {}, [], [150], [1, 2, 3])),
    **each("start", "election_timeout_ms", ([300, 150], [0, 10], [0.5, 10], [-5, 10], [1, 60_001])),
    **each("start", "election_timeout_ms", ([True, True], ["150", "300"], [None, None])),
    **each("start", "heartbeat_ms", (0, 0.4, -1, 60_001, 10**30, True, "50", None, [50], {})),
    **each("start", "storage", ("tape", "", "Memory", None, 1, True, ["memory"])),
    **each("start", "transport", ("pigeon", "", None, 1, True)),
    **each("start", "seed", (-1, 2**63, 10**30, 1.5, True, "0", None, [0])),
    **each("start", "pre_vote", (1, 0, "true", None, [True], {})),
    **each("start", "check_quorum", (1, 0, "true", None, [True], {})),
    **each("start", "snapshot_entries", (-1, 2**53, 10**30, 1.5, True, "16384", None, [1], {})),
    "start on disk without data_dir": request("start", storage="disk"),
    **each("start", "data_dir", (None, 1, True, ["data"], {}), storage="disk"),
    "start with an unknown field": request("start", node=3),
    "start with heartbeat_ms NaN": no_request('{"id": @, "op": "start", "heartbeat_ms": NaN}'),
    "start with election_timeout_ms 1e999": as_text(
        '{"id": @, "op": "start", "election_timeout_ms": [1, 1e999]}'
    ),
}

# Wrong whether a cluster runs or not.
ALWAYS_WRONG = {
    **NOT_REQUESTS,
    **HARD_TO_READ,
    **BAD_IDS,
    **BAD_OPS,
    **UNKNOWN_FIELDS,
    **BAD_NODES,
    **BAD_TIMEOUTS,
    **BAD_SUBMITS,
    **BAD_READS,
    **BAD_LOGS,
    **BAD_PARTITIONS,
    **BAD_LINKS,
    **BAD_RUNS,
    **BAD_STARTS,
}

# Wrong because of the cluster of nodes 1 to 3 that runs.
CASES = {
    **ALWAYS_WRONG,
    "start twice": request("start"),
    "start twice, with other nodes": request("start", nodes=5),
    "a partition with no such node": request("partition", groups=[[1, 4]]),
    "blocked to no such node": request("partition", blocked=[[1, 4]]),
    "submit to no such node": request("submit", command=_COMMAND, node=4),
    "read of no such node": request("read", key="k", node=4),
    **{
        f"{op} of no such node": request(op, node=4)
        for op in ("log", "snapshot", "crash", "restart", "pause", "resume", "transfer")
    },
    "remove_server of no such node": request("remove_server", node=4),
    **each("add_server", "node", (1, 3)),
    **_workloads("election", "lagging", (2, 4)),
}
