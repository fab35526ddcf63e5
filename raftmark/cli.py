"""The command line: `raftmark`.

Only what every command needs is imported here; `raftmark host` must start as fast as what it
starts, so each command imports the rest itself.
"""

from __future__ import annotations

import io
import os
import secrets
import shlex
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer

from raftmark.bench.contenders.contender import ContenderFailed
from raftmark.bench.contenders.places import ROOT
from raftmark.bench.contenders.registry import (
    DEFAULT_TABLE,
    ContenderSpec,
    RegistryError,
    Unavailable,
    UnknownName,
    load_contenders,
)
from raftmark.bench.contenders.variants import Contenders, Variant, find_interpreters
from raftmark.commands import comparing, history, keeping, planning, publishing
from raftmark.commands.keeping import find_run

if TYPE_CHECKING:
    from rich.console import Console

    from raftmark.bench.design.specification import Specification
    from raftmark.bench.experiment.measure import End
    from raftmark.bench.runs.forms import Asked, ContenderEntry
    from raftmark.bench.runs.store import Run

_FAILED, _USAGE, _INTERRUPTED = 1, 2, 130


class _Interruptible(typer.core.TyperGroup):
    """Commands whose interruption `main` tells of; Typer by itself would end without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None


app = typer.Typer(
    name="raftmark",
    cls=_Interruptible,
    help="Measure one Raft in four concurrency models. "
    "Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
comparing.register(app)
history.register(app)
publishing.register(app)
planning.register(app)
keeping.register(app)

ContendersFile = Annotated[
    Path,
    typer.Option(
        metavar="PATH",
        help="A contenders' table to use instead of the project's: the way to try another "
        "contender, which has to speak the protocol of docs/protocol.md.",
        show_default=False,
    ),
]
Pythons = Annotated[
    list[str] | None,
    typer.Option(
        "--python",
        metavar="VERSION|PATH",
        help="Another interpreter for the Python contenders: a version, such as 3.14 or 3.14t "
        "(free-threaded), or the path of its executable. May be repeated.",
        show_default="auto: only the one that runs raftmark",
    ),
]
Variables = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        metavar="NAME[=VALUE]",
        help="A variable that the contenders start with, besides the few that all have; without a "
        "value, that which it has here. May be repeated. It is kept with the run.",
    ),
]
ContenderNames = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Only these contenders; asyncio@uvloop is asyncio on uvloop, threading@3.14t "
        "threads on that interpreter.",
    ),
]
IntoRun = Annotated[
    str | None, typer.Option(metavar="RUN", help="Keep it in a run that was measured before.")
]
Results = Annotated[Path, typer.Option(metavar="DIR", help="The directory that holds the runs.")]


def main() -> NoReturn:
    """Run the command line, and turn every expected error into one line on standard error."""
    _print_all_that_is_said()
    try:
        status = app(standalone_mode=False)
    except typer.TyperException as error:
        _complain(error.format_message())
        status = error.exit_code
    except UnknownName as error:
        _complain(str(error))
        status = _USAGE
    except (RegistryError, Unavailable, ContenderFailed) as error:
        _complain(str(error))
        status = _FAILED
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted")
        status = _INTERRUPTED
    sys.exit(status)


def _print_all_that_is_said() -> None:
    """Let no character fail to be printed, and write UTF-8 to what is no terminal.

    A file or a pipe that the output goes to is read elsewhere, where this locale is not known.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            asked = "PYTHONIOENCODING" in os.environ or stream.isatty()
            encoding = stream.encoding if asked else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


@app.command()
def host(
    name: Annotated[str, typer.Argument(help="The contender's name.")],
    env: Variables = None,
    contenders_file: ContendersFile = DEFAULT_TABLE,
) -> None:
    """Become a contender: it reads requests from standard input and answers on standard output."""
    (spec,) = _choose(name, _contenders(contenders_file, None, env)).values()
    spec.prepare()
    argv = spec.argv()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would keep that.
    try:
        if spec.directory != ROOT:
            os.chdir(spec.directory)
        os.execvpe(argv[0], argv, spec.environment())
    except OSError as error:
        raise Unavailable(f"cannot start {argv[0]}: {error.strerror}") from error


