"""What a request may hold: whatever comes, a checked value or a BadRequest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from raftmark.raft import Command
from raftmark.raft.errors import BadRequest
from raftmark.raft.host import requests
from raftmark.raft.host.requests import MILLISECOND, REQUIRED, Check

NODES = (1, 2, 3)

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["set", "get", "cas", "memory", "\ud800", 2**53, -1, 0, 1, 3]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["op", "key", "value", "expect", "x"]) | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)

CHECKS: dict[str, Check] = {
    "integer": requests.integer(0, 9),
    "number": requests.number(0.5, 9),
    "duration": requests.duration_ns(0.5, 9, MILLISECOND),
    "range": requests.range_ns(0, 9),
    "string": requests.string(4, min_bytes=1),
    "choice": requests.choice("memory", "disk"),
    "nullable": requests.nullable(requests.string(4)),
    "mapping": requests.mapping,
    "boolean": requests.boolean,
    "node": requests.node_of(NODES),
    "groups": requests.groups_of(NODES),
    "ways": requests.ways_of(NODES),
    "command": requests.command,
}


def parsed(line: bytes) -> dict[str, Any] | None:
    """The line's object, None if it was refused."""
    try:
        return requests.parse(line)
    except BadRequest:
        return None


@given(st.binary(max_size=200) | st.text(max_size=50).map(lambda text: text.encode()))
@example(b"\xff")
@example(b"\xef\xbb\xbf{}")
@example(b"\x00{}")
@example(b'{"id": NaN}')
@example(b'{"id": -Infinity}')
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"id": ' + b"9" * 5000 + b"}")
@example(b"1e400")
def test_any_bytes_are_an_object_or_a_bad_request(line: bytes) -> None:
    result = parsed(line)
    assert result is None or isinstance(result, dict)
    assert requests.id_of(line) is None or line.lstrip().startswith(b"{")


@given(anything)
def test_any_json_is_an_object_or_a_bad_request(value: Any) -> None:
    line = json.dumps(value).encode()
    result = parsed(line)
    assert result is None or json.dumps(result).encode() == line
    assert (result is not None) is isinstance(value, dict)


@pytest.mark.parametrize(
    ("line", "request_id"),
    [
        (b'{"id": 7, "op": "a", "op": "b"}', 7),
        (b'{"op": {"x": 1, "x": 1}, "id": 7}', 7),
        (b'{"id": 7, "seed": ' + b"9" * 5000 + b"}", 7),
        (b'{"x": ' + b'[{"]": ' * 5000 + b"1" + b"}]" * 5000 + b', "id": 7}', 7),
        (b'{"id": -0, "op": 1, "op": 1}', 0),
        (b'{"id": 7, "id": 7}', None),
        (b'{"id": 7, "\\u0069d": 7}', None),
        (b'{"x": {"id": 7}, "x": 1}', None),
        (b'[["id", 7]]', None),
        (b'{"id": 1' + b"0" * 5000 + b"}", None),
        (b'{"id": 7, "x": ' + b"[" * 5000 + b"}", None),
        (b'{"id": 7, "x": ' + b"[" * 5000 + b'"' + b"]" * 5000 + b"}", None),
        (b'{"id": 7, "op": "a", "op": "\xff"}', None),
        (b'{"id": 7', None),
    ],
)
def test_a_line_that_is_refused_keeps_its_one_valid_id(line: bytes, request_id: int | None) -> None:
    assert parsed(line) is None
    assert requests.id_of(line) == request_id


@pytest.mark.parametrize("name", CHECKS)
@given(value=anything)
def test_any_value_is_checked_or_a_bad_request(name: str, value: Any) -> None:
    message = ""
    try:
        CHECKS[name]("field", value)
    except BadRequest as error:
        message = str(error)
    assert message.isprintable() or not message


