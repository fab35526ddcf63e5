"""The gate's measuring, with trials made up: when it stops, what it measures, what it finds."""

import itertools

import msgspec
import numpy as np
import pytest

from raftmark.bench.analysis.sequential import Verdict
from raftmark.bench.design.specification import Specification
from raftmark.bench.runs.forms import CheckOutcome, ContenderEntry, Failure, Manifest, Trial
from raftmark.bench.runs.store import Run, StoreError, now
from raftmark.bench.tracking import gate as gate_module
from raftmark.bench.tracking.compare import Outcome, compare, compare_runs
from raftmark.bench.tracking.counting import COUNTED_CELL, Count
from raftmark.bench.tracking.gate import End, measure
from raftmark.bench.tracking.plans import Compared, Plan, gated_cells, plan_of_runs
from raftmark.bench.tracking.remembering import entry_of
from raftmark.report.pages.difference import FORMATS, headline, notes

CELLS = {gated.cell.id: gated for gated in gated_cells()}
REPLICATE = CELLS["replicate-w64"].cell
FIGURE = Compared("a", REPLICATE.id, "throughput")


class World:
    """Trials whose throughput is drawn: a base, noise, and for each contender a factor."""

    def __init__(self, head=1.0, noise=0.01, messages=(2, 2), drift=0.0, fails=()):
        self.rng = np.random.default_rng(1)
        self.head, self.noise, self.drift, self.fails = head, noise, drift, fails
        self.messages = dict(zip(("base", "head"), messages, strict=True))
        self.time = 0.0
        self.planned = []

    def clock(self):
        return self.time

    def run_trial(self, planned, spec, run, life=None):
        self.planned.append(planned)
        self.time += 1.0
        side = planned.contender.partition("@")[2]
        failed = planned.contender in self.fails
        factor = self.head if side == "head" else 1.0
        noise = self.noise * self.rng.standard_t(3) + self.drift * self.time
        result = replicate_result(10_000 * factor * np.exp(noise), self.messages[side])
        return Trial(
            trial=planned.id,
            cell=planned.cell.id,
            block=planned.block,
            order=planned.order,
            contender=planned.contender,
            status="failed" if failed else "ok",
            failure=Failure("run", "died of signal 9") if failed else None,
            result=None if failed else result,
            check=None if failed else CheckOutcome(True, [], 1),
            cost=None,
            machine=None,
            started_at=now(),
            duration_s=1.0,
        )


def replicate_result(commands_per_s, messages):
    commands = 100
    return {
        "workload": "replicate",
        "node": 1,
        "client": "made up",
        "started_ns": 0,
        "ended_ns": int(1e9 * commands / commands_per_s),
        "commands": commands,
        "latency_ns": [[1000, commands]],
        "slices": [],
        "acknowledged": [commands],
        # A heartbeat comes on top.
        "counters": {"messages": messages * commands + 1, "bytes": None, "saves": commands},
    }


def a_run(path, names=("a",), figures=(FIGURE,), blocks=60):
    plan = Plan(
        base="old",
        head="new",
        margin=0.05,
        error=0.05,
        labels={name: name.title() for name in names},
        figures=list(figures),
        counted=list(names),
        code=[Count(names[0], "tokens of the runtime", 10, 12, gated=False)],
        left_out=["zig is not in base's table"],
    )
    sides = [f"{name}@{side}" for name in names for side in ("base", "head")]
    manifest = Manifest(
        run="a-run",
        profile="compare",
        seed=7,
        started_at=now(),
        specification=Specification(blocks, [COUNTED_CELL, *(g.cell for g in CELLS.values())]),
        contenders=[ContenderEntry(side, side.title(), {}, None) for side in sides],
        environment={},
    )
    run = Run.create(path, manifest)
    plan.save(run)
    return run, plan


@pytest.fixture
def gate(tmp_path, monkeypatch):
    """Measure a comparison in a made-up world; return the end and what was found."""

    def measured(world, budget_s=1e6, **of_run):
        run, plan = a_run(tmp_path, **of_run)
        monkeypatch.setattr(gate_module, "run_trial", world.run_trial)
        specs = {entry.name: None for entry in run.manifest.contenders}
        end = measure(run, plan, specs, budget_s, lambda message: None, world.clock)
        return end, compare(run, plan)

    return measured


