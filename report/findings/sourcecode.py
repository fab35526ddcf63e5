"""The contenders' code, measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from raftmark.bench.codemetrics import (
    LANGUAGES,
    CodeMetricsError,
    excerpt,
    find_sources,
    measure_components,
    measure_modules,
)
from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.report.model import Code, Source


def measure_code(specs: Mapping[str, ContenderSpec], root: Path) -> dict[str, Code | str]:
    """Measure each contender's sources below `root`, or say why that cannot be done."""
    measured: dict[str, Code | str] = {}
    core = cache(lambda patterns: measure_modules(root, patterns))  # contenders share theirs
    for name, spec in specs.items():
        try:
            measured[name] = Code(
                language=_language(spec),
                runtime=measure_components(root, spec.sources),
                core=core(tuple(spec.core)),
                sources={c: _sources(root, patterns) for c, patterns in spec.sources.items()},
                excerpts={topic: _excerpts(root, names) for topic, names in spec.excerpts.items()},
            )
        except CodeMetricsError as error:
            measured[name] = str(error)
    return measured


def _sources(root: Path, patterns: Sequence[str]) -> tuple[Source, ...]:
    paths = [path for pattern in patterns for path in find_sources(root, pattern)]
    return tuple(Source(str(path.relative_to(root)), path.read_text()) for path in paths)


def _excerpts(root: Path, names: Sequence[str]) -> tuple[Source, ...]:
    """The named functions, those that are next to each other in a file as one text."""
    places = [name.partition(":") for name in names]
    texts: dict[str, list[str]] = {}
    for path, _, function in places:
        texts.setdefault(path, []).append(excerpt(root / path, function))
    return tuple(Source(path, "\n".join(found)) for path, found in texts.items())


def _language(spec: ContenderSpec) -> str:
    suffixes = {Path(p).suffix for patterns in spec.sources.values() for p in patterns}
    return ", ".join(sorted(LANGUAGES.get(suffix, suffix) for suffix in suffixes))
