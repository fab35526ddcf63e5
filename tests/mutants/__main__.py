"""`python -m tests.mutants`: break each rule on purpose, and show that the suite goes red."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from .runner import CannotRun, Verdict, copy_of, judge, run_tests
from .table import LANGUAGES, ROOT, RULES, Mutant, Rule, load_rules

_COLOURS = {
    Verdict.CAUGHT: "green",
    Verdict.HUNG: "green",
    Verdict.SURVIVED: "bold red",
    Verdict.ERROR: "bold yellow",
}
_WIDTH_OF_A_FILE = 130


def main(
    rule: Annotated[
        list[int] | None, typer.Option(help="Only this rule (may be repeated).")
    ] = None,
    language: Annotated[
        list[str] | None, typer.Option(help=f"Only this one of {', '.join(LANGUAGES)}.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many mutants to try at a time.")] = (
        os.cpu_count() or 1
    ),
) -> None:
    """Break each rule on purpose, and show that its tests go red.

    Exit status: 0 if every mutant is caught, 1 if one is not, 2 for wrong usage.
    """
    for number in rule or ():
        if number not in RULES:
            raise typer.BadParameter(f"there are rules {RULES[0]} to {RULES[-1]}, not {number}")
    for name in language or ():
        if name not in LANGUAGES:
            raise typer.BadParameter(f"known are {' and '.join(LANGUAGES)}, not {name}")
    rules = [r for r in load_rules() if not rule or r.number in rule]
    mutants = [m for r in rules for m in r.mutants if not language or m.language in language]
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH_OF_A_FILE)
    began = time.monotonic()
    # The sources may change while this runs: all mutants are of those that it began with.
    with copy_of(ROOT) as sources:
        if not _green(mutants, sources):
            sys.exit(1)
        verdicts = _try_all(mutants, sources, jobs)
    console.print(_table(rules, verdicts))
    counts = Counter(verdict.value for verdict, _ in verdicts.values())
    summary = ", ".join(f"{count} {name}" for name, count in counts.items())
    console.print(f"{len(mutants)} mutants tried in {time.monotonic() - began:.0f} s: {summary}.")
    sys.exit(0 if all(verdict.good for verdict, _ in verdicts.values()) else 1)


def _green(mutants: Sequence[Mutant], sources: Path) -> bool:
    """Whether the tests pass as long as nothing is broken; says which do not."""
    green = True
    for language in dict.fromkeys(mutant.language for mutant in mutants):
        tests = [test for m in mutants if m.language == language for test in m.red]
        print(f"{language}: {len(set(tests))} tests, with nothing broken", file=sys.stderr)
        try:
            with copy_of(sources) as tree:
                failed = run_tests(language, tests, tree).failed
        except CannotRun as error:
            print(f"{language}: the tests cannot run: {error}", file=sys.stderr)
            green = False
            continue
        for test, why in failed.items():
            print(f"{language}: {test} is red ({why}) with nothing broken", file=sys.stderr)
            green = False
    return green


def _try_all(
    mutants: Sequence[Mutant], sources: Path, jobs: int
) -> dict[Mutant, tuple[Verdict, str]]:
    verdicts: dict[Mutant, tuple[Verdict, str]] = {}
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    with (
        ThreadPoolExecutor(jobs) as pool,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("mutants", total=len(mutants))
        trials = {pool.submit(judge, mutant, sources): mutant for mutant in mutants}
        try:
            for trial in as_completed(trials):
                verdict, why = verdicts[trials[trial]] = trial.result()
                if not verdict.good:
                    mutant = trials[trial]
                    progress.console.print(
                        f"rule {mutant.rule}, {mutant.language}, {mutant.breaks}: "
                        f"{verdict.value}\n{why}",
                        markup=False,
                    )
                progress.advance(task)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return verdicts


def _table(rules: Sequence[Rule], verdicts: dict[Mutant, tuple[Verdict, str]]) -> Table:
    table = Table(title="Every rule, broken on purpose")
    for heading in ("Rule", "Says", "Language", "Broken so", "Tests", "Verdict"):
        table.add_column(heading, overflow="fold")
    for rule in rules:
        number, says = str(rule.number), f"{rule.says} ({rule.section})"
        tried = [mutant for mutant in rule.mutants if mutant in verdicts]
        for language, group in groupby(tried, lambda mutant: mutant.language):
            for mutant in group:
                verdict, _ = verdicts[mutant]
                shown = Text(verdict.value, style=_COLOURS[verdict])
                table.add_row(number, says, language, mutant.breaks, str(len(mutant.red)), shown)
                number = says = language = ""
        table.add_section()
    return table


if __name__ == "__main__":
    typer.run(main)
