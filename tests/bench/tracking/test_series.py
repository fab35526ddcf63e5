"""Series over time: what is joined, where one changed for good, what could be seen."""

import re

import msgspec
import pytest

from raftmark.bench.analysis.sequential import Verdict
from raftmark.bench.runs import meanings
from raftmark.bench.studies import lasting
from raftmark.bench.tracking.history import Counted, Entry, Figure, History, add
from raftmark.bench.tracking.series import Kind, breaks, series_of
from raftmark.report.findings.changes import breaks_in_words, changes_in_words, outlook, sights
from raftmark.report.pages.trend import render


def entry(day, value=100.0, *, counts=(), metric="throughput", **changes):
    return Entry(
        schema=1,
        run=f"run-{day}",
        at=f"2026-01-{day:02}T03:00:00.000Z",
        commit=f"{day:040}",
        dirty=False,
        machine=changes.pop("machine", "a machine"),
        figures=[Figure("a", "A", "replicate-w64", metric, value, 0.9 * value, 1.1 * value, 6)],
        counts=[Counted("a", "A", "bytecodes a command", number, 0.02) for number in counts],
        **{"counting": meanings.VERSION, **changes},
    )


def history(entries):
    return History(list(entries), [])


def scattered(*levels, by=0.004, runs=10):
    """Figures that lie about their levels, the same each time."""
    offsets = [0.0, 0.9, -0.7, 0.4, -1.1, 0.6, -0.2, 1.2, -0.5, 0.1]
    return [level * (1 + by * offsets[run % 10]) for level in levels for run in range(runs)]


def test_a_lasting_change_of_a_twentieth_is_found_in_ratios(tmp_path):
    values = scattered(1.0, 0.95)
    found = series_of(
        history(entry(day, value, against="c0ffee") for day, value in enumerate(values, 1))
    )
    [series] = found
    [change] = series.changes()
    assert series.subject.kind is Kind.RATIO
    assert (change.entry.run, change.verdict) == ("run-11", Verdict.SLOWER)
    assert change.ratio == pytest.approx(0.95, rel=0.005)
    [words] = changes_in_words(found)
    assert "A, throughput in replicate-w64, ratio: 1.00" in words
    assert "worse" in words


def test_a_count_is_said_to_change_by_the_first_run_that_has_it():
    numbers = [1000, 1015, 1000, 1050, 1050, 900]
    [series] = [
        each
        for each in series_of(
            history(entry(day, counts=[number]) for day, number in enumerate(numbers, 1))
        )
        if each.subject.kind is Kind.COUNT
    ]
    assert [(c.entry.run, c.verdict) for c in series.changes()] == [
        ("run-4", Verdict.SLOWER),
        ("run-6", Verdict.FASTER),
    ]


def test_a_count_that_creeps_is_seen_once_it_has_left_what_it_was():
    numbers = [1000, 1010, 1019, 1021]
    [series] = [
        each
        for each in series_of(
            history(entry(day, counts=[number]) for day, number in enumerate(numbers, 1))
        )
        if each.subject.kind is Kind.COUNT
    ]
    assert [c.entry.run for c in series.changes()] == ["run-4"]


@pytest.mark.parametrize(
    ("before", "since", "said"),
    [
        (
            {"runtimes": {"a": "CPython 3.11, PGO not configured"}},
            {"runtimes": {"a": "CPython 3.11, PGO"}},
            "a ran on CPython 3.11, PGO not configured before, on CPython 3.11, PGO since",
        ),
        (
            {},
            {"runtimes": {"a": "go 1.27"}},
            "a ran on something that was not kept before, on go 1.27 since",
        ),
        (
            {"cells": {"replicate-w64": "one"}},
            {"cells": {"replicate-w64": "two"}},
            "replicate-w64 is another load under the same name",
        ),
        (
            {"metric": "peak_memory", "against": "c0ffee", "counting": 1},
            {"metric": "peak_memory", "against": "c0ffee", "counting": 2},
            "peak memory is of the measured run, no longer since the process began",
        ),
        (
            {"against": "aaaa"},
            {"against": "bbbb"},
            "compared with aaaa before, with bbbb since",
        ),
        (
            {"machine": "slow"},
            {"machine": "fast"},
            "first run on fast, whose figures are series of their own",
        ),
    ],
)
def test_what_was_measured_otherwise_is_not_joined_and_that_is_said(before, since, said):
    """However far apart they are, what lies between is no change of the program."""
    entries = [entry(day, 100.0, **before) for day in range(1, 11)]
    entries += [entry(day, 200.0, **since) for day in range(11, 21)]
    found = series_of(history(entries))
    assert [len(each.points) for each in found] == [10, 10]
    assert [each.changes() for each in found] == [[], []]
    assert breaks_in_words(found) == [f"{entries[10].at}: {said}"]
    page = render(history(entries))
    assert said in page
    assert ("measured otherwise" in page) == ("machine" not in since)