@app.command()
def contenders(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    python: Pythons = None,
    env: Variables = None,
    contenders_file: ContendersFile = DEFAULT_TABLE,
) -> None:
    """List the contenders, what they run on, and for one that cannot run, why."""
    import msgspec

    from raftmark.bench.experiment.entries import describe
    from raftmark.terminal.tables import contenders_table

    known = _contenders(contenders_file, python, env)
    entries = [describe(spec) for spec in known.spread(known.forms()).values()]
    if json:
        print(msgspec.json.format(msgspec.json.encode(entries), indent=2).decode())
    else:
        _console(sys.stdout).print(contenders_table(entries))


@app.command()
def bench(
    profile: Annotated[
        str | None,
        typer.Option(
            help="What to measure: quick (five minutes), full (hours), or paper (the Raft paper's "
            "Figure 16, hours).",
            show_default="quick",
        ),
    ] = None,
    contenders: ContenderNames = None,
    python: Pythons = None,
    workloads: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these workloads.")
    ] = None,
    cells: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Only these cells; replicate-* are all that begin so."),
    ] = None,
    blocks: Annotated[
        int | None, typer.Option(min=1, help="How often every contender runs in every cell.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="2%",
            help="How far the figures' intervals may reach: a pilot of six blocks then chooses how "
            "many blocks there are and how long they last.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Repeat the order of an earlier run.")
    ] = None,
    twin: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The contender that runs twice, to show what differs where nothing does.",
            show_default="one chosen by the seed",
        ),
    ] = None,
    no_twin: Annotated[bool, typer.Option("--no-twin", help="Let no contender run twice.")] = False,
    results: Results = Path("results"),
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Go on with a run that was interrupted.")
    ] = None,
    primitives: Annotated[
        bool, typer.Option("--primitives", help="Measure what the models consist of, too.")
    ] = False,
    report: Annotated[bool, typer.Option(help="Write the HTML report at the end.")] = True,
    env: Variables = None,
    contenders_file: ContendersFile = DEFAULT_TABLE,
) -> None:
    """Measure the contenders and write a report.

    Ctrl-C keeps what is measured and still writes the report. A trial that fails is kept as a
    failure and never averaged in. The exit status is 1 when no trial at all succeeded or when a
    contender broke a safety rule.
    """
    # A run that is asked to end by the system ends as one that is interrupted at the terminal.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    from raftmark.bench.design.specification import SpecificationError
    from raftmark.bench.runs.store import Run, StoreError

    specs = _contenders(contenders_file, python, env)
    asked = _asked(contenders_file, python, env)
    try:
        if resume is None:
            if twin is not None and no_twin:
                raise typer.BadParameter("choose one of --twin and --no-twin")
            if precision is not None and blocks is not None:
                raise typer.BadParameter("choose one of --precision and --blocks")
            run = _new_run(
                specs,
                profile,
                contenders,
                workloads,
                cells,
                blocks,
                seed,
                results,
                twin,
                not no_twin,
                None if precision is None else _precision(precision),
                contenders_file.parent,
                asked,
            )
        else:
            chosen = (profile, contenders, workloads, cells, blocks, precision, seed, twin)
            if no_twin or any(option is not None for option in chosen):
                raise typer.BadParameter(
                    "--resume goes on with a run as it was begun: leave out the options that "
                    "choose what is measured"
                )
            run = Run.open(find_run(resume, results))
            if run.manifest.adaptive:
                raise typer.BadParameter(
                    f"{run.manifest.run} is a comparison, which is not resumed: begin another; "
                    f"what it knew, 'raftmark compare {run.manifest.run}' tells"
                )
        with run.lock():
            if resume is not None:
                _go_on(run, specs, contenders_file.parent)
            try:
                end = _measure(run, specs)
                if primitives and end is not None:
                    end = _measure_primitives(run, specs, end)
                if report and end is not None:
                    end = _record(run, specs, end)
            except StoreError as error:
                raise StoreError(f"{error}; then {_how_to_resume(run)}") from error
        try:
            _conclude(run, end, report)
        except KeyboardInterrupt:
            _say_what_is_missing(run, "interrupted")
            raise typer.Exit(_INTERRUPTED) from None
    except SpecificationError as error:
        raise typer.BadParameter(str(error)) from error
    except StoreError as error:
        raise typer.TyperException(str(error)) from error


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="A run's name, or the path of its directory.")],
    later: Annotated[
        str | None,
        typer.Argument(
            metavar="[LATER]",
            help="A later run: its report is written, with what changed since the first.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where to write the report."),
    ] = None,
    results: Results = Path("results"),
) -> None:
    """Write the report of a run that was measured before, complete or not."""
    from raftmark.bench.runs.store import Run, StoreError

    try:
        first = Run.open(find_run(run, results))
        if later is None:
            print(_write_report(first, output))
        else:
            print(_write_report(Run.open(find_run(later, results)), output, first))
    except StoreError as error:
        raise typer.TyperException(str(error)) from error


