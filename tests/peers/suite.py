"""A plugin of pytest for `make test-peers`: the suite's results on peers, beside what is known.

A test that `peers/findings.toml` knows to fail is expected to; what else fails, fails. Nothing is
left out: the table has each level's tests as passed, failed by name, or not asked for, and why.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest

from .findings import Findings, read_findings
from .page import CONTENDERS, peers, table, write
from .results import Result, Results, keep


class Case(NamedTuple):
    """A test of the suite with its parameters but for the peer, which is put to it."""

    peer: str
    level: str
    test: str
    parameters: str


class Outcomes:
    """How each test went: passed, failed, or not asked for, with the features it needs."""

    def __init__(self) -> None:
        self.waiting: set[Case] = set()
        self.passed: set[Case] = set()
        self.failed: set[Case] = set()
        self.not_offered: dict[Case, list[str]] = {}

    def note(self, case: Case, report: pytest.TestReport) -> None:
        """Note a part of a test: its worst counts."""
        if report.when == "teardown":
            self.waiting.discard(case)
        if report.failed or (report.skipped and hasattr(report, "wasxfail")):
            self.failed.add(case)
        elif report.skipped:
            missing = [what for key, what in report.user_properties if key == "not offered"]
            self.not_offered[case] = [str(each) for each in missing] or ["what it is about"]
        elif report.when == "call":
            self.passed.add(case)
        self.passed -= self.failed

    def results(self, on: str) -> dict[str, Results]:
        """Return the results of each peer on a day, of tests that were asked to the end."""
        cases: defaultdict[tuple[str, str], list[Case]] = defaultdict(list)
        for case in sorted({*self.passed, *self.failed, *self.not_offered}):
            cases[case.peer, case.test].append(case)
        for case in self.waiting:
            cases.pop((case.peer, case.test), None)
        results: defaultdict[str, Results] = defaultdict(dict)
        for (peer, test), these in cases.items():
            missing = Counter(what for each in these for what in self.not_offered.get(each, ()))
            results[peer][test] = Result(
                these[0].level,
                on,
                len(self.passed.intersection(these)),
                [each.parameters for each in these if each in self.failed],
                dict(sorted(missing.items())),
            )
        return results


class Suite:
    """The plugin; `page` is the document to write the table into, if what it says is to be kept."""

    def __init__(self, findings: Findings, page: Path | None) -> None:
        self._outcomes = Outcomes()
        self._findings = findings
        self._page = page
        self._cases: dict[str, Case] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Expect those to fail of which that is known. A library reads its own files alone."""
        foreign = [item for item in items if reads_what_another_wrote(item)]
        config.hook.pytest_deselected(items=foreign)
        items[:] = [item for item in items if item not in foreign]
        for item in items:
            peer = item.callspec.params.get("contender_name") if hasattr(item, "callspec") else None
            mark = item.get_closest_marker("level")
            if peer is None:
                continue
            test, parameters = name_of(item.nodeid, peer)
            if known := self._findings.of(peer, test, parameters):
                item.add_marker(pytest.mark.xfail(reason=str(known), strict=False))
            if mark is not None:  # The nemesis asks beside the suite.
                case = Case(peer, mark.args[0], test, parameters)
                self._cases[item.nodeid] = case
                self._outcomes.waiting.add(case)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test went."""
        if report.nodeid in self._cases:
            self._outcomes.note(self._cases[report.nodeid], report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the table; keep the results and write them into the page, if that was asked for."""
        results = self._outcomes.results(time.strftime("%Y-%m-%d", time.gmtime()))
        if not results:
            return
        terminalreporter.section("peers")
        terminalreporter.write(table(results, self._findings))
        if self._page is not None:
            for peer, these in results.items():
                keep(peer, these)
            write(self._page)


def reads_what_another_wrote(item: pytest.Item) -> bool:
    """Whether a test lets one contender go on with what another has left on disk."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    writer = parameters.get("contender_name")
    return parameters.get("reader_name", writer) != writer


def name_of(nodeid: str, peer: str) -> tuple[str, str]:
    """Return a test's file and function, and its parameters but for the peer."""
    path, _, function = nodeid.partition("::")
    name, _, parameters = function.removesuffix("]").partition("[")
    rest = (part.strip("-") for part in parameters.split(peer))
    return f"{Path(path).name}::{name}", "-".join(part for part in rest if part)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-peers",
        type=Path,
        metavar="PATH",
        help="keep the results in docs/peers, and write the table of all that are kept into PATH",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Put all peers to it, if none are named."""
    config.option.contenders_file = CONTENDERS
    config.option.contender = config.option.contender or peers()
    config.pluginmanager.register(Suite(read_findings(), config.option.write_peers))
