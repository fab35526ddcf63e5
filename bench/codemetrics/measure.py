"""From source files to their metrics, file by file and summed by component."""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Self

from raftmark.bench.codemetrics.complexity import cognitive, cyclomatic, error_checks
from raftmark.bench.codemetrics.go import decode_go, read_go
from raftmark.bench.codemetrics.others import LANGUAGES as OTHERS
from raftmark.bench.codemetrics.others import decode_other, functions_of, tokens_of
from raftmark.bench.codemetrics.python import decode_python, read_python
from raftmark.bench.codemetrics.skeleton import Skeleton, Token, UnreadableSource
from raftmark.bench.codemetrics.vocabulary import vocabulary

LANGUAGES = {".py": "Python", ".go": "Go", **OTHERS}
"""The languages that can be measured, by the suffix of their files."""

_PARSERS: Mapping[str, Callable[[str], Skeleton]] = {"Python": read_python, "Go": read_go}
WORDS_KNOWN = tuple(_PARSERS)
"""The languages whose words of concurrency are counted."""

_DECODERS: Mapping[str, Callable[[bytes], str]] = {"Python": decode_python, "Go": decode_go}


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
    if language not in LANGUAGES.values():
        raise CodeMetricsError(f"{name}: cannot measure {language}, only {_known()}")
    if language not in _PARSERS:
        functions = tuple(
            FunctionMetrics(found.name, found.line, found.complexity, found.cognitive, 0)
            for found in functions_of(text, language)
        )
        return _measured(list(tokens_of(text, language)), functions, {})
    try:
        skeleton = _PARSERS[language](text)
    except UnreadableSource as error:
        raise CodeMetricsError(f"{name}: {error}") from error
    functions = tuple(
        FunctionMetrics(
            found.name,
            found.line,
            cyclomatic(found.nodes),
            cognitive(found.nodes),
            error_checks(found.nodes),
        )
        for found in sorted(skeleton.functions, key=lambda found: found.line)
    )
    return _measured(skeleton.tokens, functions, vocabulary(skeleton.words))


def _measured(
    tokens: Sequence[Token], functions: tuple[FunctionMetrics, ...], words: Mapping[str, int]
) -> SourceMetrics:
    return SourceMetrics(
        lines=len({line for token in tokens for line in range(token.first, token.last + 1)}),
        tokens=len(tokens),
        compressed=len(zlib.compress(" ".join(token.text for token in tokens).encode(), 9)),
        functions=functions,
        vocabulary=words,
    )


def measure_file(path: Path) -> SourceMetrics:
    """Measure one source file. Raises `CodeMetricsError` if it cannot be read or is not code."""
    return measure_text(read_source(path), _language(path), name=shown(path))


def shown(path: Path) -> str:
    """Return a path as text that can be written, whatever bytes its name is made of."""
    return os.fsencode(path).decode("utf-8", "replace")


def _language(path: Path) -> str:
    language = LANGUAGES.get(path.suffix)
    if language is None:
        raise CodeMetricsError(f"{shown(path)}: cannot measure this kind of file, only {_known()}")
    return language


def _known() -> str:
    return ", ".join(dict.fromkeys(LANGUAGES.values()))


def read_source(path: Path) -> str:
    """Return the text of a source file in the encoding of its language, which is not the locale's.

    Raises `CodeMetricsError` if it cannot be read.
    """
    try:
        return _DECODERS.get(_language(path), decode_other)(path.read_bytes())
    except OSError as error:
        raise CodeMetricsError(f"{shown(path)}: cannot be read ({error.strerror})") from error
    except UnreadableSource as error:
        raise CodeMetricsError(f"{shown(path)}: {error}") from error


def excerpt(path: Path, name: str) -> str:
    """Return the source text of one function, with its decorators, in Go the comment above it.

    Raises `CodeMetricsError` if the file cannot be read or has no such function.
    """
    text = read_source(path)
    for found, first, last in _places(path, text):
        if found == name:
            lines = [line.rstrip("\r") for line in _lines(text)[first - 1 : last]]
            indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
            return "\n".join(line.removeprefix(indent).rstrip() for line in lines) + "\n"
    raise CodeMetricsError(f"{shown(path)}: no function {name}; correct `excerpts` in the table")


def _lines(text: str) -> list[str]:
    """The lines as parsers count them: `str.splitlines` ends one at a form feed too."""
    return text.replace("\r\n", "\n").split("\n")


def _places(path: Path, text: str) -> Iterator[tuple[str, int, int]]:
    """Each function's name, and its first and last line."""
    language = _language(path)
    if language not in _PARSERS:
        yield from ((found.name, found.line, found.end) for found in functions_of(text, language))
        return
    try:
        skeleton = _PARSERS[language](text)
    except UnreadableSource as error:
        raise CodeMetricsError(f"{shown(path)}: {error}") from error
    yield from ((found.name, found.first, found.end) for found in skeleton.functions)


def find_sources(root: Path, patterns: Iterable[str], besides: Collection[Path] = ()) -> list[Path]:
    """Return the files that any of the globs finds below `root`, each once, without tests.

    Those in `besides` are left out: they are counted elsewhere. Raises `CodeMetricsError` for a
    pattern that finds nothing.
    """
    elsewhere = {path.resolve() for path in besides}
    found: dict[Path, Path] = {}
    for pattern in patterns:
        matching = _matching(root, pattern)
        if not matching:
            raise CodeMetricsError(
                f"{pattern}: no such file; correct `sources` or `core` in the contenders' table"
            )
        for path in matching:
            if path.resolve() not in elsewhere:
                found.setdefault(path.resolve(), path)
    return list(found.values())


def _matching(root: Path, pattern: str) -> list[Path]:
    try:
        return sorted(
            path
            for path in root.glob(pattern)
            if path.is_file() and not path.stem.endswith("_test")
        )
    except (ValueError, NotImplementedError) as error:
        raise CodeMetricsError(
            f"{pattern!r} is no pattern of files; correct `sources` or `core` in the contenders' "
            f"table ({error})"
        ) from error


def find_components(root: Path, sources: Mapping[str, Sequence[str]]) -> dict[str, list[Path]]:
    """Return the files of each component. One that several name belongs to the first of them."""
    found: dict[str, list[Path]] = {}
    for component, patterns in sources.items():
        before = [path for paths in found.values() for path in paths]
        found[component] = find_sources(root, patterns, before)
    return found


def measure_components(
    root: Path, sources: Mapping[str, Sequence[str]]
) -> dict[str, SourceMetrics]:
    """Measure files by component, each once.

    `sources` maps a component's name to the globs of its files below `root`. Tests are left out.
    """
    return {
        component: SourceMetrics.total(measure_file(path) for path in paths)
        for component, paths in find_components(root, sources).items()
    }


def measure_modules(
    root: Path, patterns: Sequence[str], besides: Collection[Path] = ()
) -> dict[str, SourceMetrics]:
    """Measure the files that any of the globs finds below `root`, by module name.

    Those in `besides` are left out: they are counted elsewhere.
    """
    parts: dict[str, list[SourceMetrics]] = {}
    for path in sorted(find_sources(root, patterns, besides)):
        parts.setdefault(path.stem, []).append(measure_file(path))
    return {module: SourceMetrics.total(found) for module, found in parts.items()}
