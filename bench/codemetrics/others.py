"""Other languages, counted by well-kept tools: their tokens by Pygments, their functions by lizard.

Neither has a grammar, so what they find is near what a parser would, not the same: an expression
within a string is tokens of its own, a function within another is a function of its own, and
decisions outside of functions are none. The words of concurrency are not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import lizard
from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from pygments.token import Comment, String, Whitespace  # type: ignore[import-untyped]

from raftmark.bench.codemetrics.skeleton import Token, UnreadableSource

LANGUAGES: Mapping[str, str] = {
    ".c": "C",
    ".h": "C",
    ".cc": "C++",
    ".cpp": "C++",
    ".cxx": "C++",
    ".hh": "C++",
    ".hpp": "C++",
    ".cs": "C#",
    ".erl": "Erlang",
    ".java": "Java",
    ".js": "JavaScript",
    ".cjs": "JavaScript",
    ".mjs": "JavaScript",
    ".kt": "Kotlin",
    ".lua": "Lua",
    ".pl": "Perl",
    ".pm": "Perl",
    ".php": "PHP",
    ".rb": "Ruby",
    ".rs": "Rust",
    ".scala": "Scala",
    ".swift": "Swift",
    ".ts": "TypeScript",
    ".zig": "Zig",
}
"""The languages that both tools know, by the suffix of their files."""

_SUFFIXES = {language: suffix for suffix, language in LANGUAGES.items() if suffix != ".h"}
_EXTENSIONS = lizard.get_extensions(["cognitive"])


class Found(NamedTuple):
    """A function as lizard counts it: its lines and its complexities."""

    name: str
    line: int
    end: int
    complexity: int
    cognitive: int


def decode_other(source: bytes) -> str:
    """Decode a source, which has to be UTF-8. Raises `UnreadableSource` for what is not."""
    try:
        return source.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise UnreadableSource(f"not UTF-8 ({error})") from error


def tokens_of(text: str, language: str) -> Iterator[Token]:
    """Yield every token that counts: no white space and no comments; a string is one."""
    line = 1
    literal: Token | None = None  # a string, of which more may follow
    for kind, value in get_lexer_by_name(language, stripnl=False, ensurenl=False).get_tokens(text):
        last = line + value.count("\n")
        if kind in String and kind not in String.Interpol and kind not in String.Doc:
            begun = literal or Token("", line, line)
            literal = Token(begun.text + value, begun.first, last)
        elif value:
            if literal is not None:
                yield literal
                literal = None
            layout = kind in Whitespace or kind in Comment or kind in String.Doc
            if not layout and value.strip():
                yield Token(value, line, last)
        line = last
    if literal is not None:
        yield literal


def functions_of(text: str, language: str) -> list[Found]:
    """Return the functions in the order of the text."""
    analyse = lizard.FileAnalyzer(_EXTENSIONS).analyze_source_code
    return sorted(
        (
            Found(f.name, f.start_line, f.end_line, f.cyclomatic_complexity, f.cognitive_complexity)
            for f in analyse(f"source{_SUFFIXES[language]}", text).function_list
        ),
        key=lambda found: found.line,
    )
