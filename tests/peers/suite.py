"""A plugin of pytest for `make test-peers`: the suite's results on peers, beside what is known.

A test that `peers/findings.toml` knows to fail is expected to; what else fails, fails. Nothing is
left out: the table has each level's tests as passed, failed by name, or not asked for, and why.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import pytest

from raftmark.bench.contenders.conformance import COMPLETE, LEVELS
from raftmark.bench.contenders.places import ROOT
from raftmark.bench.contenders.registry import load_contenders

TABLE = ROOT / "peers" / "contenders.toml"
FINDINGS = ROOT / "peers" / "findings.toml"
BEGIN, END = "<!-- made by make test-peers -->\n", "<!-- end of what is made -->\n"


class Finding(msgspec.Struct, forbid_unknown_fields=True):
    """Why some tests fail on some peers; tests are named `file::function`."""

    peers: list[str]
    tests: list[str]
    whose: Literal["promise", "default", "fault", "adapter"] = msgspec.field(name="is")
    why: str
    rule: int | None = None

    def __str__(self) -> str:
        rule = "" if self.rule is None else f" (rule {self.rule})"
        return f"{self.whose}{rule}: {self.why}"


class Findings(msgspec.Struct, forbid_unknown_fields=True):
    """All that are known."""

    finding: list[Finding] = []

    def of(self, peer: str, test: str) -> Finding | None:
        """Return what is known of a test on a peer."""
        known = (each for each in self.finding if peer in each.peers and test in each.tests)
        return next(known, None)


def read_findings() -> Findings:
    """Return what `peers/findings.toml` says."""
    return msgspec.toml.decode(FINDINGS.read_bytes(), type=Findings)


class Case(NamedTuple):
    """A test of the suite, put to a peer."""

    peer: str
    level: str
    name: str


class Outcomes:
    """How each test went: passed, failed, or not asked for, with the features it needs."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.passed: set[Case] = set()
        self.failed: set[Case] = set()
        self.not_offered: dict[Case, list[str]] = {}

    def note(self, test: Case, report: pytest.TestReport) -> None:
        """Note a part of a test: its worst counts."""
        if report.failed or (report.skipped and hasattr(report, "wasxfail")):
            self.failed.add(test)
        elif report.skipped:
            missing = [what for key, what in report.user_properties if key == "not offered"]
            self.not_offered[test] = [str(each) for each in missing] or ["what it is about"]
        elif report.when == "call":
            self.passed.add(test)
        self.passed -= self.failed

    def level(self, peer: str) -> str:
        """Return the highest level of which, and below which, a peer passes everything."""
        reached = "none"
        for level in LEVELS:
            passed, failed = (
                any((each.peer, each.level) == (peer, level) for each in tests)
                for tests in (self.passed, self.failed)
            )
            lacks = level == COMPLETE and any(each.peer == peer for each in self.not_offered)
            if failed or not passed or lacks:
                break
            reached = level
        return reached

    def table(self) -> str:
        """Return the results as Markdown."""
        columns = ["", "level reached", *LEVELS, "not offered, so not asked"]
        lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        asked = self.passed | self.failed
        for peer in sorted({each.peer for each in asked}):
            counts = [
                " of ".join(
                    str(len({t for t in tests if (t.peer, t.level) == (peer, level)}))
                    for tests in (self.passed, asked)
                )
                for level in LEVELS
            ]
            features = Counter(
                what
                for t, missing in self.not_offered.items()
                if t.peer == peer
                for what in missing
            )
            skipped = ", ".join(f"{what} ({n})" for what, n in sorted(features.items()))
            cells = [f"`{peer}`", self.level(peer), *counts, skipped]
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join([*lines, "", *self._failures()]) + "\n"

    def _failures(self) -> Iterator[str]:
        """Yield those that failed by name, and why where that is known."""
        yield "| failed | on | is | rule | why |"
        yield "|---|---|---|---|---|"
        names: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        known: dict[tuple[str, int], Finding | None] = {}
        for test in self.failed:
            finding = self.findings.of(test.peer, test.name.partition("[")[0])
            known[test.name, id(finding)] = finding
            names[test.name, id(finding)].add(test.peer)
        for (name, which), peers in sorted(names.items()):
            found = known[name, which]
            whose, why = ("not known", "") if found is None else (found.whose, found.why)
            rule = "" if found is None or found.rule is None else str(found.rule)
            on = ", ".join(f"`{each}`" for each in sorted(peers))
            yield f"| `{name}` | {on} | {whose} | {rule} | {why} |"


class Suite:
    """The plugin; `page` is the document to write the table into, if any."""

    def __init__(self, outcomes: Outcomes, page: Path | None) -> None:
        self._outcomes = outcomes
        self._page = page
        self._tests: dict[str, Case] = {}

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
            if peer is None or mark is None:
                continue
            test = Case(peer, mark.args[0], name_of(item.nodeid, peer))
            self._tests[item.nodeid] = test
            if known := self._outcomes.findings.of(peer, test.name.partition("[")[0]):
                item.add_marker(pytest.mark.xfail(reason=str(known), strict=False))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test went."""
        if report.nodeid in self._tests:
            self._outcomes.note(self._tests[report.nodeid], report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the table, and write it into the page."""
        table = self._outcomes.table()
        terminalreporter.section("peers")
        terminalreporter.write(table)
        if self._page is not None:
            before, rest = self._page.read_text(encoding="utf-8").split(BEGIN)
            after = rest.split(END)[1]
            self._page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def reads_what_another_wrote(item: pytest.Item) -> bool:
    """Whether a test lets one contender go on with what another has left on disk."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    writer = parameters.get("contender_name")
    return parameters.get("reader_name", writer) != writer


def name_of(nodeid: str, peer: str) -> str:
    """Return a test's file, function and parameters but for the peer."""
    path, _, function = nodeid.partition("::")
    name, _, parameters = function.removesuffix("]").partition("[")
    rest = "-".join(part for part in parameters.split(peer) if part).strip("-")
    return f"{Path(path).name}::{name}" + (f"[{rest}]" if rest else "")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-peers", type=Path, metavar="PATH", help="write the table into PATH")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Put all peers to it, if none are named."""
    config.option.contenders_file = TABLE
    config.option.contender = config.option.contender or peers()
    config.pluginmanager.register(Suite(Outcomes(read_findings()), config.option.write_peers))


def peers() -> list[str]:
    """Return the names of all peers."""
    return [name for name, spec in load_contenders(TABLE).items() if spec.peer is not None]