@pytest.mark.parametrize(
    ("head", "verdict", "ratio"),
    [(0.8, Verdict.SLOWER, 0.8), (1.25, Verdict.FASTER, 1.25), (1.0, Verdict.SAME, 1.0)],
)
def test_measuring_ends_when_everything_is_decided(gate, head, verdict, ratio):
    end, comparison = gate(World(head=head))
    assert end is End.DECIDED
    (finding,) = comparison.findings
    assert finding.verdict is verdict
    assert finding.ratio == pytest.approx(ratio, rel=0.03)
    assert finding.low <= ratio <= finding.high
    assert comparison.plan.fewest_blocks <= finding.blocks < 60
    worse = verdict is Verdict.SLOWER
    assert comparison.outcome is (Outcome.WORSE if worse else Outcome.PASSED)


def test_a_drift_that_dwarfs_the_difference_hits_both_sides(gate):
    _, comparison = gate(World(head=1.0, drift=-0.02), blocks=40)
    assert comparison.findings[0].verdict is not Verdict.SLOWER
    assert comparison.outcome is not Outcome.WORSE


def test_noise_that_hides_everything_leaves_it_undecided(gate):
    end, comparison = gate(World(noise=1.0), blocks=8)
    assert end is End.BLOCKS_DONE
    assert comparison.undecided
    assert comparison.outcome is Outcome.UNDECIDED
    assert headline(comparison) == "Nothing could be decided."
    assert comparison.findings[0].blocks == 8


def test_the_time_ends_between_pairs(gate):
    world = World(noise=1.0)
    end, comparison = gate(world, budget_s=6.5)
    assert end is End.OUT_OF_TIME
    assert world.time == 8.0
    assert len(world.planned) == 8
    assert "Undecidable for want of time: 1 of 1 figures" in " ".join(notes(comparison))
    assert f"cannot tell yet: 3 of {comparison.plan.fewest_blocks} pairs" in FORMATS["text"](
        comparison
    )


def test_the_two_of_a_pair_follow_each_other_in_an_order_by_coin(gate):
    world = World(noise=1.0)
    gate(world, blocks=20)
    pairs = list(zip(world.planned[::2], world.planned[1::2], strict=True))
    orders = set()
    for first, second in pairs:
        assert (first.cell, first.block) == (second.cell, second.block)
        orders.add((first.contender, second.contender))
    assert orders == {("a@base", "a@head"), ("a@head", "a@base")}


def test_what_is_decided_is_measured_no_more_and_what_is_counted_once(gate):
    quiet = Compared("a", "replicate-w1", "latency_p50")  # The same in every trial.
    world = World(noise=1.0)
    _, comparison = gate(world, figures=[FIGURE, quiet], blocks=50)
    blocks = {
        cell: {planned.block for planned in world.planned if planned.cell.id == cell}
        for cell in (COUNTED_CELL.id, REPLICATE.id, "replicate-w1")
    }
    assert blocks[COUNTED_CELL.id] == {0}
    assert blocks[REPLICATE.id] == set(range(50))
    assert blocks["replicate-w1"] == set(range(comparison.plan.rule.fewest_same))
    assert [f.verdict for f in comparison.findings] == [Verdict.UNDECIDED, Verdict.SAME]


def test_what_is_counted_is_decided_where_there_is_time_for_one_pair(gate):
    cells = ("replicate-w1", "election-12-24")
    figures = [FIGURE, *(Compared("a", cell, "latency_p50") for cell in cells)]
    end, comparison = gate(World(messages=(1, 2)), budget_s=0, figures=figures)
    assert end is End.OUT_OF_TIME
    assert len(comparison.costlier) == 1
    assert comparison.outcome is Outcome.WORSE


def test_an_extra_message_a_commit_is_caught_in_one_block(gate):
    _, comparison = gate(World(messages=(1, 2)), blocks=1)
    (count,) = comparison.costlier
    assert (count.what, count.base, count.head) == ("messages per command", 1, 2)
    assert comparison.outcome is Outcome.WORSE
    assert "2 instead of 1 messages per command" in headline(comparison)


def test_counters_that_were_read_late_tell_the_same(gate):
    """The machine was busy: HEAD's were read when a fifth of the commands had been counted."""
    world = World(messages=(5, 5))
    sound = world.run_trial

    def run_trial(planned, spec, run, life=None):
        trial = sound(planned, spec, run)
        late = {"messages": 401, "bytes": 8000, "saves": 80, "entries": 80}
        counters = {"messages": 501, "bytes": 10_000, "saves": 100, "entries": 101}
        read = late if planned.contender == "a@head" else counters
        return msgspec.structs.replace(trial, result={**trial.result, "counters": read})

    world.run_trial = run_trial
    _, comparison = gate(world, blocks=1)
    assert [(c.what, c.base, c.head) for c in comparison.counts if c.gated] == [
        ("messages per command", 5.0, 5.0),
        ("saves per command", 1.0, 1.0),
        ("bytes sent per command", 100.0, 100.0),
    ]


