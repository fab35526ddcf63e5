"""What a request may hold: each field of docs/protocol.md checked, so that ops need not."""

import json
import re
from collections.abc import Callable, Collection
from typing import Any, TypeAlias

from raftmark.raft.errors import BadRequest
from raftmark.raft.messages import MAX_KEY_BYTES, MAX_VALUE_BYTES, Command

Check: TypeAlias = Callable[[str, Any], Any]

REQUIRED = object()
MAX_PATH_BYTES = 4096
MAX_DEPTH = 100
MILLISECOND = 1_000_000
SECOND = 1_000_000_000


def parse(line: bytes) -> dict[str, Any]:
    """A line's JSON object. BadRequest for anything else."""
    try:
        request = json.loads(
            line.decode("utf-8"),
            parse_constant=_refuse_constant,
            object_pairs_hook=_refuse_repetition,
        )
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"not a line of JSON: {error}") from error
    if not isinstance(request, dict):
        raise BadRequest("a request is a JSON object")
    return request


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _refuse_repetition(members: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(members)
    if len(named) < len(members):
        raise ValueError("a name comes twice in one object")
    return named


class _Members(list[tuple[str, Any]]):
    """An object's names and values, repeated ones too."""


def id_of(line: bytes) -> int | None:
    """The one valid id of a line that `parse` refuses and that is a JSON object all the same.

    Its names may be repeated, its numbers of any length, and it may be nested to any depth.
    """
    try:
        members = json.loads(
            _shallow(line.decode("utf-8")),
            # More digits than these are out of every range.
            parse_int=lambda digits: int(digits[:20]),
            parse_constant=_refuse_constant,
            object_pairs_hook=_Members,
        )
    except ValueError:
        return None
    if not isinstance(members, _Members):
        return None
    ids = [value for name, value in members if name == "id"]
    try:
        return request_id("id", ids[0]) if len(ids) == 1 else None
    except BadRequest:
        return None


_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def _shallow(text: str) -> str:
    """The text without what is nested too deep for a parser that calls itself."""
    kept, start, depth = [], 0, 0
    for token in _BRACKETS.finditer(text):
        if token[0] in "[{":
            if depth == MAX_DEPTH:
                kept.append(text[start : token.end()])
            depth += 1
        elif token[0] in "]}":
            depth -= 1
            if depth == MAX_DEPTH:
                start = token.start()
    return "".join(kept) + (text[start:] if depth <= MAX_DEPTH else "")


def read(fields: dict[str, Any], known: dict[str, tuple[Check, Any]]) -> dict[str, Any]:
    """The checked values of all `known` fields; BadRequest for unknown, missing, wrong ones.

    `known` has for each field its check and its default, `REQUIRED` where there is none.
    """
    for name in fields:
        if name not in known:
            raise BadRequest(f"unknown field {name!r}")
    values = {}
    for name, (check, default) in known.items():
        if name in fields:
            values[name] = check(name, fields[name])
        elif default is REQUIRED:
            raise BadRequest(f"missing field {name!r}")
        else:
            values[name] = default
    return values


def integer(low: int, high: int) -> Check:
    """An integer in a range; true and false are none."""

    def check(name: str, value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise BadRequest(f"{name} must be an integer from {low} to {high}")
        return value

    return check


request_id = integer(0, 2**53 - 1)


def number(low: float, high: float) -> Check:
    """A number in a range."""

    def check(name: str, value: Any) -> float:
        if type(value) not in (int, float) or not low <= value <= high:
            raise BadRequest(f"{name} must be a number from {low} to {high}")
        return float(value)

    return check


def duration_ns(low: float, high: float, unit_ns: int) -> Check:
    """A number of milliseconds or seconds, as nanoseconds."""
    in_range = number(low, high)
    return lambda name, value: round(in_range(name, value) * unit_ns)


def range_ns(low: float, high: float) -> Check:
    """A pair [lo, hi] of milliseconds with lo ≤ hi, as nanoseconds."""
    in_range = duration_ns(low, high, MILLISECOND)

    def check(name: str, value: Any) -> tuple[int, int]:
        if not isinstance(value, list) or len(value) != 2:
            raise BadRequest(f"{name} must be a pair [lo, hi]")
        first, second = (in_range(name, v) for v in value)
        if first > second:
            raise BadRequest(f"{name} must have lo ≤ hi")
        return first, second

    return check


def string(max_bytes: int, min_bytes: int = 0) -> Check:
    """A string of whole Unicode characters, its length in bytes of UTF-8 in a range."""

    def check(name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise BadRequest(f"{name} must be a string")
        try:
            size = len(value.encode())
        except UnicodeEncodeError as error:
            raise BadRequest(f"{name} must hold whole Unicode characters") from error
        if not min_bytes <= size <= max_bytes:
            raise BadRequest(f"{name} must have {min_bytes} to {max_bytes} bytes")
        return value

    return check


def path(name: str, value: Any) -> str:
    """A path: a string that no system call refuses for its form."""
    text: str = string(MAX_PATH_BYTES, min_bytes=1)(name, value)
    if "\0" in text:
        raise BadRequest(f"{name} must not contain a NUL character")
    return text


def choice(*options: str) -> Check:
    """One of a few strings."""

    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in options:
            raise BadRequest(f"{name} must be one of: {', '.join(options)}")
        return value

    return check


def nullable(inner: Check) -> Check:
    """The same, or null."""
    return lambda name, value: None if value is None else inner(name, value)


def mapping(name: str, value: Any) -> dict[str, Any]:
    """An object."""
    if not isinstance(value, dict):
        raise BadRequest(f"{name} must be an object")
    return value


def boolean(name: str, value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise BadRequest(f"{name} must be true or false")
    return value


def node_of(nodes: Collection[int]) -> Check:
    """A node of the running cluster."""

    def check(name: str, value: Any) -> int:
        if type(value) is not int or value not in nodes:
            raise BadRequest(f"{name}: there is no node {value!r:.40}")
        return value

    return check


def groups_of(nodes: Collection[int]) -> Check:
    """Lists of nodes, each node at most once."""
    node = node_of(nodes)

    def check(name: str, value: Any) -> list[list[int]]:
        if not isinstance(value, list) or not all(isinstance(group, list) for group in value):
            raise BadRequest(f"{name} must be a list of lists of nodes")
        groups = [[node(name, member) for member in group] for group in value]
        members = [member for group in groups for member in group]
        if len(members) != len(set(members)):
            raise BadRequest(f"{name}: a node is in two groups")
        return groups

    return check


def ways_of(nodes: Collection[int]) -> Check:
    """Pairs [from, to] of two different nodes."""
    node = node_of(nodes)

    def check(name: str, value: Any) -> list[tuple[int, int]]:
        if not isinstance(value, list) or not all(
            isinstance(way, list) and len(way) == 2 for way in value
        ):
            raise BadRequest(f"{name} must be a list of pairs [from, to] of nodes")
        ways = [(node(name, sender), node(name, to)) for sender, to in value]
        if any(sender == to for sender, to in ways):
            raise BadRequest(f"{name}: no link leads from a node to itself")
        return ways

    return check


_KEY = (string(MAX_KEY_BYTES), REQUIRED)
_VALUE = string(MAX_VALUE_BYTES)
_COMMANDS: dict[str, dict[str, tuple[Check, Any]]] = {
    "set": {"key": _KEY, "value": (_VALUE, REQUIRED)},
    "get": {"key": _KEY},
    "cas": {"key": _KEY, "expect": (nullable(_VALUE), REQUIRED), "value": (_VALUE, REQUIRED)},
}


def command(name: str, value: Any) -> Command:
    """A client's command, without its session."""
    fields = mapping(name, value)
    op = choice(*_COMMANDS)("op", fields.get("op"))
    rest = {key: field for key, field in fields.items() if key != "op"}
    return Command(op, **read(rest, _COMMANDS[op]))