@app.command()
def floors(
    blocks: Annotated[int, typer.Option(min=1, help="How often everything is measured.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Determines the order.")] = 1,
    results: Results = Path("results"),
) -> None:
    """Hold the contenders against PySyncObj and against their models' bare ping-pong.

    Prints the ratios that show whether the implementations are fast enough to stand for their
    models, with the bound that each is meant to keep: throughput against PySyncObj (three
    processes on loopback, no journal, its better setting) at 64 and at 1 outstanding; Go's
    commands/s at 256; and the time of a lone command against the messages it consists of. A block
    takes about a minute. It needs the development requirements and an otherwise idle machine.
    """
    from raftmark.bench.baselines.floors import measure_floors, specification
    from raftmark.bench.runs.store import StoreError
    from raftmark.terminal.tables import floors_table

    specs = load_contenders()
    try:
        run = _create(specs, specification(blocks), "floors", seed, results)
        with run.lock():
            _console(sys.stdout).print(floors_table(measure_floors(run, specs, _say)))
    except StoreError as error:
        raise typer.TyperException(str(error)) from error


@app.command()
def primitives(
    quick: Annotated[bool, typer.Option("--quick", help="A first answer, in less blocks.")] = False,
    blocks: Annotated[
        int | None, typer.Option(min=1, help="How often everything is measured.")
    ] = None,
    contenders: ContenderNames = None,
    python: Pythons = None,
    env: Variables = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Determines the order.")] = None,
    run: IntoRun = None,
    results: Results = Path("results"),
) -> None:
    """Measure what the models consist of, without any Raft, and print a table.

    Spawn and join, one-way and ping-pong messages, a majority of four, lock hand-over, and how late
    timers come: each with the model's usual tool and with its fastest one, in randomised blocks.
    The readings are kept in `primitives.jsonl`; with --run, those that a run lacks are added.
    """
    from raftmark.bench.primitives.bare import go_benchmarks, models
    from raftmark.bench.primitives.measure import FULL, QUICK, measure_primitives
    from raftmark.bench.runs.store import StoreError
    from raftmark.terminal.tables import primitives_table

    effort = QUICK if quick else FULL
    effort = effort._replace(blocks=blocks or effort.blocks)
    try:
        chosen, specs = _bare_run(
            "primitives", contenders, python, env, effort.blocks, seed, run, results
        )
        with chosen.lock():
            measure_primitives(chosen, models(specs, go_benchmarks, _say), effort, _say)
        _console(sys.stdout).print(primitives_table(chosen))
        print(chosen.path)
    except StoreError as error:
        raise typer.TyperException(str(error)) from error


@app.command()
def races(
    runs: Annotated[int, typer.Option(min=1, help="How often each program runs.")] = 1000,
    contenders: ContenderNames = None,
    python: Pythons = None,
    env: Variables = None,
    run: IntoRun = None,
    results: Results = Path("results"),
) -> None:
    """Run the seminar paper's programs many times, and count their outcomes.

    Two that compute with the same variables: unsynchronised, and synchronised by a message; and
    eight that are started and joined in turn. The outcomes are kept in `races.json`.
    """
    from raftmark.bench.primitives.bare import go_races, models
    from raftmark.bench.primitives.races import count_races
    from raftmark.bench.runs.outcomes import load
    from raftmark.bench.runs.store import StoreError
    from raftmark.terminal.tables import races_table

    try:
        chosen, specs = _bare_run("races", contenders, python, env, 1, None, run, results)
        with chosen.lock():
            count_races(chosen.path, models(specs, go_races, _say), runs, _say)
        _console(sys.stdout).print(races_table(load(chosen.path)))
        print(chosen.path)
    except StoreError as error:
        raise typer.TyperException(str(error)) from error


