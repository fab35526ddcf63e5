"""Python, read by its own parser and tokenizer, those of the interpreter that runs the harness."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from raftmark.bench.codemetrics.python_versions import version_needed
from raftmark.bench.codemetrics.skeleton import (
    Function,
    Node,
    Skeleton,
    Token,
    UnreadableSource,
)

_LAYOUT = frozenset({"NEWLINE", "NL", "INDENT", "DEDENT", "COMMENT", "ENCODING", "ENDMARKER"})
# At the beginning of a line white space up to a form feed means nothing.
_PAGE_BREAK = re.compile(r"^[ \t\f]*\f", re.MULTILINE)


def decode_python(source: bytes) -> str:
    """Decode Python as its first lines declare. Raises `UnreadableSource` where that fails."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        return source.decode(encoding)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise UnreadableSource(f"not Python ({error})") from error


def read_python(text: str) -> Skeleton:
    """Read Python. Raises `UnreadableSource` for text that is not, or is for a newer one."""
    text = _PAGE_BREAK.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is for whoever runs it
            module = ast.parse(text)
        tokens = list(_tokens(text, module))
        words = _words(module)
        functions = list(_functions(module, ""))
        # Only now, since it takes the functions out of the tree.
        outside = list(_skeleton(_WithoutFunctions().visit(module)))
    except (SyntaxError, tokenize.TokenError) as error:
        needs = version_needed(text, str(error))
        raise UnreadableSource(needs or f"not Python ({error})") from error
    except ValueError as error:  # It contains a null character.
        raise UnreadableSource(f"not Python ({error})") from error
    except (RecursionError, MemoryError) as error:
        raise UnreadableSource("nested too deeply to be read") from error
    if outside:
        functions.append(Function("<module>", 1, 1, text.count("\n") + 1, outside))
    return Skeleton(tokens, functions, words)


def _tokens(text: str, module: ast.Module) -> Iterator[Token]:
    """Every token that counts: no layout (a semicolon is no more), no documentation."""
    lines = text.split("\n")

    def byte(row: int, column: int) -> tuple[int, int]:
        # Columns of `ast` count bytes, those of `tokenize` characters.
        line = lines[row - 1] if row <= len(lines) else ""
        return row, len(line[:column].encode())

    ends = {
        (node.lineno, node.col_offset): (node.end_lineno or 0, node.end_col_offset or 0)
        for node in ast.walk(module)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }
    documented = (0, 0)  # where the documentation ends that was met last
    depth = 0  # of f-strings: Python 3.12 and later split them, earlier versions do not
    opened = (0, 0)
    for token in _whole_names(tokenize.generate_tokens(io.StringIO(text).readline)):
        kind = tokenize.tok_name[token.type]
        if kind in {"FSTRING_START", "TSTRING_START"}:
            opened = token.start if depth == 0 else opened
            depth += 1
        elif kind in {"FSTRING_END", "TSTRING_END"}:
            depth -= 1
            if depth == 0:
                yield Token(_between(lines, opened, token.end), opened[0], token.end[0])
        elif depth == 0 and kind not in _LAYOUT and token.string != ";":
            start = byte(*token.start)
            documented = max(documented, ends.get(start, documented))
            if start >= documented:
                yield Token(token.string, token.start[0], token.end[0])


def _whole_names(tokens: Iterable[tokenize.TokenInfo]) -> Iterator[tokenize.TokenInfo]:
    """Mend names: before Python 3.12 `tokenize` breaks them at some letters that names may have."""
    held: tokenize.TokenInfo | None = None
    for token in tokens:
        if token.type == tokenize.ERRORTOKEN and token.string.isspace():
            continue
        if (
            held is not None
            and held.end == token.start
            and tokenize.ERRORTOKEN in {held.type, token.type}
            and {held.type, token.type} <= {tokenize.ERRORTOKEN, tokenize.NAME}
        ):
            whole = held.string + token.string
            held = held._replace(type=tokenize.ERRORTOKEN, string=whole, end=token.end)
            continue
        if held is not None:
            yield held
        held = token
    if held is not None:
        yield held


def _between(lines: Sequence[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """The text from one place to another."""
    (first, begin), (last, stop) = start, end
    if first == last:
        return lines[first - 1][begin:stop]
    return "\n".join([lines[first - 1][begin:], *lines[first : last - 1], lines[last - 1][:stop]])


_FunctionDef = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(scope: ast.AST, prefix: str) -> Iterator[Function]:
    """The functions and methods of a module or class that are in no other function."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, _FunctionDef):
            nodes = [*_head(child), *_within(child.body)]
            if _calls_itself(child, in_class=bool(prefix)):
                nodes.append(Node("recursion"))
            first = min([child.lineno, *(each.lineno for each in child.decorator_list)])
            end = child.end_lineno or child.lineno
            yield Function(prefix + child.name, first, child.lineno, end, nodes)
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        else:
            yield from _functions(child, prefix)


class _WithoutFunctions(ast.NodeTransformer):
    """Takes out the functions, whatever they are under, and leaves what decides beside them."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        """Put a statement in its place, without which an `else` might be empty."""
        return ast.copy_location(ast.Pass(), node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.stmt:
        """Put a statement in its place."""
        return ast.copy_location(ast.Pass(), node)


def _head(function: _FunctionDef | ast.Lambda) -> list[Node]:
    """What decides in a function's decorators, defaults, annotations and type parameters."""
    body = {id(part) for part in _body(function)}
    return _within([n for n in ast.iter_child_nodes(function) if id(n) not in body])


def _body(function: _FunctionDef | ast.Lambda) -> Sequence[ast.AST]:
    return [function.body] if isinstance(function, ast.Lambda) else function.body


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
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            yield from _head(node)
            yield Node("decorator" if _only_decorates(node) else "function", _within(_body(node)))
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


def _only_decorates(function: _FunctionDef | ast.Lambda) -> bool:
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
            case ast.AsyncFor() | ast.comprehension(is_async=1):
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