@pytest.mark.parametrize(
    ("name", "value", "checked"),
    [
        ("integer", 0, 0),
        ("integer", 9, 9),
        ("number", 0.5, 0.5),
        ("number", 9, 9.0),
        ("duration", 1.5, 1_500_000),
        ("range", [0, 0.25], (0, 250_000)),
        ("range", [3, 3], (3_000_000, 3_000_000)),
        ("string", "öö", "öö"),
        ("choice", "disk", "disk"),
        ("nullable", None, None),
        ("mapping", {"a": 1}, {"a": 1}),
        ("boolean", True, True),
        ("boolean", False, False),
        ("node", 3, 3),
        ("groups", [[1, 3], [2]], [[1, 3], [2]]),
        ("groups", [], []),
        ("ways", [[1, 3], [3, 1]], [(1, 3), (3, 1)]),
        ("ways", [], []),
        ("command", {"op": "set", "key": "", "value": ""}, Command("set", "", "")),
        ("command", {"op": "get", "key": "k"}, Command("get", "k")),
        (
            "command",
            {"op": "cas", "key": "k", "expect": None, "value": "v"},
            Command("cas", "k", "v", None),
        ),
    ],
)
def test_what_is_allowed(name: str, value: Any, checked: Any) -> None:
    assert CHECKS[name]("field", value) == checked


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("integer", True),
        ("integer", 1.0),
        ("integer", -1),
        ("integer", 10),
        ("integer", "1"),
        ("integer", None),
        ("number", False),
        ("number", 0.49),
        ("number", float("inf")),
        ("number", 10**400),
        ("number", "1"),
        ("range", [1]),
        ("range", [1, 2, 3]),
        ("range", [2, 1]),
        ("range", [0, 10]),
        ("range", 1),
        ("range", [None, 1]),
        ("string", ""),
        ("string", "ööö"),
        ("string", "\ud800"),
        ("string", 1),
        ("string", None),
        ("choice", "Memory"),
        ("choice", ["memory"]),
        ("mapping", []),
        ("node", 0),
        ("node", 4),
        ("node", True),
        ("node", 1.0),
        ("node", None),
        ("node", [1]),
        ("groups", [1, 2]),
        ("groups", [[1], [1]]),
        ("groups", [[1, 1]]),
        ("groups", [[4]]),
        ("groups", {}),
        ("boolean", 1),
        ("boolean", "true"),
        ("boolean", None),
        ("ways", [1, 2]),
        ("ways", [[1]]),
        ("ways", [[1, 2, 3]]),
        ("ways", [[2, 2]]),
        ("ways", [[1, 4]]),
        ("ways", {}),
        ("command", "set"),
        ("command", {}),
        ("command", {"op": "noop"}),
        ("command", {"op": "delete", "key": "k"}),
        ("command", {"op": ["set"], "key": "k", "value": "v"}),
        ("command", {"op": "set", "key": "k"}),
        ("command", {"op": "set", "key": "k", "value": None}),
        ("command", {"op": "set", "key": "k", "value": "v", "expect": None}),
        ("command", {"op": "get", "key": "k", "value": "v"}),
        ("command", {"op": "get", "key": "k", "client": "c", "serial": 1}),
        ("command", {"op": "cas", "key": "k", "value": "v"}),
        ("command", {"op": "set", "key": "k" * 65_537, "value": "v"}),
        ("command", {"op": "set", "key": "k", "value": "v" * 524_289}),
    ],
)
def test_what_is_refused(name: str, value: Any) -> None:
    with pytest.raises(BadRequest):
        CHECKS[name]("field", value)


def test_read_takes_defaults_and_refuses_what_is_unknown_or_missing() -> None:
    known = {"a": (requests.integer(0, 9), REQUIRED), "b": (requests.integer(0, 9), None)}
    assert requests.read({"a": 1}, known) == {"a": 1, "b": None}
    assert requests.read({"a": 1, "b": 2}, known) == {"a": 1, "b": 2}
    with pytest.raises(BadRequest, match="unknown field 'c'"):
        requests.read({"a": 1, "c": 1}, known)
    with pytest.raises(BadRequest, match="missing field 'a'"):
        requests.read({"b": 2}, known)
    with pytest.raises(BadRequest, match="b must be an integer from 0 to 9"):
        requests.read({"a": 1, "b": None}, known)
