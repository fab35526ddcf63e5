"""Who may take part: `raftmark conform`, `raftmark new-contender`."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from raftmark.bench.contenders.conformance import FAILS, LEVELS, SUITE, Examination, remember
from raftmark.bench.contenders.places import how_to_install
from raftmark.bench.contenders.registry import DEFAULT_TABLE
from raftmark.bench.contenders.skeleton import LANGUAGES, SkeletonError, write_skeleton
from raftmark.commands.choosing import choose, contenders_of
from raftmark.commands.options import ContendersFile

if TYPE_CHECKING:
    import pytest

_FAILED = 1
_TEST_TIMEOUT_S = 600

Level = Enum("Level", {name: name for name in LEVELS})  # type: ignore[misc]
Language = Enum("Language", {name: name for name in LANGUAGES})  # type: ignore[misc]
_ALL = Level(list(LEVELS)[-1])
_PYTHON = Language("python")


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(conform)
    app.command()(new_contender)


def conform(
    name: Annotated[str, typer.Argument(help="The contender's name.")],
    level: Annotated[
        Level, typer.Option(help="Ask up to this level only.", show_default="complete")
    ] = _ALL,
    contenders_file: ContendersFile = DEFAULT_TABLE,
) -> None:
    """Put a contender to the conformance suite, and say which level it reaches.

    elects, replicates, survives, complete: each asks for all that is below it. What a contender
    does not offer, by its hello, is not asked for. A level that fails is the last one examined.
    Runs remember the result, until the contender's files change, and reports show it. The exit
    status is 1 if a test failed.
    """
    (spec,) = choose(name, contenders_of(contenders_file, None, None)).values()
    spec.probe()
    missing = [name for name in ("pytest", "pytest_timeout") if find_spec(name) is None]
    if missing:
        raise typer.TyperException(
            f"the suite needs {', '.join(missing)}: {how_to_install('conform')} installs it"
        )
    import pytest

    examiner = _Examiner(level.value)
    # Neither the directory's own settings for pytest nor its plugins are to change the suite.
    os.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    status = pytest.main(
        [
            *("-c", os.devnull, "--rootdir", str(SUITE), str(SUITE)),
            *("-p", "raftmark.conformance.options", "-p", "pytest_timeout"),
            *("-p", "no:cacheprovider", "--timeout", str(_TEST_TIMEOUT_S)),
            *("--quiet", "--tb", "short", "--strict-markers"),
            *("--contender", name, "--contenders-file", str(contenders_file)),
        ],
        plugins=[examiner],
    )
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise typer.TyperException("the suite was not finished: nothing is known of the contender")
    found = examiner.conclusion(name)
    try:
        remember(spec, found)
    except OSError as error:
        raise typer.TyperException(f"cannot remember the result: {error}") from error
    print("\n".join(told(found)))
    if found.failed:
        raise typer.Exit(_FAILED)


def new_contender(
    name: Annotated[str, typer.Argument(help="What it is to be called.")],
    language: Annotated[
        Language, typer.Option(help="What it is written in; other is one in JavaScript.")
    ] = _PYTHON,
) -> None:
    """Write a contender to begin with, in a directory of its name, with its contenders' table.

    It elects leaders already: 'raftmark conform NAME --contenders-file NAME/contenders.toml' says
    so. docs/adding-a-contender.md goes on from there. The one in JavaScript also replicates and can
    be measured; in whatever other language, it is one to translate.
    """
    directory = Path(name)
    try:
        write_skeleton(directory, language.value)
    except SkeletonError as error:
        raise typer.BadParameter(f"cannot write {name}: {error}") from error
    except OSError as error:
        raise typer.TyperException(f"cannot write {name}: {error.strerror}") from error
    print(directory / "contenders.toml")


def told(found: Examination) -> list[str]:
    """Say what was found, a line for each level."""
    lines = []
    for level, says in LEVELS.items():
        passed, failed = found.passed.get(level, 0), len(found.failed.get(level, ()))
        if failed:
            lines.append(f"{level}: {failed} of {passed + failed} tests failed")
        elif passed:
            lines.append(f"{level}: {passed} tests passed ({says})")
        else:
            lines.append(f"{level}: not examined")
    if found.not_offered:
        skipped = ", ".join(f"{what} ({count})" for what, count in found.not_offered.items())
        lines.append(f"not offered, so that tests were skipped: {skipped}")
    reaches = "does not reach the first level" if found.level == FAILS else found.level
    return [*lines, f"{found.contender}: {reaches}"]


class _Examiner:
    """A plugin of pytest that asks level by level, stops after one that fails, and counts."""

    def __init__(self, up_to: str) -> None:
        self._up_to = up_to
        self._level: dict[str, str] = {}
        self._outcome: dict[str, str] = {}
        self._not_offered: Counter[str] = Counter()

    def conclusion(self, contender: str) -> Examination:
        """Return what was found."""
        passed: Counter[str] = Counter()
        failed: defaultdict[str, list[str]] = defaultdict(list)
        for test, outcome in self._outcome.items():
            if outcome == "passed":
                passed[self._level[test]] += 1
            elif outcome == "failed":
                failed[self._level[test]].append(test)
        return Examination.of(contender, self._up_to, passed, failed, self._not_offered)

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Choose the contender's tests up to the level, and begin with the lowest."""
        order = list(LEVELS)
        chosen: list[pytest.Item] = []
        others: list[pytest.Item] = []
        for item in items:
            mark = item.get_closest_marker("level")
            if mark and order.index(mark.args[0]) <= order.index(self._up_to):
                self._level[item.nodeid] = mark.args[0]
                chosen.append(item)
            else:
                others.append(item)
        config.hook.pytest_deselected(items=others)
        items[:] = sorted(chosen, key=lambda item: order.index(self._level[item.nodeid]))

    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Pass over the tests of a level above one that failed."""
        failed = {self._level[test] for test, how in self._outcome.items() if how == "failed"}
        return None if failed <= {self._level[item.nodeid]} else True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test went: its worst part counts."""
        worst = self._outcome.get(report.nodeid, "passed")
        self._outcome[report.nodeid] = worst if worst != "passed" else report.outcome
        if report.skipped:
            for _, feature in _not_offered(report):
                self._not_offered[feature] += 1


def _not_offered(report: pytest.TestReport) -> list[tuple[str, Any]]:
    return [each for each in report.user_properties if each[0] == "not offered"]
