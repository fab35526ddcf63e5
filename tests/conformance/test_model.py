"""The suite's own reference: hashes written out by hand, so that the model is no mere opinion."""

from __future__ import annotations

import hashlib

from .cluster import cas, get, set_
from .messages import LogEntry
from .model import Store, log_hash

NULL = b"\xff\xff\xff\xff"
ZERO, ONE, TWO = (number.to_bytes(8, "little") for number in (0, 1, 2))


def entries(*commands: dict[str, object]) -> list[LogEntry]:
    return [LogEntry(index, 1, command) for index, command in enumerate(commands, 1)]


def test_the_empty_store_hashes_two_zero_counts() -> None:
    assert Store().hash() == hashlib.sha256(ZERO + ZERO).hexdigest()


def test_keys_and_sessions_are_hashed_in_the_order_of_their_bytes() -> None:
    log = entries(
        {"op": "noop"},
        {**set_("é", "2"), "client": "c", "serial": 2},
        set_("b", ""),
    )
    expected = (
        TWO
        + (b"\1\0\0\0b" + b"\0\0\0\0")
        + (b"\2\0\0\0\xc3\xa9" + b"\1\0\0\x002")
        + ONE
        + (b"\1\0\0\0c" + TWO)
    )
    assert Store(log).hash() == hashlib.sha256(expected).hexdigest()


def test_every_field_of_a_command_is_hashed() -> None:
    log = [
        LogEntry(1, 1, {"op": "noop"}),
        LogEntry(2, 2, {**cas("k", None, "v"), "client": "c", "serial": 1}),
        LogEntry(3, 2, get("k")),
    ]
    expected = (
        (ONE + b"\4\0\0\0noop" + b"\0\0\0\0" + NULL * 3 + ZERO)
        + (TWO + b"\3\0\0\0cas" + b"\1\0\0\0k" + b"\1\0\0\0v" + NULL + b"\1\0\0\0c" + ONE)
        + (TWO + b"\3\0\0\0get" + b"\1\0\0\0k" + NULL * 3 + ZERO)
    )
    assert log_hash(log) == hashlib.sha256(expected).hexdigest()


def test_a_serial_is_applied_once_and_a_lower_one_never() -> None:
    store = Store(
        entries(
            {**set_("k", "first"), "client": "c", "serial": 2},
            {**set_("k", "again"), "client": "c", "serial": 2},
            {**set_("k", "lower"), "client": "c", "serial": 1},
        )
    )
    assert store.values == {"k": "first"}
    assert store.sessions == {"c": 2}


def test_compare_and_set_needs_the_expected_value() -> None:
    store = Store(entries(cas("k", "0", "no"), cas("k", None, "1"), cas("k", "1", "2")))
    assert store.values == {"k": "2"}
