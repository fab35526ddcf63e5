"""Lexical tokens: what is left of a source when nobody's formatting counts."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from typing import NamedTuple

from pygments.lexers.go import GoLexer  # type: ignore[import-untyped]
from pygments.token import Comment, Error, Whitespace  # type: ignore[import-untyped]

from raftmark.bench.codemetrics.skeleton import UnreadableSource

_LAYOUT = frozenset({"NEWLINE", "NL", "INDENT", "DEDENT", "COMMENT", "ENCODING", "ENDMARKER"})


class Token(NamedTuple):
    """A token's text, and the first and last line that it touches."""

    text: str
    first: int
    last: int


def python_tokens(text: str) -> Iterator[Token]:
    """Yield every token that counts. Raises `UnreadableSource` for text that is not Python."""
    try:
        documentation = {
            (node.lineno, node.col_offset)
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        }
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (SyntaxError, tokenize.TokenError) as error:
        raise UnreadableSource(f"not Python ({error})") from error

    depth = 0  # of f-strings: Python 3.12 and later split them, earlier versions do not
    inside_documentation = False
    opened = 0
    pieces: list[str] = []
    for token in tokens:
        kind = tokenize.tok_name[token.type]
        if kind in _LAYOUT:
            # A docstring may consist of several adjacent literals: it ends with its line.
            inside_documentation = inside_documentation and kind != "NEWLINE"
        elif kind in {"FSTRING_START", "TSTRING_START"}:
            if depth == 0:
                opened, pieces = token.start[0], []
            pieces.append(token.string)
            depth += 1
        elif kind in {"FSTRING_END", "TSTRING_END"}:
            pieces.append(token.string)
            depth -= 1
            if depth == 0:
                yield Token("".join(pieces), opened, token.end[0])
        elif depth > 0:
            pieces.append(token.string)
        else:
            # Columns of `ast` count bytes, those of `tokenize` characters: the same here,
            # because only white space stands before a statement's first token on its line,
            # but for statements after a semicolon, which no formatter leaves in place.
            inside_documentation = inside_documentation or token.start in documentation
            if not inside_documentation:
                yield Token(token.string, token.start[0], token.end[0])


def go_tokens(text: str) -> Iterator[Token]:
    """Yield every token that counts. Raises `UnreadableSource` for text that is not Go."""
    line = 1
    for kind, value in GoLexer(stripnl=False, ensurenl=False).get_tokens(text):
        if kind in Error:
            raise UnreadableSource(f"not Go (line {line}: {value!r})")
        last = line + value.count("\n")
        if kind not in Whitespace and kind not in Comment and value.strip():
            yield Token(value, line, last)
        line = last
