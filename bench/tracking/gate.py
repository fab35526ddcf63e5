"""The measuring of two revisions: pair by pair, until every figure is decided or time is up.

Each contender of HEAD is paired with the same contender of BASE in the same cell: they take turns
(`bench.experiment.turns`), or run one right after the other. Which of the two begins, a fair coin
says. What drifts on the machine then hits both alike, and without a difference either is as likely
to come out ahead, which is all that `bench.analysis.sequential` asks for. Which pair comes next,
`agenda.py` says.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from raftmark.bench.analysis.sequential import Verdict
from raftmark.bench.contenders.guardian import Guardian
from raftmark.bench.contenders.registry import UnknownName
from raftmark.bench.contenders.stopping import CannotStop, require_stopping
from raftmark.bench.design.schedule import Planned
from raftmark.bench.design.specification import Specification
from raftmark.bench.experiment.entries import describe
from raftmark.bench.experiment.environment import describe_environment
from raftmark.bench.experiment.life import Life
from raftmark.bench.experiment.trial import run_trial
from raftmark.bench.experiment.turns import run_pair
from raftmark.bench.runs import meanings
from raftmark.bench.runs.forms import ContenderEntry, Manifest, Trial
from raftmark.bench.runs.store import Run, free_name, now
from raftmark.bench.tracking.agenda import Agenda, Pair
from raftmark.bench.tracking.counting import COUNTED_CELL, Count, count_code
from raftmark.bench.tracking.plans import (
    BASE,
    ERROR,
    HEAD,
    Compared,
    Gated,
    Plan,
    gated_cells,
    lacking,
    shared,
    side,
)
from raftmark.bench.tracking.replayed import count_replays
from raftmark.bench.tracking.revisions import (
    NoTable,
    Placed,
    Repository,
    Revision,
    RevisionError,
    contenders_of,
)

# Whoever waits is told something at least so often.
_SILENCE_S = 20.0


class Wish(NamedTuple):
    """What is to be compared, and for how long.

    `contenders` and `workloads` choose some; none chooses all. `margin` is the share by which a
    figure may change without anybody minding. No pair of trials starts later than `budget_s`
    seconds after the start.
    """

    contenders: Collection[str] = ()
    workloads: Collection[str] = ()
    margin: float = 0.05
    blocks: int = 100
    budget_s: float = 900.0
    seed: int | None = None


class Side(NamedTuple):
    """A revision, where it is checked out, and its contenders by the names in its own table.

    `fault` says why that table cannot be read, `submodules` which of them are not checked out.
    """

    revision: Revision
    directory: Path
    contenders: dict[str, Placed]
    fault: RevisionError | None = None
    submodules: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        repository: Repository,
        revision: Revision,
        directory: Path,
        table: Path,
        which: str,
        asked: Collection[str] = (),
    ) -> Side:
        """Return a side of a comparison, also one whose contenders cannot be had.

        Clusters of programs are among them if they are `asked` for.
        """
        submodules = repository.submodules(revision)
        try:
            contenders = contenders_of(directory, table, which, asked)
        except RevisionError as fault:
            return cls(revision, directory, {}, fault, submodules)
        return cls(revision, directory, contenders, None, submodules)


class End(Enum):
    """Why the measuring ended."""

    DECIDED = "everything is decided"
    ENOUGH = "what was asked for is decided"
    GIVEN_UP = "what is not decided fails again and again"
    BLOCKS_DONE = "all blocks are done"
    OUT_OF_TIME = "the time is over"


def begin(
    base: Side, head: Side, wish: Wish, results: Path, say: Callable[[str], None]
) -> tuple[Run, Plan]:
    """Make the run of a comparison, of all that the two share and that was wished for.

    That may be nothing. Raises `UnknownName` for a contender that neither side has, `RevisionError`
    when neither has any, and `StoreError` when the run cannot be kept.
    """
    known = dict.fromkeys([*base.contenders, *head.contenders])
    if not known:
        faults = [each.fault for each in (base, head) if each.fault is not None]
        kind = NoTable if all(isinstance(fault, NoTable) for fault in faults) else RevisionError
        raise kind("; ".join(map(str, faults)))
    unknown = [name for name in wish.contenders if name not in known]
    if unknown:
        raise UnknownName(f"no contender {', '.join(unknown)}; choose from {', '.join(known)}")
    cells = [
        gated
        for gated in gated_cells()
        if not wish.workloads or gated.cell.workload["name"] in wish.workloads
    ]
    entries = [_describe(each, wish, say) for each in (base, head)]
    names, left_out, broken, base_broken = shared(*entries)
    is_first = not entries[0] and (base.fault is None or isinstance(base.fault, NoTable))
    if base.fault is not None:
        (left_out if is_first else base_broken).append(str(base.fault))
    if head.fault is not None:
        broken.append(str(head.fault))
    if submodules := dict.fromkeys([*base.submodules, *head.submodules]):
        left_out.append(
            f"what lies in a submodule ({', '.join(submodules)}), since worktrees have none"
        )
    figures, counted, apart = [], [], []
    why_not = _why_no_turns() if names else None
    if why_not is not None:
        apart.append(why_not)
    for name in names:
        for gated in [Gated(COUNTED_CELL, ()), *cells]:
            cell = gated.cell
            if gated.in_turns is not None and why_not is None:
                lacks = lacking(gated.in_turns, entries[0][name], entries[1][name])
                if lacks and not lacking(cell, entries[0][name], entries[1][name]):
                    apart.append(f"{name} in {cell.id}: no slices are offered in {lacks}")
                cell = cell if lacks else gated.in_turns
            if lacks := lacking(cell, entries[0][name], entries[1][name]):
                left_out.append(f"{name} does not offer {cell.id} in {lacks}")
            elif cell is COUNTED_CELL:
                counted.append(name)
            else:
                figures += [Compared(name, cell.id, metric.key) for metric in gated.metrics]
    replays, unreplayed = count_replays(
        *({name: of.contenders[name] for name in names} for of in (base, head))
    )
    left_out += unreplayed
    plan = Plan(
        base=str(base.revision),
        head=str(head.revision),
        margin=wish.margin,
        error=ERROR,
        labels={name: head.contenders[name].label.rpartition(", ")[0] for name in names},
        figures=figures,
        counted=counted,
        code=[*replays, *_count_code(base, head, names)],
        left_out=left_out,
        broken=broken,
        base_broken=base_broken,
        is_first=is_first,
        apart=apart,
        base_commit=base.revision.commit,
        head_commit=head.revision.commit,
    )
    for sentence in apart:
        say(f"one after the other, not in turns: {sentence}")
    chosen = {figure.cell for figure in figures}
    run = Run.create(
        results,
        Manifest(
            run=free_name(results, "compare"),
            profile="compare",
            seed=secrets.randbelow(2**32) if wish.seed is None else wish.seed,
            started_at=now(),
            specification=Specification(
                blocks=wish.blocks,
                cells=[
                    COUNTED_CELL,
                    *(
                        cell
                        for gated in cells
                        for cell in (gated.cell, gated.in_turns)
                        if cell is not None and cell.id in chosen
                    ),
                ],
            ),
            contenders=[entry for side in entries for entry in side.values()],
            environment=describe_environment(head.directory),
            counting=meanings.VERSION,
        ),
    )
    plan.save(run)
    return run, plan


def _why_no_turns() -> str | None:
    """Return what keeps contenders from being stopped on this machine, None if nothing does."""
    try:
        with Guardian() as guardian:
            require_stopping(guardian)
    except CannotStop as reason:
        return str(reason)
    return None


def _describe(of: Side, wish: Wish, say: Callable[[str], None]) -> dict[str, ContenderEntry]:
    entries = {}
    for name, spec in of.contenders.items():
        if not wish.contenders or name in wish.contenders:
            entries[name] = describe(spec, say)
    return entries


def _count_code(base: Side, head: Side, names: list[str]) -> list[Count]:
    """Count the sources of the contenders that both have, as far as both can be counted."""
    before, after = (
        count_code({name: of.contenders[name] for name in names}, of.directory)
        for of in (base, head)
    )
    return [
        Count(name, what, number, after[name][what], gated=False)
        for name in before
        if name in after
        for what, number in before[name].items()
        if what in after[name]
    ]


def measure(
    run: Run,
    plan: Plan,
    specs: Mapping[str, Placed],
    budget_s: float,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    enough: Callable[[Collection[Verdict]], bool] = lambda verdicts: False,
) -> End:
    """Measure a comparison's run; `specs` are its contenders by their names in the run.

    It may end before everything is decided: when the verdicts so far are `enough`. A pair that was
    begun is finished, so the time may be exceeded by one. An interruption loses the trials under
    way and nothing else. Raises `StoreError` when a result cannot be kept.
    """
    deadline = clock() + budget_s
    specification = run.manifest.specification
    chance = random.Random(run.manifest.seed)
    agenda = Agenda(plan, specification.cells, specification.blocks, chance)
    say(agenda.outlook(budget_s))
    said_at, told = clock(), 0
    with Guardian() as guardian:
        while (pair := agenda.next(deadline - clock())) is not None:
            if (began := clock()) > deadline:
                return End.OUT_OF_TIME
            trials = []
            for trial in _run(_planned(run, pair, agenda), specs, run, guardian, say):
                run.append(trial)
                trials.append(trial)
                if trial.failure is not None:
                    say(f"{trial.trial} failed at {trial.failure.stage}: {trial.failure.message}")
            agenda.take(pair, trials, clock() - began)
            if enough(agenda.verdicts.values()):
                return End.ENOUGH
            decided = sum(v is not Verdict.UNDECIDED for v in agenda.verdicts.values())
            if decided != told or clock() - said_at > _SILENCE_S:
                said_at, told = clock(), decided
                say(agenda.progress(deadline - clock()))
    if agenda.decided:
        return End.DECIDED
    return End.BLOCKS_DONE if agenda.wanted() else End.GIVEN_UP


def _planned(run: Run, pair: Pair, agenda: Agenda) -> list[Planned]:
    """Return the next two trials of a pair, in random order."""
    block = agenda.tried(pair)
    coin = random.Random(f"{run.manifest.seed}/{pair.cell}/{pair.contender}/{block}")
    (cell,) = [cell for cell in run.manifest.specification.cells if cell.id == pair.cell]
    return [
        Planned(cell, block, place, side(pair.contender, which))
        for place, which in enumerate(coin.sample((BASE, HEAD), 2))
    ]


def _run(
    pair: Sequence[Planned],
    specs: Mapping[str, Placed],
    run: Run,
    guardian: Guardian,
    say: Callable[[str], None],
) -> Iterator[Trial]:
    """Yield the trials of a pair as they are over."""
    if pair[0].cell.turns_ms is not None:
        yield from run_pair(pair, [specs[each.contender] for each in pair], run, guardian, say)
    else:
        for planned in pair:
            yield run_trial(planned, specs[planned.contender], run, Life(guardian))
