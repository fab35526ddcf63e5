"""What clients asked and were answered, for the checker in go_reference/linearizability."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec


class Operation(msgspec.Struct, frozen=True):
    """An operation of a client; `return_ns` is None where its outcome is unknown."""

    client: int
    op: str
    key: str
    value: str | None
    expect: str | None
    call_ns: int
    return_ns: int | None
    result: Any


class History:
    """The operations of many clients, in the order in which they ended.

    Commands that certainly had no effect are not in it, nor are reads without an answer: both
    fit into any history.
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._clients = itertools.count()

    def new_client(self) -> int:
        """Return the number of a client that has asked nothing yet.

        One whose operation stays pending cannot begin another, so it goes on as a new one.
        """
        return next(self._clients)

    def note(
        self,
        client: int,
        asked: dict[str, Any],
        call_ns: int,
        return_ns: int | None = None,
        result: Any = None,
    ) -> None:
        """Note an operation that was answered, or a command that may yet take effect."""
        op, key, value, expect = (asked.get(name) for name in ("op", "key", "value", "expect"))
        assert op is not None
        assert key is not None
        self.operations.append(
            Operation(client, op, key, value, expect, call_ns, return_ns, result)
        )

    @property
    def answered(self) -> int:
        """The operations with a known outcome."""
        return sum(operation.return_ns is not None for operation in self.operations)

    def write(self, path: Path) -> None:
        """Write the history as the checker reads it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.Encoder().encode_lines(self.operations))