def _bare_run(
    kind: str,
    contenders: str | None,
    python: list[str] | None,
    env: list[str] | None,
    blocks: int,
    seed: int | None,
    into: str | None,
    results: Path,
) -> tuple[Run, dict[str, ContenderSpec]]:
    """Return the run that what has no Raft in it is kept in, and its contenders that can run."""
    from raftmark.bench.design.specification import Specification
    from raftmark.bench.runs.store import Run

    specs = _contenders(DEFAULT_TABLE, python, env)
    if into is None:
        chosen = specs.spread(_choose(contenders, specs))
        seed = secrets.randbelow(2**32) if seed is None else seed
        asked = _asked(DEFAULT_TABLE, python, env)
        run = _create(chosen, Specification(blocks, []), kind, seed, results, asked=asked)
    elif seed is not None or contenders is not None:
        raise typer.BadParameter("--run has its contenders and its seed: leave these options out")
    else:
        run = Run.open(find_run(into, results))
        _check_surroundings(run, specs)
    return run, _able(run, specs)


def _able(run: Run, specs: Contenders) -> dict[str, ContenderSpec]:
    """Return the contenders of a run that can run, without their twins."""
    entries = run.manifest.contenders
    names = [entry.name for entry in entries if entry.unavailable is None and not entry.twin]
    return {name: specs[name] for name in names}


def _new_run(
    specs: Contenders,
    profile: str | None,
    contenders: str | None,
    workloads: str | None,
    cells: str | None,
    blocks: int | None,
    seed: int | None,
    results: Path,
    twin: str | None,
    with_twin: bool,
    precision: float | None,
    project: Path,
    asked: Asked,
) -> Run:
    from raftmark.bench.design.specification import PROFILES, narrow

    profile = profile or "quick"
    if profile not in PROFILES:
        raise typer.BadParameter(f"no profile {profile}; choose from {', '.join(PROFILES)}")
    specification = narrow(
        PROFILES[profile](), workloads=_names(workloads), cells=_names(cells), blocks=blocks
    )
    chosen = specs.spread(_choose(contenders, specs))
    seed = secrets.randbelow(2**32) if seed is None else seed
    if twin is not None and twin not in chosen:
        raise typer.BadParameter(f"no contender {twin}; choose from {', '.join(chosen)}")
    if precision is not None:
        specification = _planned(
            specs, chosen, specification, profile, seed, results, precision, project, asked
        )
    return _create(chosen, specification, profile, seed, results, twin, with_twin, project, asked)


def _planned(
    specs: Contenders,
    chosen: Mapping[str, ContenderSpec],
    specification: Specification,
    profile: str,
    seed: int,
    results: Path,
    precision: float,
    project: Path,
    asked: Asked,
) -> Specification:
    """Measure a pilot, and return the specification that its variances ask for."""
    from raftmark.bench.design.specification import narrow
    from raftmark.bench.experiment.measure import End
    from raftmark.bench.planning.pilot import PILOT_BLOCKS, plan

    _say("a pilot first, to see how the figures vary")
    narrowed = narrow(specification, blocks=PILOT_BLOCKS)
    pilot = _create(chosen, narrowed, profile, seed, results, project=project, asked=asked)
    with pilot.lock():
        if _measure(pilot, specs) is not End.COMPLETE:
            raise typer.Abort
    made = plan(pilot, precision, specification)
    planning.show(made)
    return made.specification


def _precision(text: str) -> float:
    from raftmark.bench.planning.pilot import read_precision

    try:
        return read_precision(text)
    except ValueError as error:
        raise typer.BadParameter(f"'--precision': {error}; write it as 2%") from error


def _create(
    chosen: Mapping[str, ContenderSpec],
    specification: Specification,
    profile: str,
    seed: int,
    results: Path,
    twin: str | None = None,
    with_twin: bool = False,
    project: Path = ROOT,
    asked: Asked | None = None,
) -> Run:
    """Make a run of the chosen contenders, those that cannot run included.

    With `with_twin` one of them runs twice: the one named `twin`, or one that the seed chooses.
    `project` is the directory that they come from, and `asked` what is kept of the command line.
    """
    from raftmark.bench.experiment.entries import describe, gil_is_back
    from raftmark.bench.experiment.environment import describe_environment
    from raftmark.bench.experiment.twin import choose_base, twin_of
    from raftmark.bench.runs.forms import Asked, Manifest
    from raftmark.bench.runs.store import Run, free_name, now

    entries = []
    for spec in chosen.values():
        _say(f"preparing {spec.name}")
        found = describe(spec)
        entries.append(found)
        if found.unavailable is not None:
            _say(f"{spec.name} cannot run: {found.unavailable}")
        elif isinstance(spec, Variant):
            for package, why in spec.lacks().items():
                _say(f"{spec.name} goes without {package}: {why}")
        if gil_is_back(found):
            _say(
                f"{spec.name} runs with the GIL on, although its build is free-threaded: "
                "PYTHON_GIL or an extension module turned it on"
            )
    if all(entry.unavailable is not None for entry in entries):
        raise Unavailable("no contender can run, so there is nothing to measure")
    if with_twin and (base := choose_base(entries, seed, twin)) is not None:
        entries.append(twin_of(base))
    _say_what_is_not_asked(entries, specification)
    return Run.create(
        results,
        Manifest(
            run=free_name(results, profile),
            profile=profile,
            seed=seed,
            started_at=now(),
            specification=specification,
            contenders=entries,
            environment=describe_environment(project),
            asked=asked or Asked(),
        ),
    )