def test_code_that_grew_is_told_and_no_regression(gate):
    _, comparison = gate(World())
    assert comparison.outcome is Outcome.PASSED
    assert "tokens of the runtime" in FORMATS["text"](comparison)


def test_a_contender_that_always_fails_is_given_up(gate):
    figures = [FIGURE, Compared("b", REPLICATE.id, "throughput")]
    world = World(noise=1.0, fails={"b@head"})
    end, comparison = gate(world, names=("a", "b"), figures=figures, blocks=20)
    assert end is End.BLOCKS_DONE
    tried = [planned for planned in world.planned if planned.contender == "b@head"]
    assert len(tried) == 6  # Three in the cell, three to count.
    assert comparison.uncounted == ["b"]
    assert comparison.findings[1].ratio is None
    assert comparison.failures == {"b@head": "6 failed, the last one: died of signal 9"}


def test_a_safety_rule_that_head_breaks_is_a_regression(gate, monkeypatch):
    world = World()
    sound = world.run_trial

    def unsafe(planned, spec, run, life=None):
        trial = sound(planned, spec, run)
        return msgspec.structs.replace(
            trial, check=CheckOutcome(planned.contender == "a@base", ["two leaders"], 1)
        )

    world.run_trial = unsafe
    _, comparison = gate(world, blocks=1)
    assert comparison.outcome is Outcome.BROKEN
    said = "HEAD is broken: a safety rule was broken, or what cannot be was told, in "
    assert said in headline(comparison)


def test_a_head_whose_trials_all_fail_is_broken_and_that_comes_first(gate):
    end, comparison = gate(World(fails={"a@head"}))
    assert end is End.GIVEN_UP
    assert comparison.outcome is Outcome.BROKEN
    said = "a: all 3 trials of counted failed in head: died of signal 9"
    assert comparison.broken == [said, said.replace("counted", "replicate-w64")]
    assert FORMATS["text"](comparison).startswith(f"HEAD is broken: {said}; ")
    assert FORMATS["markdown"](comparison).splitlines()[2].startswith("**HEAD is broken: ")
    assert '"outcome": "broken"' in FORMATS["json"](comparison)


def test_a_head_that_works_beside_a_base_that_does_not_is_not_to_blame(gate):
    _, comparison = gate(World(fails={"a@base"}))
    assert comparison.outcome is Outcome.UNDECIDED
    assert comparison.broken == []
    assert headline(comparison).startswith(
        "Nothing could be decided. BASE is broken: a: all 3 trials of counted failed in base"
    )


def test_what_works_in_neither_is_nobodys_change(gate):
    _, comparison = gate(World(fails={"a@base", "a@head"}))
    assert comparison.outcome is Outcome.UNDECIDED
    assert comparison.broken == comparison.base_broken == comparison.frail == []


def test_what_breaks_in_one_cell_alone_is_broken(gate):
    other = Compared("a", "replicate-w1", "latency_p50")
    world = World(noise=1.0)
    sound = world.run_trial

    def run_trial(planned, spec, run, life=None):
        world.fails = {"a@head"} if planned.cell.id == "replicate-w1" else ()
        return sound(planned, spec, run)

    world.run_trial = run_trial
    _, comparison = gate(world, figures=[FIGURE, other], blocks=1)
    assert comparison.outcome is Outcome.BROKEN
    assert comparison.broken == [
        "a: the only trial of replicate-w1 failed in head: died of signal 9"
    ]


def test_trials_that_fail_more_often_are_said_and_are_no_verdict(gate):
    world = World()
    sound = world.run_trial

    def run_trial(planned, spec, run, life=None):
        world.fails = {"a@head"} if planned.block == 1 else ()
        return sound(planned, spec, run)

    world.run_trial = run_trial
    _, comparison = gate(world)
    assert comparison.outcome is Outcome.PASSED
    trials = comparison.findings[0].blocks + 1
    assert comparison.frail == [
        f"a: 1 of {trials + 1} trials failed in head, 0 of {trials + 1} in base"
    ]
    assert "Trials fail more often: a: 1 of" in headline(comparison)


def test_nothing_measured_is_no_pass(gate):
    _, comparison = gate(World(), budget_s=-1.0)
    assert comparison.findings[0].blocks == 0
    assert comparison.outcome is Outcome.UNDECIDED


@pytest.mark.parametrize("name", FORMATS)
def test_every_form_says_what_matters(gate, name):
    _, comparison = gate(World(head=0.8, messages=(1, 2)))
    text = FORMATS[name](comparison)
    for said in ("throughput", "messages per command", "zig is not in base", "slower"):
        assert said in text


