"""Length and complexity of source code, by one definition for all languages.

- **Tokens** are the lexical tokens of the language. Left out is what a reader or a formatter
  may change without changing the program: white space, line ends, indentation, comments, and
  docstrings (any statement that is only a string). A string literal is one token, whatever it
  contains, an f-string too. Tokens are the measure to trust: no formatting changes them, in Python
  no semicolon either.
- **Lines** are those that at least one such token touches.
- **Compressed size** is that of the tokens as zlib packs them: repetition counts little.
- **Cyclomatic and cognitive complexity** of each function (McCabe 1976, Campbell 2018) are
  counted on what the languages' own parsers find; see `bench.codemetrics.complexity`. A function
  includes those within it, closures and lambdas, in both languages. What decides in its head, its
  decorators, default values, annotations and type parameters, is its own.
- A **file** counts once: in the first component that names it, or else in the core.
- **Vocabulary**: how often the words of concurrency are used, by their kind.

What the definition cannot hold equal, so that a reader can judge it:

- Go's braces and package clause are tokens; Python's indentation is none, its colons are.
- `if err != nil` is a branch, so the way Go handles errors shows in its complexity, while an
  exception that passes through a Python function costs nothing there. Its share is counted apart.
- A Python comprehension's `for` and `if` are decisions, for Go would need a loop.
- Decisions outside every function, in a class or its head, in a type alias or in a package's
  variables, count as those of one function `<module>`. A function under an `if` or a `try` is no
  less a function: it is not part of that.
- A comment for a tool (`//go:build`, `# type:`, the C of cgo) is a comment.
- Functions without a body are none: the methods of a Go interface. Those of a Python protocol have
  one, `...`.

Other languages than Python and Go are counted by other tools, which come near; see
`bench.codemetrics.others`.

Tests hold these counts against well-kept tools, function by function, with the differences known:
lizard, radon and complexipy for Python, lizard, gocyclo and gocognit for Go.
"""

from raftmark.bench.codemetrics.measure import (
    LANGUAGES,
    WORDS_KNOWN,
    CodeMetricsError,
    FunctionMetrics,
    SourceMetrics,
    excerpt,
    find_components,
    find_sources,
    measure_components,
    measure_file,
    measure_modules,
    measure_text,
    read_source,
    shown,
)

__all__ = [
    "LANGUAGES",
    "WORDS_KNOWN",
    "CodeMetricsError",
    "FunctionMetrics",
    "SourceMetrics",
    "excerpt",
    "find_components",
    "find_sources",
    "measure_components",
    "measure_file",
    "measure_modules",
    "measure_text",
    "read_source",
    "shown",
]
