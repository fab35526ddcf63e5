"""Damage to bytes, and values of any type to damage."""

from __future__ import annotations

import types
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st


class Damage(NamedTuple):
    """Bytes in place of `length` others at `position`, both taken modulo what there is."""

    position: int
    length: int
    bytes: bytes

    def done_to(self, data: bytes) -> bytes:
        start = self.position % (len(data) + 1)
        return data[:start] + self.bytes + data[start + self.length :]


def damages() -> st.SearchStrategy[Damage]:
    """Deletions, insertions, replacements, and stretches of zeros."""
    some = st.binary(max_size=8) | st.integers(0, 64).map(bytes)
    return st.builds(Damage, st.integers(0, 2**16), st.integers(0, 16), some)


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type made of integers, strings, tuples and named tuples."""
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(0, 2**53 - 1)
    if kind is str:
        return st.text(max_size=5) | st.sampled_from(["x" * 40, "ß" * 200])
    if kind is type(None):
        return st.none()
    arguments = get_args(kind)
    if get_origin(kind) in (Union, types.UnionType):
        return st.one_of(*map(values_of, arguments))
    if get_origin(kind) is tuple:
        assert arguments[1:] == (...,), kind
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    fields = {name: values_of(hint) for name, hint in get_type_hints(kind).items()}
    return st.builds(kind, **fields)
