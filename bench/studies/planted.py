"""Real gates against a HEAD that is slower by what was planted in it, or that is BASE itself.

`python -m raftmark.bench.studies.planted DIRECTORY` runs gates that compare this project's last
commit with itself; `--in asyncio --by 5` plants some rounds of an empty loop for each command in
the core of that contender's language, so many that its throughput falls by about 5 %: how many that
is on this machine, is measured first. A gate ends when it has said that something is slower, and
else as every gate does. Each is a line of DIRECTORY/gates.jsonl, written when it is over, with the
logarithm of every pair's ratio, the cost in HEAD over the cost in BASE: so the study goes on where
it was interrupted, and `--tables` prints from that file alone what was found, and what gates drawn
from the pairs without a planted change would find (`bench/tracking/rates.py` does the same for the
run of one comparison).
"""

from __future__ import annotations

import argparse
import contextlib
import math
import secrets
import statistics
from collections import defaultdict
from collections.abc import Generator, Hashable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from raftmark.bench.analysis.sequential import Verdict
from raftmark.bench.analysis.verdicts import NEVER, Rule
from raftmark.bench.git import git
from raftmark.bench.runs.store import Run
from raftmark.bench.tracking import rates
from raftmark.bench.tracking.compare import differences_of
from raftmark.bench.tracking.differences import Difference
from raftmark.bench.tracking.gate import Side, Wish, begin, measure
from raftmark.bench.tracking.plans import BASE, HEAD, Compared, Plan, side
from raftmark.bench.tracking.rates import Noise
from raftmark.bench.tracking.revisions import TABLE, Repository

FILE = "gates.jsonl"
_CALIBRATION_PAIRS = 8


class Place(NamedTuple):
    """Where a language's core takes commands, and what is planted there; `rounds` of it."""

    path: str
    before: str
    planted: str
    first_guess: int


_PYTHON = Place(
    "raft/node.py",
    "        first = self.log.last_index + 1\n        if MEMBERSHIP",
    "        for _ in range({rounds} * len(commands)):\n            pass\n",
    30,
)
_GO = Place(
    "go_reference/raft/node.go",
    "\tfirst = n.log.LastIndex() + 1\n\tfor _, command",
    "\tfor round := range {rounds} * len(commands) {{\n\t\tn.planted += round\n\t}}\n",
    200,
)
_GO_FIELD = ("type Node struct {\n", "type Node struct {\n\tplanted int\n")


class Figure(msgspec.Struct, frozen=True):
    """What a gate found of a figure, pair by pair, and when (s) it was told.

    `differences` are the typical ones, `wholes` those of the whole, which are the same if not kept.
    """

    contender: str
    cell: str
    metric: str
    differences: list[float]
    verdict: str
    told_s: float | None
    wholes: list[float] | None = None

    @property
    def pairs(self) -> list[Difference]:
        """How the figure's pairs differ."""
        wholes = self.differences if self.wholes is None else self.wholes
        return [Difference(*each) for each in zip(self.differences, wholes, strict=True)]


class Gate(msgspec.Struct, frozen=True):
    """One gate: what was planted (None and 0 for nothing), and what became of it."""

    contender: str | None
    aim: float
    rounds: int
    run: str
    end: str
    seconds: float
    error: float
    margin: float
    figures: list[Figure]

    @property
    def slower(self) -> list[Figure]:
        """The figures that were told to be slower."""
        return [figure for figure in self.figures if figure.verdict == Verdict.SLOWER.name]


