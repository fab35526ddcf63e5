"""What is read of a source file: the common form, on which all languages are counted alike.

Python and Go are read by their own parsers (`python`, `go`), into trees of the same few kinds of
nodes. Everything that is said of complexity and vocabulary is said of these, once for both.

| kind | Python | Go |
|---|---|---|
| `if`, `elif`, `else` | the same | `if`, `else if`, `else` |
| `if-error`, `elif-error` | none | the same where the condition is `err != nil` |
| `loop` | `for`, `while`, `async for` | `for` |
| `choice` | `match` | `switch`, `select` |
| `case` | `case`, a guard being a decision of its own | `case` |
| `default` | a `case` that matches anything | `default` |
| `guard` | the `if` of a `case` | none |
| `catch` | `except` | none |
| `conditional` | `a if b else c` | none |
| `each`, `filter` | a comprehension's `for`, its `if` | none |
| `sequence`, `operator` | `and`, `or`: the first of a kind in a row, the next | `&&`, `||` |
| `jump` | none | `goto`, `break` and `continue` to a label |
| `function` | a function or lambda within another | a function literal |
| `decorator` | a function that does no more than define another and return it | none |
| `recursion` | the function calls itself | the same |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class UnreadableSource(Exception):
    """A text is not of its language, or its parser cannot be had; the message says which."""


class Token(NamedTuple):
    """A token's text, and the first and last line that it touches."""

    text: str
    first: int
    last: int


class Node(NamedTuple):
    """Something that decides, or that nests what decides."""

    kind: str
    children: Sequence[Node] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """A function that is in no other: its name after its class, its lines, what decides in it.

    It begins at `line`, and with its decorators, or the comment above it in Go, at `first`. What
    decides in its head (decorators, default values, annotations) is its own. What decides outside
    of all functions is that of one named `<module>`.
    """

    name: str
    first: int
    line: int
    end: int
    nodes: Sequence[Node]


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A file: its tokens, its functions, and how often it uses each word.

    Words are the language's own words for concurrency (`await`, `go`, …), names taken from
    packages (`threading.Thread`, `time.AfterFunc`) and names taken from anything else
    (`.create_task`).
    """

    tokens: Sequence[Token]
    functions: Sequence[Function]
    words: Mapping[str, int]
