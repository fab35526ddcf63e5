"""The contenders' code, measured."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from bench.codemetrics import LANGUAGES, CodeMetricsError, measure_components, measure_modules
from bench.registry import ContenderSpec
from report.model import Code


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
            )
        except CodeMetricsError as error:
            measured[name] = str(error)
    return measured


def _language(spec: ContenderSpec) -> str:
    suffixes = {Path(p).suffix for patterns in spec.sources.values() for p in patterns}
    return ", ".join(sorted(LANGUAGES.get(suffix, suffix) for suffix in suffixes))