def test_runs_that_alternate_between_two_builds_are_two_series():
    entries = [
        entry(day, 100.0 + 100 * (day % 2), runtimes={"a": f"build {day % 2}"})
        for day in range(1, 21)
    ]
    found = series_of(history(entries))
    assert [len(each.points) for each in found] == [10, 10]
    assert [each.changes() for each in found] == [[], []]
    assert len(breaks(found)) == 1


def test_a_figure_that_was_not_recounted_goes_on():
    entries = [entry(day, counting=1 + day // 2) for day in range(1, 4)]
    [series] = series_of(history(entries))
    assert len(series.points) == 3


def test_what_is_counted_anew_has_a_meaning_of_its_own():
    assert [c.version for c in meanings.CHANGES] == [*range(2, meanings.VERSION + 1)]
    assert meanings.meaning("peak_memory", 1) == 1
    assert meanings.meaning("peak_memory", meanings.VERSION) >= 2
    assert meanings.meaning("throughput", 2) == 1
    assert meanings.recounted("peak_memory", 2, 2) == []


def test_no_change_is_no_praise_and_says_what_could_be_seen():
    few = history([entry(1), entry(2)])
    assert outlook(series_of(few)) == [
        "Figures of a run by itself: no change would be seen, since no series has 8 runs yet."
    ]
    page = render(few)
    assert "which says no more than what could be seen" in page
    assert "no change would be seen" in page
    noisy = series_of(
        history(entry(d, v) for d, v in enumerate(scattered(100, by=0.15, runs=20), 1))
    )
    [sentence] = outlook(noisy)
    [sight] = sights(noisy)
    assert noisy[0].visible > 0.3
    assert sentence.endswith(f"if it is larger than {sight.visible.replace('above', 'about')}.")


def test_what_would_be_seen_is_seen():
    """The page's promise: nine of ten, at three times the scatter halfway through 20 runs."""
    planted = 1 - 1 / (1 + 3 * 0.015)
    assert lasting.found(seed=1, spread=0.015, planted=planted, histories=20) >= 0.8


def test_time_sees_a_twentieth_where_runs_scatter_little_and_not_where_they_scatter_much():
    assert lasting.found(seed=1, spread=0.01, planted=0.05, histories=20) >= 0.95
    assert lasting.found(seed=1, spread=0.15, planted=0.05, histories=50) <= 0.05


def test_histories_without_a_change_seldom_cry_wolf():
    # One in twenty on average; more than ten of a hundred by chance: once in a hundred times.
    assert lasting.cried(seed=1, histories=100, looks=range(20, 21), series=5) <= 0.1


@pytest.mark.parametrize("levels", [(7.1e4, 7.4e4), (1e3, 1e6), (0.97, 1.03)])
def test_axes_have_numbers(levels):
    """Also where all figures lie between two ticks of a logarithmic axis."""
    page = render(history(entry(d, v) for d, v in enumerate(scattered(*levels), 1)))
    wide = page[page.index('<div class="wide">') : page.index('<div class="narrow">')]
    numbers = re.findall(r"text-anchor: end[^>]*>([\d.,]+[kM]?)<", wide)
    assert len(numbers) >= 3
    assert len(set(numbers)) == len(numbers)


def test_the_commands_say_what_is_not_joined(tmp_path, command):
    for day, runtime in enumerate(["CPython 3.11", "CPython 3.12"], 1):
        add(tmp_path / "history", entry(day, runtimes={"a": runtime}))
    listed = command("history", "list", cwd=tmp_path).stdout
    assert "Not joined:\n2026-01-02T03:00:00.000Z: a ran on CPython 3.11 before" in listed
    command("history", "report", cwd=tmp_path)
    page = (tmp_path / "history.html").read_text(encoding="utf-8")
    assert "on CPython 3.12 since" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_entries_from_before_conditions_were_kept_are_read():
    old = msgspec.to_builtins(entry(1))
    for field in ("cells", "counting", "against", "counts"):
        del old[field]
    assert msgspec.convert(old, Entry).counting == meanings.FIRST
