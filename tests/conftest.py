"""What all tests share: options, their order, and the command line in this very process."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from raftmark.bench.contenders.registry import RegistryError, Unavailable, load_contenders
from raftmark.bench.contenders.variants import Contenders
from raftmark.cli import main

Command = Callable[..., subprocess.CompletedProcess[str]]

# How long an example takes on a busy machine says nothing about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# `--hypothesis-profile long` looks for longer, where a test does not say for how long.
settings.register_profile("long", settings.get_profile("untimed"), max_examples=2000)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("raftmark")
    group.addoption(
        "--contender",
        action="append",
        metavar="NAME",
        help="run the conformance suite for this contender only (may be repeated), "
        "or for a variant such as threading@3.14t or asyncio@uvloop",
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
        "--lives",
        type=int,
        default=1,
        metavar="N",
        help="simulate N times as many lives of clusters as usual",
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
    group.addoption(
        "--kill-contenders",
        action="store_true",
        help="kill the harness also while it measures the real contenders",
    )
    group.addoption(
        "--nemesis-seconds",
        type=float,
        default=20,
        metavar="S",
        help="harm each contender for S seconds while its histories are recorded (default 20)",
    )
    group.addoption(
        "--rewrite",
        action="store_true",
        help="write into the scenarios of tests/scenarios what the core does",
    )
    group.addoption(
        "--lockstep-events",
        type=int,
        default=50_000,
        metavar="N",
        help="hold the two cores to N random events (default 50000; nightly 1000000)",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.option.seed is None:
        config.option.seed = random.SystemRandom().randrange(2**32)
    try:
        known = Contenders(load_contenders())
        config.option.contender = list(known.choose(config.option.contender or known))
    except (RegistryError, Unavailable) as error:
        raise pytest.UsageError(str(error)) from error


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed of the random tests: {config.option.seed} (replay with --seed)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the fast tests first: most mistakes show within seconds."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Run `raftmark` in this process: most tests of what it says need no interpreter more."""

    def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["raftmark", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        status = ended.value.code or 0
        assert isinstance(status, int)
        return subprocess.CompletedProcess(arguments, status, *capfd.readouterr())

    handler = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, handler)
