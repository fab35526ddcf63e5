"""The contenders' code, measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from raftmark.bench.codemetrics import (
    LANGUAGES,
    CodeMetricsError,
    excerpt,
    find_components,
    measure_components,
    measure_modules,
    read_source,
    shown,
)
from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.runs.code import CountedCode, keep, load
from raftmark.bench.runs.store import Run
from raftmark.report.model import Code, Source


def measure_code(specs: Mapping[str, ContenderSpec]) -> dict[str, Code | str]:
    """Measure each contender's sources, or say why that cannot be done."""
    measured: dict[str, Code | str] = {}
    core = cache(measure_modules)  # contenders share theirs
    for name, spec in specs.items():
        if not spec.sources:
            measured[name] = "its entry in the contenders' table names no `sources`"
            continue
        root = spec.directory
        try:
            components = find_components(root, spec.sources)
            runtime = tuple(path for paths in components.values() for path in paths)
            measured[name] = Code(
                language=_language(runtime),
                runtime=measure_components(root, spec.sources),
                core=core(root, tuple(spec.core), runtime),
                sources={c: _sources(root, paths) for c, paths in components.items()},
                excerpts={topic: _excerpts(root, names) for topic, names in spec.excerpts.items()},
            )
        except CodeMetricsError as error:
            measured[name] = str(error)
    return measured


def keep_code(run: Run, specs: Mapping[str, ContenderSpec]) -> None:
    """Count the code of contenders that only the table of this run may have, and keep it there.

    `StoreError` if that cannot be kept.
    """
    keep(
        run,
        {
            name: found
            if isinstance(found, str)
            else CountedCode(found.language, dict(found.runtime), dict(found.core))
            for name, found in measure_code(specs).items()
        },
    )


def kept_code(run: Run) -> dict[str, Code | str]:
    """Return the code that was counted when a run was measured: figures, and no text to show."""
    return {
        name: found if isinstance(found, str) else Code(found.language, found.runtime, found.core)
        for name, found in load(run).items()
    }


def _sources(root: Path, paths: Sequence[Path]) -> tuple[Source, ...]:
    return tuple(Source(shown(path.relative_to(root)), read_source(path)) for path in paths)


def _excerpts(root: Path, names: Sequence[str]) -> tuple[Source, ...]:
    """The named functions, those that are next to each other in a file as one text."""
    places = [name.partition(":") for name in names]
    texts: dict[str, list[str]] = {}
    for path, _, function in places:
        texts.setdefault(path, []).append(excerpt(root / path, function))
    return tuple(Source(path, "\n".join(found)) for path, found in texts.items())


def _language(paths: Sequence[Path]) -> str:
    return ", ".join(sorted({LANGUAGES[path.suffix] for path in paths}))
