"""What all tests share: options, their order, and the command line in this very process."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from raftmark.cli import main

pytest_plugins = ["tests.conformance.options"]

Command = Callable[..., subprocess.CompletedProcess[str]]

# How long an example takes on a busy machine says nothing about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# `--hypothesis-profile long` looks for longer, where a test does not say for how long.
settings.register_profile("long", settings.get_profile("untimed"), max_examples=2000)
settings.load_profile("untimed")


def pytest_configure() -> None:
    """Undo what a shell does that runs the tests in the background, or `nohup`.

    It has these signals ignored, and so would be whatever the tests start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("raftmark")
    group.addoption(
        "--lives",
        type=int,
        default=1,
        metavar="N",
        help="simulate N times as many lives of clusters as usual",
    )
    group.addoption(
        "--simulated-reports",
        type=int,
        default=25,
        metavar="N",
        help="make up N reports for each truth that is planted, and count false sentences",
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
        "--spare",
        action="append",
        default=[],
        metavar="FAULT",
        help="let the nemesis not do this, such as 'bad links' (may be repeated)",
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


@contextlib.contextmanager
def signals_as_they_are() -> Iterator[None]:
    """Take back what the command line has signals do."""
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    yield
    for number, handler in handlers.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


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

    with signals_as_they_are():
        yield run
