"""Complexity of a function, by one definition for every language that has a skeleton.

A function includes those within it.
"""

from __future__ import annotations

from collections.abc import Iterable

from raftmark.bench.codemetrics.skeleton import Node

_IFS = frozenset({"if", "if-error"})
_ELIFS = frozenset({"elif", "elif-error"})
_COMPREHENDS = frozenset({"each", "filter"})
_DECIDES = (
    _IFS
    | _ELIFS
    | _COMPREHENDS
    | {"loop", "case", "guard", "catch", "conditional", "sequence", "operator"}
)
_NESTS = _IFS | {"loop", "choice", "catch", "conditional"}
_ADDS_ONE = _ELIFS | _COMPREHENDS | {"else", "sequence", "jump", "recursion"}
_DEEPENS = _NESTS | _ELIFS | {"else", "function"}
_ERROR_CHECKS = frozenset({"if-error", "elif-error"})


def cyclomatic(nodes: Iterable[Node]) -> int:
    """Count the independent paths: decisions + 1.

    McCabe, "A Complexity Measure", IEEE Transactions on Software Engineering, 1976, with the
    operators of conditions counted too, as he proposes there.
    """
    return 1 + _count(nodes, _DECIDES)


def error_checks(nodes: Iterable[Node]) -> int:
    """Count the decisions that are Go's `if err != nil`, which its idiom asks for."""
    return _count(nodes, _ERROR_CHECKS)


def cognitive(nodes: Iterable[Node], nesting: int = 0) -> int:
    """Count what makes code hard to follow: breaks of the flow, the more the deeper they nest.

    Campbell, "Cognitive Complexity", SonarSource, 2018 (version 1.4). What it leaves open is
    settled as the tools for Python do: each `for` and `if` of a comprehension adds one.
    """
    total = 0
    for kind, children in nodes:
        if kind in _NESTS:
            total += 1 + nesting
        elif kind in _ADDS_ONE:
            total += 1
        total += cognitive(children, nesting + (kind in _DEEPENS))
    return total


def _count(nodes: Iterable[Node], kinds: frozenset[str]) -> int:
    return sum((kind in kinds) + _count(children, kinds) for kind, children in nodes)
