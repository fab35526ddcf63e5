"""`raftmark bench`: a run from its beginning, or from where it was interrupted, to its report."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raftmark.bench.contenders.registry import (
    DEFAULT_TABLE,
    PEERS_TABLE,
    ContenderSpec,
    Unavailable,
)
from raftmark.bench.contenders.variants import Contenders
from raftmark.commands import hosting, planning, publishing
from raftmark.commands.beginning import able, check_surroundings, create, how_to_resume
from raftmark.commands.choosing import (
    asked_of,
    choose,
    contenders_of,
    find_run,
    from_here,
    listed,
)
from raftmark.commands.options import (
    MOST_BLOCKS,
    ContenderNames,
    ContendersFile,
    Pythons,
    Results,
    Variables,
)
from raftmark.terminal.console import console, say

if TYPE_CHECKING:
    from raftmark.bench.design.specification import Specification
    from raftmark.bench.experiment.measure import End
    from raftmark.bench.runs.forms import Asked, Elsewhere
    from raftmark.bench.runs.store import Run

_INTERRUPTED = 130
_WHY = {"OUT_OF_TIME": "the profile's time is over", "HOST_LOST": "a host was lost"}


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(bench)


def bench(
    profile: Annotated[
        str | None,
        typer.Option(
            help="What to measure: quick (five minutes), full (hours), paper (the Raft paper's "
            "Figure 16, hours), or peers (beside other people's Rafts, an hour).",
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
        int | None,
        typer.Option(min=1, max=MOST_BLOCKS, help="How often every contender runs in every cell."),
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
    controls: Annotated[
        bool | None,
        typer.Option(
            "--controls/--no-controls",
            help="Measure what tells a language's share from a model's, too: an event loop in Go, "
            "and the Python contenders compiled.",
            show_default="with the full profile",
        ),
    ] = None,
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
    hosts: hosting.Hosts = None,
    spread: hosting.Spreads = None,
    pack: hosting.Pack = False,
) -> None:
    """Measure the contenders and write a report.

    Ctrl-C keeps what is measured and still writes the report. A trial that fails is kept as a
    failure and never averaged in. The exit status is 1 when no trial at all succeeded or when a
    contender broke a safety rule, or told what cannot be.
    """
    from raftmark.bench.design.specification import AGAINST_PEERS, SpecificationError
    from raftmark.bench.runs.store import Run, StoreError
    from raftmark.report.findings.sourcecode import keep_code

    if profile in AGAINST_PEERS and contenders_file == DEFAULT_TABLE:
        contenders_file = from_here(PEERS_TABLE)
    specs = contenders_of(contenders_file, python, env)
    wish = hosting.read(hosts, spread, pack)
    asked = asked_of(contenders_file, python, env, wish.elsewhere)
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
                controls,
                None if precision is None else planning.read(precision),
                contenders_file.parent,
                asked,
                wish,
            )
        else:
            chosen = (
                profile,
                contenders,
                workloads,
                cells,
                blocks,
                precision,
                seed,
                twin,
                controls,
            )
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
                _go_on(run, specs, contenders_file.parent, wish)
            elif asked.table is not None:
                keep_code(run, specs)
            try:
                end = _measure(run, specs, wish)
                if primitives and end is not None:
                    end = _measure_primitives(run, specs, end)
                if report and end is not None:
                    end = _record(run, specs, end)
            except StoreError as error:
                raise StoreError(f"{error}; then {how_to_resume(run)}") from error
        try:
            _conclude(run, end, report, contenders_file)
        except KeyboardInterrupt:
            _say_what_is_missing(run, "interrupted")
            raise typer.Exit(_INTERRUPTED) from None
    except SpecificationError as error:
        raise typer.BadParameter(str(error)) from error
    except StoreError as error:
        raise typer.TyperException(str(error)) from error


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
    controls: bool | None,
    precision: float | None,
    project: Path,
    asked: Asked,
    wish: hosting.Wish,
) -> Run:
    from raftmark.bench.design.specification import CONTROLLED, PROFILES, narrow

    profile = profile or "quick"
    if profile not in PROFILES:
        raise typer.BadParameter(f"no profile {profile}; choose from {', '.join(PROFILES)}")
    specification = narrow(
        PROFILES[profile](), workloads=listed(workloads), cells=listed(cells), blocks=blocks
    )
    specification = hosting.narrowed(specification, asked.elsewhere)
    if controls is None:
        controls = profile in CONTROLLED and contenders is None
    chosen = specs.spread(choose(contenders, specs, controls))
    seed = secrets.randbelow(2**32) if seed is None else seed
    if twin is not None and twin not in chosen:
        raise typer.BadParameter(f"no contender {twin}; choose from {', '.join(chosen)}")
    if precision is not None:
        specification = _planned(
            specs, chosen, specification, profile, seed, results, precision, project, asked, wish
        )
    there = hosting.survey(wish, specification)
    return create(
        chosen, specification, profile, seed, results, twin, with_twin, project, asked, there
    )


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
    wish: hosting.Wish,
) -> Specification:
    """Measure a pilot, and return the specification that its variances ask for."""
    from raftmark.bench.design.specification import narrow
    from raftmark.bench.experiment.measure import End
    from raftmark.bench.planning.pilot import PILOT_BLOCKS, plan

    say("a pilot first, to see how the figures vary")
    narrowed = narrow(specification, blocks=PILOT_BLOCKS)
    there = hosting.survey(wish, narrowed)
    pilot = create(
        chosen, narrowed, profile, seed, results, project=project, asked=asked, hosts=there
    )
    with pilot.lock():
        if _measure(pilot, specs, wish) is not End.COMPLETE:
            raise typer.Abort
    made = plan(pilot, precision, specification)
    planning.show(made)
    return made.specification


def _go_on(run: Run, specs: Contenders, project: Path, wish: hosting.Wish) -> None:
    """Check that a run can go on, and note that it does."""
    from raftmark.bench.experiment.environment import describe_environment

    began = run.manifest.asked.elsewhere
    if _spread(began) != _spread(wish.elsewhere):
        raise typer.BadParameter(
            f"{run.manifest.run} was begun {_spread(began) or 'on one host'}: {how_to_resume(run)}"
        )
    bases = {entry.name.partition("@")[0] for entry in run.manifest.contenders if not entry.twin}
    if missing := sorted(bases - {*specs}):
        raise typer.BadParameter(
            f"{run.manifest.run} has {', '.join(missing)}, which no table names here: "
            f"{how_to_resume(run)}"
        )
    check_surroundings(run, specs)
    for entry in run.manifest.contenders:
        if entry.unavailable is None and not entry.twin:
            (spec,) = choose(entry.name, specs).values()
            reason = spec.available()
            if reason is not None:
                raise Unavailable(f"cannot resume: {entry.name} cannot run now: {reason}")
    there = hosting.survey(wish, run.manifest.specification)
    environment = {**describe_environment(project), **there}
    earlier = run.manifest.environment
    changed = [key for key in environment if key != "load" and environment[key] != earlier.get(key)]
    if changed:
        say(f"not the environment that the run was begun in: {', '.join(changed)} changed")
    run.resume(environment, wish.elsewhere)


def _spread(elsewhere: Elsewhere | None) -> str:
    return "" if elsewhere is None else f"with {elsewhere.spread} spread over hosts"


def _measure(run: Run, specs: Contenders, wish: hosting.Wish) -> End | None:
    """Measure until the end, or return None when interrupted."""
    from raftmark.bench.experiment.measure import measure
    from raftmark.bench.experiment.twin import with_twins
    from raftmark.bench.runs.plan import remaining
    from raftmark.terminal.progress import show_progress

    entries = run.manifest.contenders
    chosen = with_twins(able(run, specs), entries)
    planned = remaining(run)
    say(f"run {run.manifest.run}, seed {run.manifest.seed}: {len(planned)} trials to measure")
    try:
        with (
            hosting.hosts_of(run, chosen, wish) as hosts,
            show_progress(planned, console(sys.stderr)) as display,
        ):
            return measure(run, hosts, display)
    except KeyboardInterrupt:
        return None


def _measure_primitives(run: Run, specs: Contenders, end: End) -> End | None:
    """Measure the primitives too; returns `end`, or None when interrupted."""
    from raftmark.bench.primitives.bare import go_benchmarks, models
    from raftmark.bench.primitives.measure import FULL, QUICK, measure_primitives

    effort = QUICK if run.manifest.profile == "quick" else FULL
    try:
        measure_primitives(run, models(able(run, specs), go_benchmarks, say), effort, say)
    except KeyboardInterrupt:
        return None
    return end


def _record(run: Run, specs: Contenders, end: End) -> End | None:
    """Record for the report what can be watched in it; returns `end`, or None when interrupted."""
    from raftmark.bench.experiment.recording import NotRecorded, record
    from raftmark.bench.runs.recordings import keep, load

    recorded = load(run.path)
    specs_of = able(run, specs)
    there = {recording.contender for recording in recorded}
    wanted = [e.name for e in run.manifest.contenders if e.base is None and e.name in specs_of]
    try:
        for name in [name for name in wanted if name not in there]:
            say(f"recording {name}")
            try:
                recorded += record(specs_of[name], run.manifest.seed)
            except NotRecorded as reason:
                say(f"not to be watched in the report: {reason}")
        keep(run, recorded)
    except KeyboardInterrupt:
        return None
    return end


def _conclude(run: Run, end: End | None, report: bool, table: Path) -> None:
    """Say what came out of a run, and end with the status that fits."""
    from raftmark.bench.analysis.noise import say_noise
    from raftmark.bench.analysis.steady_state import say_classes
    from raftmark.bench.experiment.measure import End
    from raftmark.terminal.summary import summarise

    console(sys.stdout).print(summarise(run))
    for found in filter(None, (say_noise(run), say_classes(run))):
        say(found)
    failed = [trial for trial in run.trials if trial.failure is not None]
    if failed:
        say(f"{len(failed)} of {len(run.trials)} trials failed and are in no figure")
    if end is not End.COMPLETE:
        _say_what_is_missing(run, _WHY[end.name] if end is not None else "interrupted")
    if report:
        print(publishing.write(run, None, table=table))
    if end is None:
        raise typer.Exit(_INTERRUPTED)
    if any(trial.check is not None and not trial.check.passed for trial in failed):
        raise typer.TyperException(
            "a contender broke a safety rule, or told what cannot be: see the failed trials"
        )
    if not run.trials and end is End.COMPLETE:
        raise typer.TyperException("there was nothing to measure: nobody offers what was asked for")
    if len(failed) == len(run.trials):
        raise typer.TyperException("no trial succeeded")


def _say_what_is_missing(run: Run, why: str) -> None:
    from raftmark.bench.runs.plan import remaining

    say(f"{why}; {len(remaining(run))} trials are missing: {how_to_resume(run)}")
