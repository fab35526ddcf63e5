"""A run over the hosts of a Ray cluster, to its report, through an interruption or a kill."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import msgspec
import pytest

from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.design.cells import deployed, replicate_cell
from raftmark.bench.design.specification import Cell
from raftmark.bench.experiment.entries import describe
from raftmark.bench.runs.forms import Asked, ContenderEntry, Elsewhere
from raftmark.bench.runs.plan import remaining
from raftmark.bench.runs.store import Run
from tests.bench import support
from tests.bench.support import fake, write_table
from tests.conformance.waiting import looks
from tests.raftmark.test_cli import RAFTMARK

from .conftest import PATIENCE_S
from .test_clusters import await_nothing

pytestmark = pytest.mark.timeout(900)


def new_run(
    path: Path,
    elsewhere: Elsewhere,
    cells: list[Cell],
    blocks: int,
    names: list[str],
    *,
    table: str | None = None,
    contenders: list[ContenderEntry] | None = None,
) -> Run:
    """A run that was begun, and of which nothing is measured yet."""
    asked = Asked(table=table, elsewhere=elsewhere)
    manifest = support.manifest(names, cells, blocks, contenders=contenders)
    return Run.create(path, msgspec.structs.replace(manifest, asked=asked))


def resuming(run: Run, address: str, spread: str, *options: str) -> list[str]:
    where = ["--hosts", f"ray:{address}", "--spread", spread]
    return [*RAFTMARK, "bench", "--resume", str(run.path), *where, *options]


def cut_short(command: list[str], run: Run, number: signal.Signals) -> int:
    """Begin to measure, and end that by a signal as soon as a trial was kept."""
    before = len(Run.open(run.path).trials)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for _ in looks(PATIENCE_S, 0.05):
            if len(Run.open(run.path).trials) > before or process.poll() is not None:
                break
        process.send_signal(number)
        said, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert len(Run.open(run.path).trials) > before, said.decode()
    return process.returncode


def complete(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_blocks_go_to_hosts_and_a_killed_run_leaves_nothing_and_resumes(
    address: str, tmp_path: Path
) -> None:
    elsewhere = Elsewhere("blocks")
    table = str(write_table(tmp_path / "table.toml", {name: fake("stub") for name in "ab"}))
    cells = [support.replicate_cell(), support.election_cell()]
    run = new_run(tmp_path, elsewhere, cells, 24, ["a", "b"], table=table)
    command = resuming(run, address, "blocks", "--contenders-file", table, "--no-report")
    assert cut_short(command, run, signal.SIGKILL) == -signal.SIGKILL
    await_nothing()
    complete(command)
    done = Run.open(run.path)
    assert remaining(done) == []
    assert [trial for trial in done.trials if trial.failure is not None] == []
    hosts = done.manifest.resumptions[-1].environment["hosts"]
    assert hosts["number"] == 3
    assert {trial.host for trial in done.trials} <= {*hosts["kind_of"]}
    measured = {block: {t.host for t in done.trials if t.block == block} for block in range(24)}
    assert sum(len(names) > 1 for names in measured.values()) <= 3, "those under way at the kill"
    assert len({*map(frozenset, measured.values())}) > 1, "more than one host took part"


def test_nodes_go_to_hosts_and_an_interrupted_run_resumes_to_its_report(
    address: str, tmp_path: Path
) -> None:
    elsewhere = Elsewhere("nodes")
    entry = describe(load_contenders()["asyncio"], lambda _: None)
    cell = deployed(replicate_cell(4, warmup_s=0.1, duration_s=0.2))
    # A leader that a busy machine holds up must not lose its office.
    patient = {**cell.cluster, "election_timeout_ms": [1000, 2000]}
    cell = msgspec.structs.replace(cell, cluster=patient, timeout_s=PATIENCE_S)
    run = new_run(tmp_path, elsewhere, [cell], 3, ["asyncio"], contenders=[entry])
    command = resuming(run, address, "nodes")
    assert cut_short(command, run, signal.SIGINT) == 128 + signal.SIGINT
    await_nothing()
    report = Path(complete(command).strip().splitlines()[-1])
    await_nothing()
    done = Run.open(run.path)
    assert [trial.status for trial in done.trials] == ["ok"] * 3
    for line in (run.path / "trials.jsonl").read_text().splitlines():
        trial = json.loads(line)
        assert len({each["host"] for each in trial["node_hosts"]}) == 3
        assert all(each["uncertainty_ns"] > 0 for each in trial["node_hosts"])
        assert trial["cost"] is None, "what is beside the nodes costs something else"
    page = report.read_text(encoding="utf-8")
    assert "clocks of hosts, known to within" in page
