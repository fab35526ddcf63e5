"""Options and order that all tests share."""

from __future__ import annotations

import random

import pytest

from bench.registry import RegistryError, load_contenders


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("raftmark")
    group.addoption(
        "--contender",
        action="append",
        metavar="NAME",
        help="run the conformance suite for this contender only (may be repeated)",
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


def pytest_configure(config: pytest.Config) -> None:
    if config.option.seed is None:
        config.option.seed = random.SystemRandom().randrange(2**32)
    try:
        known = list(load_contenders())
    except RegistryError as error:
        raise pytest.UsageError(str(error)) from error
    chosen = config.option.contender or known
    for name in set(chosen) - set(known):
        raise pytest.UsageError(f"--contender {name}: known are {', '.join(known)}")
    config.option.contender = [name for name in known if name in chosen]


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed of the random tests: {config.option.seed} (replay with --seed)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the fast tests first: most mistakes show within seconds."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)
