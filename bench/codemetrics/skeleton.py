"""What decides in a source file: the common form of Python and Go that complexity is counted on.

Each language is read by its own parser, Python's `ast` and Go's `go/parser` (through the command
in go_reference/cmd/skeleton), into trees of the same few kinds of nodes. Everything that is said
of complexity and vocabulary is said of these, once for both languages.

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

import ast
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from raftmark.bench.contenders.registry import Build, Unavailable


class UnreadableSource(Exception):
    """A text is not of its language, or its parser cannot be had; the message says which."""


class Node(NamedTuple):
    """Something that decides, or that nests what decides."""

    kind: str
    children: Sequence[Node] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """A function that is in no other: its name after its class, its lines, what decides in it.

    What decides outside of all functions is that of one named `<module>`.
    """

    name: str
    line: int
    end: int
    nodes: Sequence[Node]


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A file: its functions, and how often it uses each word.

    Words are the language's own words for concurrency (`await`, `go`, …), names taken from
    packages (`threading.Thread`, `time.AfterFunc`) and names taken from anything else
    (`.create_task`).
    """

    functions: Sequence[Function]
    words: Mapping[str, int]


def read_python(text: str) -> Skeleton:
    """Read Python. Raises `UnreadableSource` for text that is not."""
    try:
        module = ast.parse(text)
    except SyntaxError as error:
        raise UnreadableSource(f"not Python ({error})") from error
    functions = list(_functions(module, ""))
    if outside := list(_outside(module)):
        functions.append(Function("<module>", 1, text.count("\n") + 1, outside))
    return Skeleton(functions, _words(module))


def read_go(text: str) -> Skeleton:
    """Read Go. Raises `UnreadableSource` for text that is not, or without a Go toolchain."""
    try:
        parser = _GO_PARSER.bring_up_to_date()
    except Unavailable as reason:
        raise UnreadableSource(f"Go's parser cannot be had: {reason}") from reason
    done = subprocess.run([parser], input=text.encode(), capture_output=True, check=False)
    if done.returncode != 0:
        raise UnreadableSource(f"not Go ({done.stderr.decode(errors='replace').strip()})")
    return msgspec.json.decode(done.stdout, type=Skeleton)


_GO_PARSER = Build(
    command=["{bin}/go", "build", "-o", "{output}", "./cmd/skeleton"],
    cwd="go_reference",
    inputs=["cmd/skeleton/*.go"],
    output="{cache}/skeleton",
    env={"GOTOOLCHAIN": "local"},
)

_FunctionDef = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(scope: ast.AST, prefix: str) -> Iterator[Function]:
    """The functions and methods of a module or class that are in no other function."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, _FunctionDef):
            nodes = _within(child.body)
            if _calls_itself(child, in_class=bool(prefix)):
                nodes.append(Node("recursion"))
            yield Function(prefix + child.name, child.lineno, child.end_lineno or 0, nodes)
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        else:
            yield from _functions(child, prefix)


def _outside(scope: ast.AST) -> Iterator[Node]:
    """What decides in a module, but in no function of it."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, ast.ClassDef):
            yield from _outside(child)
        elif not isinstance(child, _FunctionDef):
            yield from _skeleton(child)


def _within(nodes: Sequence[ast.AST]) -> list[Node]:
    return [found for node in nodes for found in _skeleton(node)]


def _skeleton(node: ast.AST) -> Iterator[Node]:
    """The nodes that `node` makes, with what is within it."""
    match node:
        case ast.If():
            yield from _branches("if", node)
        case ast.For() | ast.AsyncFor() | ast.While():
            yield Node("loop", _children(node))
        case ast.Match():
            yield Node("choice", _children(node))
        case ast.match_case(pattern=ast.MatchAs(pattern=None), guard=None):
            yield Node("default", _children(node))
        case ast.match_case(guard=guard):
            guards = [] if guard is None else [Node("guard")]
            yield Node("case", guards + _children(node))
        case ast.ExceptHandler():
            yield Node("catch", _children(node))
        case ast.IfExp():
            yield Node("conditional", _children(node))
        case ast.comprehension(ifs=ifs):
            yield Node("each")
            yield from (Node("filter") for _ in ifs)
            yield from _children(node)
        case ast.BoolOp():
            yield from _connected(node)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield Node("decorator" if _only_decorates(node) else "function", _within(node.body))
        case ast.Lambda():
            yield Node("function", list(_skeleton(node.body)))
        case _:
            yield from _children(node)


def _children(node: ast.AST) -> list[Node]:
    return _within(list(ast.iter_child_nodes(node)))


def _branches(kind: str, node: ast.If) -> Iterator[Node]:
    """Flatten `if … elif … else` into siblings."""
    yield Node(kind, _within([node.test, *node.body]))
    match node.orelse:
        case []:
            return
        # An `else` that begins with an `if` begins further right than the `if` it belongs to.
        case [ast.If() as following] if following.col_offset == node.col_offset:
            yield from _branches("elif", following)
        case otherwise:
            yield Node("else", _within(otherwise))


def _connected(node: ast.BoolOp) -> Iterator[Node]:
    """Turn nested `and` and `or` into one node an operator, in the order of the text."""
    last: type[ast.boolop] | None = None

    def walk(expression: ast.expr) -> Iterator[Node]:
        nonlocal last
        if not isinstance(expression, ast.BoolOp):
            yield from _skeleton(expression)
            return
        first, *others = expression.values
        yield from walk(first)
        for value in others:
            kind = "operator" if type(expression.op) is last else "sequence"
            last = type(expression.op)
            yield Node(kind)
            yield from walk(value)

    yield from walk(node)


def _only_decorates(function: _FunctionDef) -> bool:
    match function.body:
        case [ast.FunctionDef() | ast.AsyncFunctionDef(), ast.Return()]:
            return True
        case _:
            return False


def _calls_itself(function: _FunctionDef, *, in_class: bool) -> bool:
    return any(
        isinstance(call, ast.Call)
        and (
            isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and (call.func.value.id, call.func.attr) == ("self", function.name)
            if in_class
            else isinstance(call.func, ast.Name) and call.func.id == function.name
        )
        for call in ast.walk(function)
    )


def _words(module: ast.Module) -> Counter[str]:
    origins: dict[str, str] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                origins[alias.asname or alias.name] = alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                origins[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    counts: Counter[str] = Counter()
    for node in ast.walk(module):
        match node:
            case ast.Await():
                counts["await"] += 1
            case ast.AsyncFor():
                counts["async for"] += 1
            case ast.AsyncWith():
                counts["async with"] += 1
            case ast.AsyncFunctionDef():
                counts["async def"] += 1
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in origins:
                counts[f"{origins[name]}.{attribute}"] += 1
            case ast.Attribute(attr=attribute):
                counts[f".{attribute}"] += 1
            case ast.Name(id=name) if "." in origins.get(name, ""):
                counts[origins[name]] += 1
    return counts
