"""Primitives: what each model is made of, and its share of its own limit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from raftmark.bench.runs.readings import CASES
from raftmark.report.findings.analysis import Analysis
from raftmark.report.pages.sections import primitives
from tests.report.page_reader import Element, Page
from tests.report.synthetic_runs import LABELS, REALISTIC, alike

# A page takes some seconds to draw, and minutes where much else runs.
pytestmark = pytest.mark.timeout(900)
ReadReport = Callable[[str], Page]


def found_in(page: Page) -> Element:
    (found,) = (s for s in page.every("section") if s.attributes["id"] == "primitives")
    return found


def test_every_case_has_its_median_and_interval(examine: Callable[..., Analysis]) -> None:
    facts = primitives.section(examine(bare=True, blocks=6)).facts
    assert list(dict.fromkeys(row.case for row in facts["rows"])) == CASES
    usual, fastest = facts["rows"][:2]
    assert set(usual.times) == set(LABELS)
    for name, time in fastest.times.items():
        expected = 1e3 * REALISTIC[name].latency_us / 4
        assert time.value == pytest.approx(expected, rel=0.15)
        assert time.interval[0] < time.value < time.interval[1]
        assert usual.times[name].value == pytest.approx(2 * expected, rel=0.15)
        assert usual.means[name] == "made up"


def test_a_timers_lateness_has_its_tail_too(examine: Callable[..., Analysis]) -> None:
    rows = {row.label: row for row in primitives.section(examine(bare=True)).facts["rows"]}
    for case in ("idle", "busy"):
        median, tail = (rows[f"timer lateness, {case}{what}"] for what in ("", ", p99"))
        assert set(tail.times) == set(LABELS)
        for name, time in tail.times.items():
            assert time.value == pytest.approx(3 * median.times[name].value)


def test_a_share_is_of_the_models_own_limit(examine: Callable[..., Analysis]) -> None:
    # A round trip takes 25 µs and a message half of that; a lone command adds what one of 100,000
    # a second costs: 10 µs.
    behaviours = alike(capacity=100_000, latency_us=50, spread=0.0)
    facts = primitives.section(examine(behaviours=behaviours, bare=True, blocks=2)).facts
    assert list(facts["shares"]) == list(LABELS)
    share = facts["shares"]["go"]
    assert share.round_trip.value == pytest.approx(25_000)
    assert share.message.value == pytest.approx(12_500)
    assert share.alone.value == share.round_trip.value / share.commit.value
    assert share.alone.value == pytest.approx(25 / 60, rel=0.1)
    # 64 at a time take 50 µs and 640 µs.
    assert share.throughput.value == pytest.approx(64 / 690e-6, rel=0.01)
    assert share.busy.value == pytest.approx(12.5 * 64 / 690, rel=0.01)


def test_a_share_is_no_surer_than_both_its_figures(examine: Callable[..., Analysis]) -> None:
    for share in primitives.section(examine(bare=True, blocks=6)).facts["shares"].values():
        low, high = share.alone.interval
        assert low == share.round_trip.interval[0] / share.commit.interval[1]
        assert high == share.round_trip.interval[1] / share.commit.interval[0]
        low, high = share.busy.interval
        assert low == pytest.approx(share.message.interval[0] * share.throughput.interval[0] / 1e9)
        assert high == pytest.approx(share.message.interval[1] * share.throughput.interval[1] / 1e9)
        assert low < share.busy.value < high


def test_there_is_no_share_of_what_was_not_measured(examine: Callable[..., Analysis]) -> None:
    facts = primitives.section(examine(bare=True, keep=lambda trial: False)).facts
    assert {row.case for row in facts["rows"]} == set(CASES)
    assert facts["shares"] == {}


def test_the_page_has_the_figures(read_report: ReadReport) -> None:
    section = found_in(read_report("everything"))
    assert [h.text for h in section.every("h3")] == ["Roofline: the share of the model's own limit"]
    by_id = {table.attributes["id"]: table for table in section.every("table")}
    shares = [row for body in by_id["roofline-table"].every("tbody") for row in body.every("tr")]
    assert [row.children[0].text for row in shares] == [*LABELS.values(), "Python threads, 3.13t"]
    for row in shares:
        assert all(float(cell.attributes["data-value"]) > 0 for cell in row.every("td"))
    cases = [row for body in by_id["primitives-table"].every("tbody") for row in body.every("tr")]
    assert [row.children[0].text for row in cases][-2:] == [
        "timer lateness, busy how late a timer of 10 ms comes",
        "timer lateness, busy, p99 how late a timer of 10 ms comes",
    ]


def test_readings_that_failed_are_listed_with_the_reason(read_report: ReadReport) -> None:
    section = found_in(read_report("attacked"))
    assert "96 readings failed and are in no figure" in section.text
    *_, failed = section.every("ul")
    reasons = [item.text for item in failed.every("li")]
    assert len(reasons) == len(CASES)
    assert reasons[0].startswith("Python threads, spawn and join, usual, 8 times: <script>")
    legend = next(section.every("ul", of_class="legend"))
    assert f"{LABELS['threading']} (not measured)" in legend.text


def test_a_run_without_them_says_what_adds_them(read_report: ReadReport) -> None:
    section = found_in(read_report("complete"))
    assert not list(section.every("table", "svg"))
    assert "raftmark primitives --run complete" in section.text