def _say_what_is_not_asked(entries: list[ContenderEntry], specification: Specification) -> None:
    for entry in entries:
        lacking = [(cell, entry.lacks(cell)) for cell in specification.cells]
        features = sorted({feature for _, lacks in lacking for feature in lacks})
        if features and entry.unavailable is None:
            count = sum(bool(lacks) for _, lacks in lacking)
            _say(f"{entry.name} does not offer {', '.join(features)}: not asked for {count} cells")


def _go_on(run: Run, specs: Contenders, project: Path) -> None:
    """Check that a run can go on, and note that it does."""
    from raftmark.bench.experiment.environment import describe_environment

    bases = {entry.name.partition("@")[0] for entry in run.manifest.contenders if not entry.twin}
    if missing := sorted(bases - {*specs}):
        raise typer.BadParameter(
            f"{run.manifest.run} has {', '.join(missing)}, which no table names here: "
            f"{_how_to_resume(run)}"
        )
    _check_surroundings(run, specs)
    for entry in run.manifest.contenders:
        if entry.unavailable is None and not entry.twin:
            (spec,) = _choose(entry.name, specs).values()
            reason = spec.available()
            if reason is not None:
                raise Unavailable(f"cannot resume: {entry.name} cannot run now: {reason}")
    environment = describe_environment(project)
    earlier = run.manifest.environment
    changed = [key for key in environment if key != "load" and environment[key] != earlier.get(key)]
    if changed:
        _say(f"not the environment that the run was begun in: {', '.join(changed)} changed")
    run.resume(environment)


def _check_surroundings(run: Run, specs: Contenders) -> None:
    """Refuse to measure the rest of a run with other variables: what a run keeps sets none."""
    for entry in run.manifest.contenders:
        if entry.unavailable is None and not entry.twin and entry.env != specs[entry.name].env:
            raise typer.BadParameter(
                f"{entry.name} was measured with {_spelled(entry.env) or 'no variables'}, and now "
                f"has {_spelled(specs[entry.name].env) or 'none'}: {_how_to_resume(run)}"
            )


def _spelled(env: Mapping[str, str]) -> str:
    return " ".join(f"--env {shlex.quote(f'{name}={value}')}" for name, value in env.items())


def _measure(run: Run, specs: Contenders) -> End | None:
    """Measure until the end, or return None when interrupted."""
    from raftmark.bench.experiment.measure import measure
    from raftmark.bench.experiment.twin import with_twins
    from raftmark.bench.runs.plan import remaining
    from raftmark.terminal.progress import show_progress

    entries = run.manifest.contenders
    chosen = with_twins(_able(run, specs), entries)
    console = _console(sys.stderr)
    planned = remaining(run)
    _say(f"run {run.manifest.run}, seed {run.manifest.seed}: {len(planned)} trials to measure")
    try:
        with show_progress(planned, console) as display:
            return measure(run, chosen, display)
    except KeyboardInterrupt:
        return None


def _measure_primitives(run: Run, specs: Contenders, end: End) -> End | None:
    """Measure the primitives too; returns `end`, or None when interrupted."""
    from raftmark.bench.primitives.bare import go_benchmarks, models
    from raftmark.bench.primitives.measure import FULL, QUICK, measure_primitives

    effort = QUICK if run.manifest.profile == "quick" else FULL
    try:
        measure_primitives(run, models(_able(run, specs), go_benchmarks, _say), effort, _say)
    except KeyboardInterrupt:
        return None
    return end


