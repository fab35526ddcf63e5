"""Length and complexity of source code, by one definition for Python and Go.

- **Tokens** are the lexical tokens of the language. Left out is what a reader or a formatter
  may change without changing the program: white space, line ends, indentation, comments, and
  docstrings (any statement that is only a string). A string literal is one token, whatever it
  contains, an f-string too. Tokens are the measure to trust: no formatting changes them.
- **Lines** are those that at least one such token touches.
- **Complexity** is McCabe's cyclomatic complexity of each function ("A Complexity Measure",
  IEEE Transactions on Software Engineering, 1976) as the lizard library counts it.

Tokens come from Python's own tokenizer and from the Pygments lexer for Go.

What the definition cannot hold equal, so that a reader can judge it:

- Go's braces and package clause are tokens; Python's indentation is none, its colons are.
- lizard counts Python's `case _` and `finally`, but not Go's `default` and `defer`.
- lizard counts a function inside another as one of its own in both languages. Go's anonymous
  functions are functions to it, Python's lambdas belong to the function around them.
- Branches outside every function count in neither language, and neither do functions without
  a body of their own line: the methods of a Go interface, the `...` of a Python protocol.
- `if err != nil` is a branch, so the way Go handles errors shows in its complexity, while an
  exception that passes through a Python function costs nothing there.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import lizard
from pygments.lexers.go import GoLexer  # type: ignore[import-untyped]
from pygments.token import Comment, Error, Whitespace  # type: ignore[import-untyped]

LANGUAGES = {".py": "Python", ".go": "Go"}
"""The languages that can be measured, by the suffix of their files."""

_LAYOUT = frozenset({"NEWLINE", "NL", "INDENT", "DEDENT", "COMMENT", "ENCODING", "ENDMARKER"})


class CodeMetricsError(Exception):
    """A source file cannot be measured; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class FunctionMetrics:
    """One function or method: its name, the line it starts on, its cyclomatic complexity."""

    name: str
    line: int
    complexity: int


@dataclass(frozen=True, slots=True)
class SourceMetrics:
    """Length and complexity of some source code. Sums of several are made with `total`."""

    lines: int = 0
    tokens: int = 0
    functions: tuple[FunctionMetrics, ...] = ()

    @property
    def complexity(self) -> int:
        """The sum of the functions' cyclomatic complexities."""
        return sum(function.complexity for function in self.functions)

    @property
    def max_complexity(self) -> int:
        """The cyclomatic complexity of the most complex function; 0 without functions."""
        return max((function.complexity for function in self.functions), default=0)

    @property
    def mean_complexity(self) -> float:
        """The mean cyclomatic complexity of a function; 0 without functions."""
        return self.complexity / len(self.functions) if self.functions else 0.0

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """The metrics of all `parts` together."""
        parts = tuple(parts)
        return cls(
            lines=sum(part.lines for part in parts),
            tokens=sum(part.tokens for part in parts),
            functions=tuple(function for part in parts for function in part.functions),
        )


def measure_text(text: str, language: str, name: str = "source") -> SourceMetrics:
    """Measure one file's `text`; `language` is a value of `LANGUAGES`.

    Raises `CodeMetricsError`, with `name` in its message, for text that is not of the language.
    """
    match language:
        case "Python":
            spans = list(_python_tokens(text, name))
        case "Go":
            spans = list(_go_tokens(text, name))
        case _:
            raise CodeMetricsError(f"{name}: cannot measure {language}, only Python and Go")
    suffix = {language: suffix for suffix, language in LANGUAGES.items()}[language]
    analysis = lizard.analyze_file.analyze_source_code(f"{name}{suffix}", text)
    return SourceMetrics(
        lines=len({line for first, last in spans for line in range(first, last + 1)}),
        tokens=len(spans),
        functions=tuple(
            FunctionMetrics(found.name, found.start_line, found.cyclomatic_complexity)
            for found in sorted(analysis.function_list, key=lambda found: found.start_line)
        ),
    )


def measure_file(path: Path) -> SourceMetrics:
    """Measure one source file. Raises `CodeMetricsError` if it cannot be read or is not code."""
    language = LANGUAGES.get(path.suffix)
    if language is None:
        known = ", ".join(LANGUAGES)
        raise CodeMetricsError(f"{path}: cannot measure this kind of file, only {known}")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CodeMetricsError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise CodeMetricsError(f"{path}: not UTF-8 ({error})") from error
    return measure_text(text, language, name=str(path))


def measure_components(
    root: Path, sources: Mapping[str, Sequence[str]]
) -> dict[str, SourceMetrics]:
    """Measure files by component.

    `sources` maps a component's name to the globs of its files below `root`. Tests are left out.
    """
    return {
        component: SourceMetrics.total(
            measure_file(path) for pattern in patterns for path in _find(root, pattern)
        )
        for component, patterns in sources.items()
    }


def measure_modules(root: Path, patterns: Sequence[str]) -> dict[str, SourceMetrics]:
    """Measure the files that any of the globs `patterns` finds below `root`, by module name."""
    files = sorted({path for pattern in patterns for path in _find(root, pattern)})
    parts: dict[str, list[SourceMetrics]] = {}
    for path in files:
        parts.setdefault(path.stem, []).append(measure_file(path))
    return {module: SourceMetrics.total(found) for module, found in parts.items()}


def _find(root: Path, pattern: str) -> list[Path]:
    found = sorted(path for path in root.glob(pattern) if not path.stem.endswith("_test"))
    if not found:
        raise CodeMetricsError(
            f"{pattern}: no such file; correct `sources` or `core` in the contenders' table"
        )
    return found


def _python_tokens(text: str, name: str) -> Iterator[tuple[int, int]]:
    """Yield the first and last line of every token that counts."""
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
        raise CodeMetricsError(f"{name}: not Python ({error})") from error

    depth = 0  # of f-strings: Python 3.12 and later split them, earlier versions do not
    inside_documentation = False
    opened = 0
    for token in tokens:
        kind = tokenize.tok_name[token.type]
        if kind in _LAYOUT:
            # A docstring may consist of several adjacent literals: it ends with its line.
            inside_documentation = inside_documentation and kind != "NEWLINE"
        elif kind in {"FSTRING_START", "TSTRING_START"}:
            opened = token.start[0] if depth == 0 else opened
            depth += 1
        elif kind in {"FSTRING_END", "TSTRING_END"}:
            depth -= 1
            if depth == 0:
                yield opened, token.end[0]
        elif depth == 0:
            # Columns of `ast` count bytes, those of `tokenize` characters: the same here,
            # because only white space stands before a statement's first token on its line,
            # but for statements after a semicolon, which no formatter leaves in place.
            inside_documentation = inside_documentation or token.start in documentation
            if not inside_documentation:
                yield token.start[0], token.end[0]


def _go_tokens(text: str, name: str) -> Iterator[tuple[int, int]]:
    """Yield the first and last line of every token that counts."""
    line = 1
    for kind, value in GoLexer(stripnl=False, ensurenl=False).get_tokens(text):
        if kind in Error:
            raise CodeMetricsError(f"{name}:{line}: not Go ({value!r})")
        last = line + value.count("\n")
        if kind not in Whitespace and kind not in Comment and value.strip():
            yield line, last
        line = last