def test_names_are_no_markdown_and_no_html(gate, tmp_path):
    _, comparison = gate(World(), blocks=1)
    plan = msgspec.structs.replace(comparison.plan, head="a|b<script>_c_")
    comparison = msgspec.structs.replace(comparison, plan=plan)
    assert "a\\|b\\<script\\>\\_c\\_" in FORMATS["markdown"](comparison)
    assert "a|b&lt;script&gt;" in FORMATS["html"](comparison)
    assert "<script>" not in FORMATS["html"](comparison)


def test_a_comparison_can_be_looked_at_again(gate, tmp_path):
    _, comparison = gate(World(head=0.8))
    run = Run.open(tmp_path / "a-run")
    assert compare(run, Plan.of(run)) == comparison


def test_a_pair_of_which_one_trial_is_missing_is_left_out(gate, tmp_path):
    _, comparison = gate(World(noise=1.0), blocks=8)
    run = Run.open(tmp_path / "a-run")
    run.trials.remove(next(t for t in run.trials if t.trial == f"{REPLICATE.id}/3/a@base"))
    again = compare(run, Plan.of(run))
    assert again.findings[0].blocks == comparison.findings[0].blocks - 1


def run_of(path, name, factor, cells, environment=None):
    manifest = Manifest(
        run=name,
        profile="quick",
        seed=1,
        started_at=now(),
        specification=Specification(20, cells),
        contenders=[ContenderEntry("a", "A", {}, None)],
        environment=environment or {},
    )
    run = Run.create(path, manifest)
    world = World(head=factor)
    for block, cell in itertools.product(range(20), cells):
        planned = gate_module.Planned(cell, block, 0, "a@head")
        trial = world.run_trial(planned, None, run)
        run.append(msgspec.structs.replace(trial, contender="a"))
    return run


def test_two_runs_are_compared_in_what_they_share(tmp_path):
    other = CELLS["replicate-w1"].cell
    base = run_of(tmp_path, "base", 1.0, [REPLICATE, other])
    head = run_of(tmp_path, "head", 0.7, [REPLICATE])
    plan = plan_of_runs(base, head, margin=0.05)
    comparison = compare_runs(base, head, plan)
    (finding,) = comparison.findings
    assert finding.verdict is Verdict.SLOWER
    assert finding.ratio == pytest.approx(0.7, rel=0.03)
    said = " ".join(notes(comparison))
    assert "measured apart" in said
    assert "replicate-w1 is not the same in both" in said


def test_runs_of_different_builds_are_not_compared_silently(tmp_path):
    base, head = (run_of(tmp_path, name, 1.0, [REPLICATE]) for name in ("base", "head"))
    for run, pgo in ((base, False), (head, True)):
        runtime = {"name": "CPython", "version": "3.14", "build": {"pgo": pgo}}
        entry = ContenderEntry("a", "A", {"runtime": runtime}, None, env={"X": "1"} if pgo else {})
        run.manifest = msgspec.structs.replace(run.manifest, contenders=[entry])
    said = plan_of_runs(base, head, margin=0.05).caution
    assert said is not None
    assert said.endswith(
        " A ran on CPython 3.14, PGO not configured in BASE and on CPython 3.14, PGO, X=1 in HEAD."
    )


def test_runs_of_different_machines_are_not_compared(tmp_path):
    machines = [{"machine": {"cpus_usable": cpus}} for cpus in (2, 4)]
    base, head = (
        run_of(tmp_path, name, 1.0, [REPLICATE], environment)
        for name, environment in zip(("base", "head"), machines, strict=True)
    )
    with pytest.raises(StoreError, match=r"another machine .*2 processors.*4 processors"):
        plan_of_runs(base, head, margin=0.05)


def test_a_comparison_with_a_commit_is_remembered_by_its_ratios_and_counts(gate, tmp_path):
    _, comparison = gate(World(head=0.8), blocks=12)
    run = Run.open(tmp_path / "a-run")
    msgspec.structs.replace(comparison.plan, base_commit="c0ffee").save(run)
    kept = entry_of(run)
    (finding,) = comparison.findings
    (figure,) = kept.figures
    assert kept.against == "c0ffee"
    assert figure.value == pytest.approx(finding.ratio, rel=1e-5)
    assert (figure.cell, figure.metric) == (finding.cell, finding.metric)
    costs = {count.what: count.head for count in comparison.counts if count.gated}
    assert {count.what: count.number for count in kept.counts} == costs