def read(path: Path) -> list[Gate]:
    """Return the gates of a study; a last line that an interruption tore is none."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [msgspec.json.decode(line, type=Gate) for line in lines]


def _append(path: Path, gate: Gate) -> None:
    whole = path.read_bytes().rpartition(b"\n") if path.exists() else (b"", b"", b"")
    path.write_bytes(b"".join(whole[:2]) + msgspec.json.encode(gate) + b"\n")


class Study:
    """The gates of one kind, of this project's last commit."""

    def __init__(self, directory: Path, contenders: list[str], minutes: float) -> None:
        self._directory = directory
        self._wish = Wish(contenders=contenders, budget_s=60 * minutes)
        self._project = directory / "project"
        if not self._project.exists():
            root = git("rev-parse", "--show-toplevel", cwd=Path.cwd()).strip()
            directory.mkdir(parents=True, exist_ok=True)
            git("clone", "--quiet", "--shared", root, str(self._project), cwd=directory)

    def run(self, contender: str | None, aim: float, gates: int) -> None:
        """Run as many gates as are missing of so many."""
        path = self._directory / FILE
        done = [g for g in read(path) if (g.contender, g.aim) == (contender, aim)]
        rounds = done[0].rounds if done else self._calibrate(contender, aim)
        if len(done) >= gates:
            return
        with contextlib.closing(self._gates(contender, aim, rounds)) as more:
            for number, gate in zip(range(len(done) + 1, gates + 1), more, strict=False):
                _append(path, gate)
                told = ", ".join(f"{f.metric} {f.told_s:.0f} s" for f in gate.slower) or "nothing"
                print(f"gate {number}: {gate.seconds:.0f} s; slower: {told}", flush=True)

    def _calibrate(self, contender: str | None, aim: float) -> int:
        """Return how many rounds cost about so much of the throughput."""
        if contender is None:
            return 0
        guess = _place(contender).first_guess
        wish = self._wish._replace(
            contenders=[contender], workloads=["replicate"], blocks=_CALIBRATION_PAIRS
        )
        with contextlib.closing(self._gates(contender, aim, guess, wish, whole=True)) as more:
            gate = next(more)
        (figure,) = [f for f in gate.figures if f.metric == "throughput"]
        cost = math.expm1(statistics.median(figure.differences))
        rounds = max(1, round(guess * aim / max(cost, aim / 10)))
        print(f"{guess} rounds cost {cost:.1%}: so {rounds} are planted", flush=True)
        return rounds

    def _gates(
        self,
        contender: str | None,
        aim: float,
        rounds: int,
        wish: Wish | None = None,
        *,
        whole: bool = False,
    ) -> Generator[Gate]:
        """Yield one gate after the other, of the same two checkouts."""
        wish = wish or self._wish
        repository = Repository(self._project)
        base = repository.resolve(git("rev-parse", "HEAD", cwd=self._project).strip())
        if contender is not None:
            _plant(self._project, _place(contender), rounds)
        try:
            commit = _commit(self._project)
        finally:
            git("checkout", "--quiet", "--force", "--detach", str(base.commit), cwd=self._project)
        head = repository.resolve(commit)
        with repository.checked_out(base, head) as directories:
            sides = [
                Side.of(repository, revision, directory, TABLE, which)
                for revision, directory, which in zip(
                    (base, head), directories, (BASE, HEAD), strict=True
                )
            ]
            specs = {spec.name: spec for each in sides for spec in each.contenders.values()}
            while True:
                seeded = wish._replace(seed=secrets.randbelow(2**32))
                results = self._directory / "results"
                run, plan = begin(sides[0], sides[1], seeded, results, _quietly)
                with run.lock():
                    end = measure(
                        run,
                        plan,
                        specs,
                        seeded.budget_s,
                        _quietly,
                        enough=lambda verdicts: not whole and Verdict.SLOWER in verdicts,
                    )
                yield _gate(run, plan, contender, aim, rounds, end.name)


def _quietly(_message: str) -> None:
    """Say nothing: a study's own lines are enough."""


def _place(contender: str) -> Place:
    return _GO if contender.startswith("go") else _PYTHON


def _plant(project: Path, place: Place, rounds: int) -> None:
    """Change the core's source. Raises `ValueError` where it is not what it was."""
    path = project / place.path
    source = path.read_text(encoding="utf-8")
    changes = [(place.before, place.planted.format(rounds=rounds) + place.before)]
    if place is _GO:
        changes.append(_GO_FIELD)
    for before, after in changes:
        if source.count(before) != 1:
            raise ValueError(f"{place.path} has not this place once: {before!r}")
        source = source.replace(before, after)
    path.write_text(source, encoding="utf-8")


def _commit(project: Path) -> str:
    """Commit whatever differs, if anything does, and return the commit."""
    author = ["user.name=study", "user.email=study@localhost"]
    message = ("--quiet", "--all", "--allow-empty", "--message", "Plant a change")
    git("commit", *message, cwd=project, config=author)
    return git("rev-parse", "HEAD", cwd=project).strip()


def _gate(run: Run, plan: Plan, contender: str | None, aim: float, rounds: int, end: str) -> Gate:
    figures = []
    for figure, costs in differences_of(run, plan).items():
        typical = [each.typical for each in costs.values()]
        whole = [each.whole for each in costs.values()]
        told = plan.rule.first_told(np.array(typical), np.array(whole)) if costs else None
        block = None if told is None or told.first >= NEVER else list(costs)[int(told.first) - 1]
        figures.append(
            Figure(
                figure.contender,
                figure.cell,
                figure.metric,
                [round(cost, 5) for cost in typical],
                plan.rule.judge(typical, whole).verdict.name,
                None if block is None else _seconds_until(run, figure, block),
                None if typical == whole else [round(cost, 5) for cost in whole],
            )
        )
    return Gate(
        contender=contender,
        aim=aim,
        rounds=rounds,
        run=run.manifest.run,
        end=end,
        seconds=max((_ended_s(run, index) for index in range(len(run.trials))), default=0.0),
        error=plan.rule.error,
        margin=plan.margin,
        figures=figures,
    )


