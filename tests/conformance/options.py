"""The suite's options and marks: a plugin of pytest, wherever the suite lies.

In a checkout the suite is `tests/conformance`, in an installed package `raftmark.conformance`: the
same files, by a link.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from raftmark.bench.contenders.registry import (
    DEFAULT_TABLE,
    RegistryError,
    Unavailable,
    load_contenders,
)
from raftmark.bench.contenders.variants import Contenders


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("raftmark")
    group.addoption(
        "--contender",
        action="append",
        metavar="NAME",
        help="run the conformance suite for this contender only (may be repeated), "
        "or for a variant such as threading@3.14t, asyncio@uvloop, asyncio@tcp or tcp:go+asyncio",
    )
    group.addoption(
        "--reader",
        action="append",
        metavar="NAME",
        help="let this contender go on with what each has left on disk (may be repeated; "
        "as a rule they are the contenders)",
    )
    group.addoption(
        "--contenders-file",
        type=Path,
        default=DEFAULT_TABLE,
        metavar="PATH",
        help="a contenders' table to use instead of the project's",
    )
    group.addoption(
        "--skip-unavailable",
        action="store_true",
        help="skip a contender that cannot run here, instead of failing its tests",
    )
    group.addoption(
        "--seed",
        type=int,
        metavar="N",
        help="replay the random tests of an earlier run, which printed N",
    )
    group.addoption(
        "--soak-seconds",
        type=float,
        default=10,
        metavar="S",
        help="watch the memory of each contender under load for so long (default 10)",
    )
    group.addoption(
        "--kills",
        type=int,
        default=10,
        metavar="N",
        help="kill each contender, and the harness, N times at random moments (default 10)",
    )


def pytest_configure(config: pytest.Config) -> None:
    for mark in (
        "slow: takes more than a few seconds; runs after the fast tests",
        "level(name): what a contender that passes can do: elects, replicates, survives, complete",
        "needs(feature, ...): only for contenders whose hello names these features",
        "deployed: one of the few that `make test` runs for clusters of node programs too",
    ):
        config.addinivalue_line("markers", mark)
    if config.option.seed is None:
        config.option.seed = random.SystemRandom().randrange(2**32)
    try:
        known = Contenders(load_contenders(config.option.contenders_file))
        config.option.contender = list(known.choose(config.option.contender or known.usual()))
        readers = config.option.reader or config.option.contender
        config.option.reader = list(known.choose(readers))
    except (RegistryError, Unavailable) as error:
        raise pytest.UsageError(str(error)) from error


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed of the random tests: {config.option.seed} (replay with --seed)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the fast tests first: most mistakes show within seconds."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)
