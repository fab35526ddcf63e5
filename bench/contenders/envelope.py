"""A line that a contender printed, decoded within bounds, whatever it holds."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

# The deepest legal reply has four: a result's elections, and the nodes that lagged in each.
_DEEPEST = 32
TOO_DEEP = f"nested too deeply: more than {_DEEPEST} levels"

T = TypeVar("T")


class Envelope(msgspec.Struct):
    """A reply or an event; what a reply carries is decoded by its request."""

    id: int | None = None
    ok: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    event: str | msgspec.UnsetType = msgspec.UNSET


class _Error(msgspec.Struct):
    code: str
    message: str


decode_envelope = msgspec.json.Decoder(Envelope).decode


def decode_error(encoded: msgspec.Raw) -> tuple[str, str, dict[str, Any]]:
    """Return an error's code, its message, and what the code adds."""
    error = msgspec.json.decode(encoded, type=_Error)
    extra = msgspec.json.decode(encoded, type=dict[str, Any])
    del extra["code"], extra["message"]
    return error.code, error.message, extra


def bounded(message: T) -> T:
    """Return what was decoded. Raises `ValueError` where it is nested too deeply.

    What is read into a type is as deep as that; what is not has to be looked at.
    """
    level: list[Any] = [message] if isinstance(message, dict) else []
    for _ in range(_DEEPEST):
        if not level:
            return message
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    raise ValueError(TOO_DEEP)