def _seconds_until(run: Run, figure: Compared, block: int) -> float:
    """Return how long after the first trial's beginning a figure's pair was over."""
    names = {side(figure.contender, which) for which in (BASE, HEAD)}
    return max(
        _ended_s(run, index)
        for index, trial in enumerate(run.trials)
        if (trial.cell, trial.block) == (figure.cell, block) and trial.contender in names
    )


def _ended_s(run: Run, index: int) -> float:
    first, trial = run.trials[0], run.trials[index]
    began = datetime.fromisoformat(trial.started_at) - datetime.fromisoformat(first.started_at)
    return round((began + timedelta(seconds=trial.duration_s)).total_seconds(), 1)


def tables(gates: Iterable[Gate]) -> list[str]:
    """Return what real gates found, and what drawn ones would find, as lines of Markdown."""
    kinds: dict[tuple[str | None, float], list[Gate]] = defaultdict(list)
    for gate in gates:
        kinds[gate.contender, gate.aim].append(gate)
    lines = [
        "| planted | gates | cost measured | told slower | median | worst | wolf cried elsewhere |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [_row(kind, of) for kind, of in sorted(kinds.items(), key=lambda k: str(k[0]))]
    every = [gate for of in kinds.values() for gate in of]
    if noise := _noise(every):
        rule = Rule(every[0].margin, every[0].error)
        lines += ["", *rates.table(noise, rule, {f.contender: f.contender for f in noise})]
    return lines


def _row(kind: tuple[str | None, float], gates: list[Gate]) -> str:
    contender, aim = kind
    if contender is None:
        wolf = sum(bool(gate.slower) for gate in gates)
        return f"| nothing | {len(gates)} | | | | | {wolf} of {len(gates)} |"
    planted = [f for g in gates for f in g.figures if f.contender == contender]
    throughput = [d for f in planted if f.metric == "throughput" for d in f.differences]
    told = sorted(
        min(f.told_s or math.inf for f in gate.slower if f.contender == contender)
        for gate in gates
        if any(f.contender == contender for f in gate.slower)
    )
    elsewhere = sum(any(f.contender != contender for f in gate.slower) for gate in gates)
    times = f"{told[(len(gates) - 1) // 2]:.0f} s" if len(told) > (len(gates) - 1) // 2 else "never"
    return (
        f"| {aim:.0%} in {contender} | {len(gates)} "
        f"| {math.expm1(statistics.median(throughput)):.1%} | {len(told)} of {len(gates)} "
        f"| {times} | {f'{told[-1]:.0f} s' if told else ''} | {elsewhere} of {len(gates)} |"
    )


def _noise(gates: Iterable[Gate]) -> Noise:
    """Return all pairs of contenders in whose language nothing was planted."""
    found: dict[Compared, dict[Hashable, Difference]] = defaultdict(dict)
    for number, gate in enumerate(gates):
        for figure in gate.figures:
            if gate.contender is not None and _place(gate.contender) is _place(figure.contender):
                continue
            key = Compared(figure.contender, figure.cell, figure.metric)
            found[key].update(((number, pair), cost) for pair, cost in enumerate(figure.pairs))
    return found


def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m raftmark.bench.studies.planted", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("directory", type=Path, help="where the study is kept, and goes on")
    parser.add_argument("--in", dest="contender", metavar="NAME", help="plant it in this contender")
    parser.add_argument("--by", type=float, default=5.0, metavar="PERCENT", help="so much slower")
    parser.add_argument("--gates", type=int, default=20, metavar="N", help="so many in all")
    parser.add_argument("--minutes", type=float, default=10.0, help="a gate's time")
    parser.add_argument("--contenders", default="asyncio,go", metavar="A,B", help="in every gate")
    parser.add_argument("--tables", action="store_true", help="print what was found, run nothing")
    asked = parser.parse_args()
    directory = asked.directory.resolve()
    if not asked.tables:
        study = Study(directory, asked.contenders.split(","), asked.minutes)
        aim = 0.0 if asked.contender is None else asked.by / 100
        study.run(asked.contender, aim, asked.gates)
    print("\n".join(tables(read(directory / FILE))))


if __name__ == "__main__":
    _main()
