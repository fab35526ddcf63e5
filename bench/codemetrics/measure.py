"""From source files to their metrics, file by file and summed by component."""

from __future__ import annotations

import textwrap
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Self

from raftmark.bench.codemetrics.complexity import cognitive, cyclomatic, error_checks
from raftmark.bench.codemetrics.skeleton import UnreadableSource, read_go, read_python
from raftmark.bench.codemetrics.tokens import go_tokens, python_tokens
from raftmark.bench.codemetrics.vocabulary import vocabulary

LANGUAGES = {".py": "Python", ".go": "Go"}
"""The languages that can be measured, by the suffix of their files."""

_READERS = {"Python": (python_tokens, read_python), "Go": (go_tokens, read_go)}


class CodeMetricsError(Exception):
    """A source file cannot be measured; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class FunctionMetrics:
    """One function or method with all that is within it: where it begins, how complex it is.

    `complexity` is cyclomatic; `error_checks` are those of its decisions that are Go's
    `if err != nil`.
    """

    name: str
    line: int
    complexity: int
    cognitive: int
    error_checks: int


@dataclass(frozen=True, slots=True)
class SourceMetrics:
    """Length and complexity of some source code. Sums of several are made with `total`.

    `compressed` is the size in bytes of its tokens, one blank apart, as zlib packs each file.
    `vocabulary` counts the words of concurrency by their kind.
    """

    lines: int = 0
    tokens: int = 0
    compressed: int = 0
    functions: tuple[FunctionMetrics, ...] = ()
    vocabulary: Mapping[str, int] = field(default_factory=dict)

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

    @property
    def cognitive(self) -> int:
        """The sum of the functions' cognitive complexities."""
        return sum(function.cognitive for function in self.functions)

    @property
    def error_checks(self) -> int:
        """How much of the cyclomatic complexity is Go's `if err != nil`."""
        return sum(function.error_checks for function in self.functions)

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """The metrics of all `parts` together."""
        parts = tuple(parts)
        return cls(
            lines=sum(part.lines for part in parts),
            tokens=sum(part.tokens for part in parts),
            compressed=sum(part.compressed for part in parts),
            functions=tuple(function for part in parts for function in part.functions),
            vocabulary=dict(sum((Counter(part.vocabulary) for part in parts), Counter())),
        )


@lru_cache(maxsize=1024)
def measure_text(text: str, language: str, name: str = "source") -> SourceMetrics:
    """Measure one file's `text`; `language` is a value of `LANGUAGES`.

    Raises `CodeMetricsError`, with `name` in its message, for text that is not of the language,
    and for Go where its toolchain cannot be had.
    """
    if language not in _READERS:
        raise CodeMetricsError(f"{name}: cannot measure {language}, only Python and Go")
    tokenize, read = _READERS[language]
    try:
        tokens = list(tokenize(text))
        skeleton = read(text)
    except UnreadableSource as error:
        raise CodeMetricsError(f"{name}: {error}") from error
    return SourceMetrics(
        lines=len({line for token in tokens for line in range(token.first, token.last + 1)}),
        tokens=len(tokens),
        compressed=len(zlib.compress(" ".join(token.text for token in tokens).encode(), 9)),
        functions=tuple(
            FunctionMetrics(
                found.name,
                found.line,
                cyclomatic(found.nodes),
                cognitive(found.nodes),
                error_checks(found.nodes),
            )
            for found in sorted(skeleton.functions, key=lambda found: found.line)
        ),
        vocabulary=vocabulary(skeleton.words),
    )


def measure_file(path: Path) -> SourceMetrics:
    """Measure one source file. Raises `CodeMetricsError` if it cannot be read or is not code."""
    language = _language(path)
    return measure_text(_read(path), language, name=str(path))


def _language(path: Path) -> str:
    language = LANGUAGES.get(path.suffix)
    if language is None:
        known = ", ".join(LANGUAGES)
        raise CodeMetricsError(f"{path}: cannot measure this kind of file, only {known}")
    return language


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CodeMetricsError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise CodeMetricsError(f"{path}: not UTF-8 ({error})") from error


def excerpt(path: Path, name: str) -> str:
    """Return the source text of one function, with the comment above it in Go.

    Raises `CodeMetricsError` if the file cannot be read or has no such function.
    """
    text = _read(path)
    _, read = _READERS[_language(path)]
    try:
        functions = read(text).functions
    except UnreadableSource as error:
        raise CodeMetricsError(f"{path}: {error}") from error
    lines = text.splitlines()
    for function in functions:
        if function.name == name:
            first = function.line - 1
            while first > 0 and lines[first - 1].startswith("//"):
                first -= 1
            return textwrap.dedent("\n".join(lines[first : function.end])) + "\n"
    raise CodeMetricsError(f"{path}: no function {name}; correct `excerpts` in the table")


def find_sources(root: Path, pattern: str) -> list[Path]:
    """Return the files of a glob below `root` without tests; `CodeMetricsError` if none."""
    found = sorted(path for path in root.glob(pattern) if not path.stem.endswith("_test"))
    if not found:
        raise CodeMetricsError(
            f"{pattern}: no such file; correct `sources` or `core` in the contenders' table"
        )
    return found


def measure_components(
    root: Path, sources: Mapping[str, Sequence[str]]
) -> dict[str, SourceMetrics]:
    """Measure files by component.

    `sources` maps a component's name to the globs of its files below `root`. Tests are left out.
    """
    return {
        component: SourceMetrics.total(
            measure_file(path) for pattern in patterns for path in find_sources(root, pattern)
        )
        for component, patterns in sources.items()
    }


def measure_modules(root: Path, patterns: Sequence[str]) -> dict[str, SourceMetrics]:
    """Measure the files that any of the globs `patterns` finds below `root`, by module name."""
    files = sorted({path for pattern in patterns for path in find_sources(root, pattern)})
    parts: dict[str, list[SourceMetrics]] = {}
    for path in files:
        parts.setdefault(path.stem, []).append(measure_file(path))
    return {module: SourceMetrics.total(found) for module, found in parts.items()}
