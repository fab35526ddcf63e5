"""`raftmark compare` and `raftmark gate`: HEAD against BASE."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raftmark.commands.choosing import listed
from raftmark.commands.options import MOST_BLOCKS, Results
from raftmark.commands.writing import require_place, write
from raftmark.terminal.console import say

if TYPE_CHECKING:
    from raftmark.bench.tracking.compare import Comparison
    from raftmark.bench.tracking.gate import Wish

_PASSED, _BROKEN, _UNDECIDED, _WORSE, _INTERRUPTED = 0, 1, 3, 4, 130

_Base = Annotated[str, typer.Argument(metavar="BASE", help="A git revision, or a run.")]
_Head = Annotated[
    str | None,
    typer.Argument(
        metavar="HEAD", help="The same; without it, the working tree.", show_default=False
    ),
]
_Contenders = Annotated[str | None, typer.Option(metavar="A,B", help="Only these contenders.")]
_Workloads = Annotated[str | None, typer.Option(metavar="A,B", help="Only these workloads.")]
_Margin = Annotated[
    float,
    typer.Option(min=0.1, max=100, metavar="PERCENT", help="A change that nobody minds."),
]
_Blocks = Annotated[
    int, typer.Option(min=1, max=MOST_BLOCKS, help="Measure no more than so many pairs of each.")
]
_Budget = Annotated[
    float, typer.Option(min=0, metavar="MINUTES", help="Begin no trial later than this.")
]
_Seed = Annotated[int | None, typer.Option(min=0, help="Repeat the order of an earlier run.")]
_Format = Annotated[str, typer.Option("--format", help="text, markdown, json or html.")]
_Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to a file instead.")
]
_Table = Annotated[
    Path,
    typer.Option(
        "--contenders-file",
        metavar="PATH",
        help="Where a revision has its contenders' table, from the top of the project.",
    ),
]
_TABLE = Path("bench/contenders.toml")


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command(name="compare")(compare)
    app.command(name="gate")(gate)


def compare(
    base: _Base,
    head: _Head = None,
    contenders: _Contenders = None,
    workloads: _Workloads = None,
    margin: _Margin = 5,
    blocks: _Blocks = 100,
    budget: _Budget = 15,
    seed: _Seed = None,
    format: _Format = "text",
    output: _Output = None,
    results: Results = Path("results"),
    contenders_file: _Table = _TABLE,
) -> None:
    """Compare two revisions, or two runs: is HEAD slower or faster than BASE, and by how much?

    Two revisions are checked out side by side and measured in turns, until every figure is decided
    or the time is over. Two runs are compared as they were measured. BASE alone may also be the
    run of an earlier comparison, also of one that was killed. Ctrl-C ends the measuring and still
    says what is known.
    """
    wish = _wish(contenders, workloads, margin, blocks, budget, seed)
    _compare_and_write(base, head, wish, results, contenders_file, format, output)


def gate(
    base: _Base,
    head: _Head = None,
    fail_undecided: Annotated[
        bool, typer.Option(help="Fail, with status 3, when something could not be decided.")
    ] = False,
    contenders: _Contenders = None,
    workloads: _Workloads = None,
    margin: _Margin = 5,
    blocks: _Blocks = 100,
    budget: _Budget = 15,
    seed: _Seed = None,
    format: _Format = "text",
    output: _Output = None,
    results: Results = Path("results"),
    contenders_file: _Table = _TABLE,
) -> None:
    """Compare as `compare` does, and end with a status for continuous integration.

    0: nothing got worse, as far as it can be told, or there is nothing to compare with yet; 1: HEAD
    does not work, broke a safety rule, or told what cannot be; 2: wrong usage; 3: nothing could be
    decided, or with --fail-undecided, not everything; 4: something got slower, or a command costs
    more messages, bytes or saves; 130: interrupted.
    """
    wish = _wish(contenders, workloads, margin, blocks, budget, seed)
    try:
        comparison = _compare_and_write(base, head, wish, results, contenders_file, format, output)
    except (typer.BadParameter, typer.Exit):
        raise
    except typer.TyperException as error:
        error.exit_code = _UNDECIDED
        raise
    raise typer.Exit(_status(comparison, fail_undecided))


def _status(comparison: Comparison, fail_undecided: bool) -> int:
    from raftmark.bench.tracking.compare import Outcome

    match comparison.outcome:
        case Outcome.BROKEN:
            return _BROKEN
        case Outcome.WORSE:
            return _WORSE
        case Outcome.UNDECIDED:
            return _UNDECIDED
        case Outcome.FIRST | Outcome.PASSED:
            return _UNDECIDED if fail_undecided and comparison.undecided else _PASSED


def _wish(
    contenders: str | None,
    workloads: str | None,
    margin: float,
    blocks: int,
    budget: float,
    seed: int | None,
) -> Wish:
    from raftmark.bench.tracking.gate import Wish
    from raftmark.bench.tracking.plans import gated_cells

    wish = Wish(
        contenders=listed(contenders),
        workloads=listed(workloads),
        margin=margin / 100,
        blocks=blocks,
        budget_s=60 * budget,
        seed=seed,
    )
    known = dict.fromkeys(gated.cell.workload["name"] for gated in gated_cells())
    if unknown := [name for name in wish.workloads if name not in known]:
        raise typer.BadParameter(
            f"no workload {', '.join(unknown)} is compared; choose from {', '.join(known)}"
        )
    return wish


def _compare_and_write(
    base: str,
    head: str | None,
    wish: Wish,
    results: Path,
    table: Path,
    format: str,
    output: Path | None,
) -> Comparison:
    """Write what was found, also by a comparison that was interrupted, which ends the command."""
    from raftmark.report.pages.difference import FORMATS

    if format not in FORMATS:
        raise typer.BadParameter(f"no format {format}; choose from {', '.join(FORMATS)}")
    if output is not None:
        require_place(output)
    comparison, interrupted = _compare(base, head, wish, results, table)
    _write(FORMATS[format](comparison), output)
    if interrupted:
        raise typer.Exit(_INTERRUPTED)
    return comparison


def _compare(
    base: str, head: str | None, wish: Wish, results: Path, table: Path
) -> tuple[Comparison, bool]:
    """Return the comparison, and whether its measuring was interrupted."""
    from raftmark.bench.runs.store import Run, StoreError
    from raftmark.bench.tracking.compare import compare, compare_runs
    from raftmark.bench.tracking.plans import Plan, plan_of_runs
    from raftmark.bench.tracking.revisions import NoTable, RevisionError, UnknownRevision

    try:
        runs = [_find_run(name, results) for name in (base, head) if name is not None]
        found = [Run.open(run) for run in runs if run is not None]
        match found:
            case []:
                return _compare_revisions(base, head, wish, results, table)
            case [first, second]:
                return compare_runs(first, second, plan_of_runs(first, second, wish.margin)), False
            case [only, *_]:
                if head is None and (plan := Plan.of(only)) is not None:
                    return compare(only, plan), False
    except UnknownRevision as error:
        raise typer.BadParameter(str(error)) from error
    except NoTable as error:
        raise typer.BadParameter(f"{error}; name it with --contenders-file") from error
    except (RevisionError, StoreError) as error:
        raise typer.TyperException(str(error)) from error
    raise typer.BadParameter(
        "compare two revisions, or two runs; alone, only the run of an earlier comparison"
    )


def _compare_revisions(
    base: str, head: str | None, wish: Wish, results: Path, table: Path
) -> tuple[Comparison, bool]:
    from raftmark.bench.tracking.compare import compare
    from raftmark.bench.tracking.gate import Side, begin, measure
    from raftmark.bench.tracking.plans import BASE, HEAD
    from raftmark.bench.tracking.revisions import WORKING_TREE, Repository, Revision

    repository = Repository(Path.cwd())
    revisions = [
        Revision(WORKING_TREE, None) if name is None else repository.resolve(name)
        for name in (base, head)
    ]
    say(f"checking out {revisions[0]} and {revisions[1]}")
    with repository.checked_out(*revisions) as directories:
        old, new = (
            Side.of(repository, revision, directory, table, which, wish.contenders)
            for revision, directory, which in zip(revisions, directories, (BASE, HEAD), strict=True)
        )
        run, plan = begin(old, new, wish, results, say)
        specs = {spec.name: spec for of in (old, new) for spec in of.contenders.values()}
        say(
            f"run {run.manifest.run}, seed {run.manifest.seed}: {len(plan.figures)} figures, "
            f"margin {100 * plan.margin:g} %"
            if plan.figures
            else "nothing to measure"
        )
        interrupted = False
        with run.lock():
            try:
                if plan.figures:
                    say(measure(run, plan, specs, wish.budget_s, say).value)
            except KeyboardInterrupt:
                interrupted = True
                say("interrupted; this is what is known")
        return compare(run, plan), interrupted


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
    else:
        write(output, text)


def _find_run(name: str, results: Path) -> Path | None:
    return next((p for p in (Path(name), results / name) if (p / "run.json").is_file()), None)