def _record(run: Run, specs: Contenders, end: End) -> End | None:
    """Record for the report what can be watched in it; returns `end`, or None when interrupted."""
    from raftmark.bench.experiment.recording import NotRecorded, record
    from raftmark.bench.runs.recordings import keep, load

    recorded = load(run.path)
    able = _able(run, specs)
    there = {recording.contender for recording in recorded}
    wanted = [e.name for e in run.manifest.contenders if e.base is None and e.name in able]
    try:
        for name in [name for name in wanted if name not in there]:
            _say(f"recording {name}")
            try:
                recorded += record(able[name], run.manifest.seed)
            except NotRecorded as reason:
                _say(f"not to be watched in the report: {reason}")
        keep(run, recorded)
    except KeyboardInterrupt:
        return None
    return end


def _conclude(run: Run, end: End | None, report: bool) -> None:
    """Say what came out of a run, and end with the status that fits."""
    from raftmark.bench.analysis.noise import say_noise
    from raftmark.bench.analysis.steady_state import say_classes
    from raftmark.bench.experiment.measure import End
    from raftmark.terminal.summary import summarise

    _console(sys.stdout).print(summarise(run))
    for found in filter(None, (say_noise(run), say_classes(run))):
        _say(found)
    failed = [trial for trial in run.trials if trial.failure is not None]
    if failed:
        _say(f"{len(failed)} of {len(run.trials)} trials failed and are in no figure")
    if end is not End.COMPLETE:
        _say_what_is_missing(run, "interrupted" if end is None else "the profile's time is over")
    if report:
        print(_write_report(run, None))
    if end is None:
        raise typer.Exit(_INTERRUPTED)
    if any(trial.check is not None and not trial.check.passed for trial in failed):
        raise typer.TyperException("a contender broke a safety rule: see the failed trials")
    if len(failed) == len(run.trials):
        raise typer.TyperException("no trial succeeded")


def _say_what_is_missing(run: Run, why: str) -> None:
    from raftmark.bench.runs.plan import remaining

    _say(f"{why}; {len(remaining(run))} trials are missing: {_how_to_resume(run)}")


def _write_report(run: Run, output: Path | None, before: Run | None = None) -> Path:
    from raftmark.report.pages.build import write_report

    output = run.path / "report.html" if output is None else output
    try:
        write_report(run, output, before)
    except OSError as error:
        if error.errno is None:
            raise  # Not the system's: jinja2 calls a fault in a template an OSError too.
        raise typer.TyperException(
            f"cannot write the report to {output}: {error.strerror}; name another file with -o"
        ) from error
    return output


def _contenders(table: Path, python: list[str] | None, env: list[str] | None) -> Contenders:
    """Return the contenders of a table; of an interpreter that is not there, say so."""
    interpreters, complaints = find_interpreters(python or [])
    for complaint in complaints:
        _say(complaint)
    more = _variables(env)
    specs = {name: spec.with_env(more) for name, spec in load_contenders(table).items()}
    return Contenders(specs, interpreters)


def _variables(env: list[str] | None) -> dict[str, str]:
    from raftmark.bench.contenders.surroundings import NotAsked, read_asked

    try:
        return read_asked(env or [])
    except NotAsked as error:
        raise typer.BadParameter(f"'--env': {error}") from error


def _asked(table: Path, python: list[str] | None, env: list[str] | None) -> Asked:
    from raftmark.bench.runs.forms import Asked

    return Asked(
        table=None if table == DEFAULT_TABLE else str(table),
        python=python or [],
        env=_variables(env),
    )


def _choose(names: str | None, specs: Contenders) -> dict[str, ContenderSpec]:
    """Return the named contenders in the table's order, the whole table without names."""
    return specs.choose(_names(names) if names is not None else specs)


def _names(listed: str | None) -> list[str]:
    return [name.strip() for name in (listed or "").split(",") if name.strip()]


def _how_to_resume(run: Run) -> str:
    here = Path.cwd()
    path = run.path.relative_to(here) if run.path.is_relative_to(here) else run.path
    asked = run.manifest.asked
    words = ["raftmark bench --resume", shlex.quote(str(path))]
    words += [f"--python {shlex.quote(each)}" for each in asked.python]
    words += [_spelled(asked.env)] if asked.env else []
    words += [f"--contenders-file {shlex.quote(asked.table)}"] if asked.table is not None else []
    return f"go on with '{' '.join(words)}'"


def _console(file: TextIO) -> Console:
    from rich.console import Console

    # Where there is no terminal there is no width to keep to.
    # What is shown is data: a name in brackets is no markup, and one in colons no picture.
    width = None if file.isatty() else 160
    return Console(file=file, width=width, markup=False, highlight=False, emoji=False)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _complain(message: str) -> None:
    _say(f"raftmark: {message}")
