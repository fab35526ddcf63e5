"""The harness, killed at any moment and resumed, loses no trial, doubles none and leaves nothing.

SIGKILL at random moments, then `raftmark bench --resume` on the same run, and again. `--kills N`
kills it N times; `--kill-contenders` has it measure the real contenders too, on disk as well.
"""

from __future__ import annotations

import random
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from raftmark.bench.contenders.orphans import orphans
from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.design.specification import Cell, replicate_cell
from raftmark.bench.runs.audit import audit
from raftmark.bench.runs.plan import expected
from raftmark.bench.runs.store import Run
from tests.bench import support
from tests.bench.support import PATIENCE, fake, write_table
from tests.conformance.waiting import looks

from .test_cli import RAFTMARK

# More than a harness gets through before it is killed, on the average.
TRIALS_A_LIFE = 4


def real_cells() -> list[Cell]:
    """Return short cells for the real contenders, one of them on disk."""
    return [
        replicate_cell(16, warmup_s=0.05, duration_s=0.1),
        replicate_cell(16, storage="disk", warmup_s=0.05, duration_s=0.1),
        support.election_cell(),
    ]


def stub_cells() -> list[Cell]:
    return [support.replicate_cell(), support.election_cell()]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "real" in metafunc.fixturenames:
        wanted = [False, True] if metafunc.config.option.kill_contenders else [False]
        metafunc.parametrize(
            "real", wanted, ids=["contenders" if real else "stubs" for real in wanted]
        )


@pytest.mark.slow
def test_a_harness_killed_at_any_moment_resumes_without_loss_or_repetition(
    tmp_path: Path, real: bool, request: pytest.FixtureRequest
) -> None:
    kills, seed = request.config.option.kills, request.config.option.seed
    chance = random.Random(f"{seed}/{request.node.name}")
    names = list(load_contenders()) if real else ["a", "b"]
    cells = real_cells() if real else stub_cells()
    blocks = 1 + kills * TRIALS_A_LIFE // (len(names) * len(cells))
    run = Run.create(tmp_path, support.manifest(names, cells, blocks, seed))
    options = ["--resume", str(run.path), "--no-report"]
    if not real:
        table = write_table(tmp_path / "table.toml", {name: fake("stub") for name in names})
        options += ["--contenders-file", str(table)]
    kept: list[bytes] = []
    lives = 0
    for _ in range(kills):
        lives += killed_in_the_middle(options, tmp_path, chance)
        kept = what_is_whole(run.path, kept)
    done = subprocess.run(
        [*RAFTMARK, "bench", *options], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    what_is_whole(run.path, kept)
    final = audit(run.path)
    assert final.remarks == []
    assert final.ended == final.planned
    assert real or final.failures == {}, "no stub fails by itself"
    assert [t.trial for t in Run.open(run.path).trials] == [t.id for t in expected(run.manifest)]
    print(f"{lives} of {kills} harnesses killed while they ran, {final.ended} trials")
    assert lives >= kills // 3, "or it tested little"


def killed_in_the_middle(options: list[str], cwd: Path, chance: random.Random) -> bool:
    """Start a harness and kill it; return whether it still ran. No process is left of it."""
    # It says something as each trial ends: so many times are waited for, and then a while.
    lines, more_s = chance.randrange(TRIALS_A_LIFE + 3), chance.uniform(0, 0.2)
    with subprocess.Popen(
        [*RAFTMARK, "bench", *options], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as harness:
        assert harness.stderr is not None
        said = b"".join(harness.stderr.readline() for _ in range(lines))
        try:
            harness.wait(more_s)
        except subprocess.TimeoutExpired:
            harness.kill()
        said += harness.stderr.read()
    assert harness.returncode in (0, -signal.SIGKILL), said.decode()
    return harness.returncode != 0


def what_is_whole(path: Path, before: list[bytes]) -> list[bytes]:
    """Check that a run is whole, holds all that it held before, and has no process."""
    findings = audit(path)
    assert findings.problems == []
    *lines, _ = (path / "trials.jsonl").read_bytes().split(b"\n")
    assert lines[: len(before)] == before
    left = []
    for _ in looks(PATIENCE):
        if not (left := orphans(path)):
            break
    assert left == []
    return lines


def test_a_run_appears_whole_or_not_at_all(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    chance = random.Random(f"{request.config.option.seed}/{request.node.name}")
    table = write_table(tmp_path / "table.toml", {"a": fake("stub")})
    options = ["--no-report", "--contenders-file", str(table), "--workloads", "election"]
    for _ in range(3):
        killed_in_the_middle(options, tmp_path, chance)
    for path in (tmp_path / "results").glob("[!.]*"):
        assert audit(path).problems == []


@pytest.mark.parametrize("guarded", [True, False])
def test_a_contender_that_hangs_is_ended_by_the_guardian_and_else_by_the_next_harness(
    tmp_path: Path, guarded: bool
) -> None:
    table = write_table(tmp_path / "table.toml", {"a": fake("hangs", "run")})
    cell = support.election_cell()
    run = Run.create(tmp_path, support.manifest(["a"], [cell], blocks=1))
    options = ["--resume", str(run.path), "--no-report", "--contenders-file", str(table)]
    with subprocess.Popen(
        [*RAFTMARK, "bench", *options],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as harness:
        log = run.logs / f"{cell.id}_0_a.stderr"
        for _ in looks(PATIENCE):
            assert harness.poll() is None
            if log.exists() and b"about to hang" in log.read_bytes():
                break
        children = psutil.Process(harness.pid).children()
        (guardian,) = [child for child in children if child.cmdline()[-1].endswith("guardian.py")]
        if not guarded:
            guardian.kill()
        harness.kill()
    _, left = psutil.wait_procs([guardian] if not guarded else children, timeout=PATIENCE)
    assert not left
    assert len(orphans(run.path)) == (0 if guarded else 1)
    with run.lock():
        assert orphans(run.path) == []
        assert run.leftovers() == []
