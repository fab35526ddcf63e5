"""The command line as its users see it: with its output and its exit status.

As a process, too, where it measures a whole run, is interrupted or becomes something else.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from raftmark.bench.design.schedule import schedule
from raftmark.bench.design.specification import PROFILES, narrow
from raftmark.bench.runs import outcomes
from raftmark.bench.runs.store import Run
from tests.bench.repositories import Project
from tests.bench.support import LONG, fake, write_table

RAFTMARK = [str(Path(sys.executable).with_name("raftmark"))]
ROOT = Path(__file__).resolve().parents[2]


def raftmark(*arguments: str, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RAFTMARK, *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )


@pytest.fixture
def table(tmp_path):
    """Write a table of fakes, and return the option that chooses it."""

    def write(commands: Mapping[str, Sequence[str]]) -> list[str]:
        path = write_table(tmp_path / "table.toml", {n: list(c) for n, c in commands.items()})
        return ["--contenders-file", str(path)]

    return write


def test_a_whole_run(tmp_path, table):
    fakes = table({"a": fake("stub"), "b": fake("stub"), "missing": ["no-such-program"]})
    options = ["--no-report", "--blocks", "1", "--seed", "7", "--twin", "b"]
    done = raftmark("bench", *options, *fakes, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "missing cannot run: cannot start no-such-program" in done.stderr
    assert "seed 7" in done.stderr
    (path,) = [path for path in (tmp_path / "results").iterdir() if path.name != "latest"]
    run = Run.open(path)
    assert path.name.endswith("-quick")
    assert {trial.status for trial in run.trials} == {"ok"}
    # The stub offers no cluster of programs.
    offered = [c for c in run.manifest.specification.cells if c.transport == "native"]
    assert len(run.trials) == 3 * len(offered)
    able = {entry.name: entry.unavailable is None for entry in run.manifest.contenders}
    assert able == {"a": True, "b": True, "missing": False, "b~": True}
    assert run.manifest.contenders[-1].label == "B (again)"
    assert run.manifest.environment["machine"]["cpus"] == os.cpu_count()
    assert "replicate-w64" in done.stdout
    # What the stub makes up: 20 commands of each of 64 clients in 0.8 s.
    assert "1,6" in done.stdout
    assert done.stderr.count(" left\n") == len(run.trials)


def test_only_what_was_chosen_is_measured(tmp_path, table, command):
    fakes = table({"a": fake("stub"), "b": fake("stub")})
    options = ["--contenders", "b", "--workloads", "election", "--blocks", "2", "--no-twin"]
    done = command("bench", "--no-report", *options, *fakes, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = Run.open(tmp_path / "results" / "latest")
    assert {trial.contender for trial in run.trials} == {"b"}
    assert {trial.cell.split("-")[0] for trial in run.trials} == {"election"}
    assert {trial.block for trial in run.trials} == {0, 1}


def seed_that_runs_first(contender: str, contenders: Sequence[str]) -> int:
    """Find a seed whose schedule has `contender` first and another one next."""
    specification = narrow(PROFILES["quick"](), workloads=["election"], blocks=1)
    for seed in range(1000):
        turns = [planned.contender for planned in schedule(specification, contenders, seed)]
        if turns[0] == contender:
            return seed
    raise AssertionError("no such seed")


def test_a_precision_is_planned_by_a_pilot(tmp_path, table, command):
    options = ["--no-report", "--workloads", "election", "--precision", "2%", "--no-twin"]
    done = command("bench", *options, *table({"a": fake("stub")}), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # The stub's elections never vary, so the fewest blocks and the most elections are planned.
    assert "for intervals of ±2.0%" in done.stdout
    assert "6 blocks of about" in done.stdout
    run = Run.open(tmp_path / "results" / "latest")
    assert run.manifest.specification.precision == 0.02
    assert run.manifest.specification.blocks == 6
    assert len(run.trials) == 6 * len(run.manifest.specification.cells)
    again = command("pilot", "latest", "--precision", "1%", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "for intervals of ±1.0%" in again.stdout
    gone = command("pilot", "gone", cwd=tmp_path)
    assert gone.returncode == 2
    assert "no run gone" in gone.stderr


def test_what_is_not_offered_is_neither_asked_for_nor_a_failure(tmp_path, table, command):
    script = tmp_path / "modest.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(Path(fake('stub')[1]).parent)!r})\n"
        "from stub import Stub\n"
        "class Modest(Stub):\n"
        "    def op_hello(self, request):\n"
        "        return {**super().op_hello(request), 'features': ['memory', 'offered']}\n"
        "Modest().serve()\n"
    )
    fakes = table({"all": fake("stub"), "modest": [sys.executable, str(script)]})
    options = ["--no-report", "--blocks", "1", "--workloads", "election,offered", "--no-twin"]
    done = command("bench", *options, *fakes, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "modest does not offer election: not asked for a cell" in done.stderr
    assert "failed" not in done.stderr
    assert "missing" not in done.stderr
    assert done.stdout.count("not offered") == 1
    run = Run.open(tmp_path / "results" / "latest")
    assert {trial.cell for trial in run.trials if trial.contender == "modest"} == {"offered-r10000"}
    options = ["--contenders", "modest", "--workloads", "election"]
    done = command("bench", "--no-report", *options, *fakes, cwd=tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == "raftmark: there was nothing to measure: nobody offers what was asked for"


def test_a_contender_runs_on_another_interpreter_too(tmp_path, table, command):
    # A program that passes for an interpreter of another version, and is the running one.
    python = tmp_path / "python"
    said = {
        "executable": str(python),
        "implementation": "CPython",
        "version": "3.99.1",
        "free_threaded": True,
    }
    python.write_text(
        "#!/bin/sh\n"
        f"if [ \"$1\" = -I ]; then echo '{msgspec.json.encode(said).decode()}'; exit; fi\n"
        f'exec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    fakes = table({"stub": ["{python}", *fake("stub")[1:]], "other": fake("stub")})
    options = ["--no-report", "--blocks", "1", "--workloads", "election", "--no-twin"]
    interpreters = ["--python", str(python), "--python", "3.0"]
    done = command("bench", *options, *interpreters, *fakes, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("3.0") == 2
    assert "uv python install 3.0' installs it" in done.stderr
    run = Run.open(tmp_path / "results" / "latest")
    entries = [(entry.name, entry.label, entry.base) for entry in run.manifest.contenders]
    assert entries == [
        ("stub", "Stub", None),
        ("stub@3.99t", "Stub, 3.99t", "stub"),
        ("other", "Other", None),
    ]
    assert {trial.contender for trial in run.trials if trial.status == "ok"} == {
        name for name, _, _ in entries
    }


def test_an_interrupted_run_keeps_its_trials_and_can_be_resumed(tmp_path, table):
    # The second contender waits for a file before it hangs no longer, so that the signal comes
    # during its trial and the resumed run is not held up.
    gate, asked = tmp_path / "gate", tmp_path / "asked"
    script = tmp_path / "gated.py"
    script.write_text(
        f"import os, signal, sys\nsys.path.insert(0, {str(Path(fake('stub')[1]).parent)!r})\n"
        "from stub import Stub\n"
        "class Gated(Stub):\n"
        "    def op_run(self, request):\n"
        f"        open({str(asked)!r}, 'w').close()\n"
        f"        while not os.path.exists({str(gate)!r}): signal.pause()\n"
        "        return super().op_run(request)\n"
        "Gated().serve()\n"
    )
    fakes = table({"a": fake("stub"), "gated": [sys.executable, str(script)]})
    seed = seed_that_runs_first("a", ["a", "gated"])
    options = ["--workloads", "election", "--blocks", "1", "--no-twin", "--seed", str(seed)]
    options += fakes
    with subprocess.Popen(
        [*RAFTMARK, "bench", *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as bench:
        deadline = time.monotonic() + LONG
        while not asked.exists():
            assert time.monotonic() < deadline, "the gated contender was never asked"
            assert bench.poll() is None
            time.sleep(0.005)
        bench.send_signal(signal.SIGINT)
        stdout, stderr = bench.communicate(timeout=LONG)
    assert bench.returncode == 130, stderr
    assert "interrupted" in stderr
    (path,) = [path for path in (tmp_path / "results").iterdir() if path.name != "latest"]
    assert f"raftmark bench --resume results/{path.name}" in stderr
    before = Run.open(path)
    assert {trial.contender for trial in before.trials} == {"a"}
    # The report of what there is was written all the same, and says what is missing.
    report = path / "report.html"
    assert stdout.splitlines()[-1] == str(report)
    unfinished = report.read_bytes()

    gate.touch()
    done = raftmark("bench", "--resume", path.name, *fakes, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert report.read_bytes() != unfinished
    after = Run.open(path)
    assert after.trials[0] == before.trials[0]
    planned = schedule(after.manifest.specification, ["a", "gated"], seed)
    assert [trial.trial for trial in after.trials] == [trial.id for trial in planned]
    assert {trial.status for trial in after.trials} == {"ok"}
    assert len(after.manifest.resumptions) == 1


@pytest.mark.parametrize(
    "command_line", ["primitives", "races", "bench", "gate HEAD", "compare HEAD"]
)
def test_a_mistyped_contender_is_wrong_usage_in_every_command(tmp_path, command, command_line):
    project = Project(tmp_path / "project")
    done = command(*command_line.split(), "--contenders", "zig", cwd=project.path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("raftmark: no contender zig; choose from ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.parametrize("ignored", [False, True])
def test_whatever_asks_a_command_to_end_interrupts_it(
    tmp_path, command, monkeypatch, number, ignored
):
    def asked_to_end(*_: object) -> None:
        signal.raise_signal(number)

    monkeypatch.setattr("raftmark.bench.runs.audit.audit", asked_to_end)
    before = signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        if ignored:
            with pytest.raises(AttributeError):  # It went on, and got nothing from its audit.
                command("check", ".", cwd=tmp_path)
        else:
            done = command("check", ".", cwd=tmp_path)
            assert (done.returncode, done.stderr) == (130, "raftmark: interrupted\n")
    finally:
        signal.signal(number, before)


def test_who_interrupts_twice_is_told_how_to_resume_all_the_same(
    tmp_path, table, command, monkeypatch
):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("raftmark.bench.experiment.measure.measure", interrupted)
    monkeypatch.setattr("raftmark.terminal.summary.summarise", interrupted)
    done = command("bench", *table({"a": fake("stub")}), cwd=tmp_path)
    assert done.returncode == 130
    (path,) = [path for path in (tmp_path / "results").iterdir() if path.name != "latest"]
    assert done.stderr.endswith(
        "interrupted; 80 trials are missing: "
        f"go on with 'raftmark bench --resume results/{path.name} "
        f"--contenders-file {tmp_path / 'table.toml'}'\n"
    )


def test_any_command_that_is_interrupted_says_so(tmp_path, command, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("raftmark.commands.publishing.find_run", interrupted)
    done = command("report", "any", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (130, "raftmark: interrupted\n")


def test_failed_trials_are_told_and_do_not_fail_the_run(tmp_path, table, command):
    fakes = table({"good": fake("stub"), "bad": fake("crashes", "run")})
    options = ["--no-report", "--blocks", "2", "--workloads", "election", "--no-twin"]
    done = command("bench", *options, *fakes, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "failed at run: died of signal 9" in done.stderr
    assert "2 of 4 trials failed" in done.stderr


@pytest.mark.parametrize(
    ("contender", "said"),
    [
        (fake("crashes", "run"), "no trial succeeded"),
        (fake("unsafe", "two_leaders"), "broke a safety rule"),
        (fake("crashes", "hello"), "no contender can run"),
    ],
)
def test_a_run_without_a_sound_figure_fails(tmp_path, table, command, contender, said):
    options = ["--no-report", "--blocks", "1", "--workloads", "election", "--no-twin"]
    done = command("bench", *options, *table({"bad": contender}), cwd=tmp_path)
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]


def test_beside_peers_they_are_who_can_be_chosen(command, tmp_path):
    done = command("bench", "--profile", "peers", "--contenders", "zig", cwd=tmp_path)
    assert done.returncode == 2
    assert "no contender zig" in done.stderr
    assert {"pysyncobj", "etcd", "go"} <= set(re.findall(r"[\w-]+", done.stderr))


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["bench", "--profile", "huge"], 2, "choose from quick, full, paper"),
        (["bench", "--contenders", "a,zig"], 2, "no contender zig; choose from a"),
        (["bench", "--contenders", ","], 2, "choose from a"),
        (["bench", "--workloads", "sort"], 2, "no such workload: sort"),
        (["bench", "--blocks", "0"], 2, "'--blocks'"),
        (["bench", "--seed", "x"], 2, "'--seed'"),
        (["bench", "--precision", "much"], 2, "write it as 2%"),
        (["bench", "--precision", "0%"], 2, "between 0 and 100%"),
        (["bench", "--precision", "2%", "--blocks", "9"], 2, "one of --precision and --blocks"),
        (["bench", "--resume", "gone"], 2, "no run gone"),
        (["bench", "--resume", "gone", "--seed", "1"], 2, "leave out"),
        (["bench", "--resume", "gone", "--no-twin"], 2, "leave out"),
        (["bench", "--twin", "zig"], 2, "no contender zig"),
        (["bench", "--twin", "a", "--no-twin"], 2, "one of --twin and --no-twin"),
        (["bench", "--resume", "."], 1, "is not a run"),
        (["bench", "--results", "table.toml"], 1, "choose another --results"),
        (["bench", "--contenders-file", "gone.toml"], 2, "gone.toml"),
        (["report", "gone"], 2, "no run gone"),
        (["report", "."], 1, "is not a run"),
        (["host", "zig"], 2, "no contender zig"),
        (["bench", "--python", "zig"], 2, "'zig' is no interpreter"),
        (["contenders", "--python", "zig"], 2, "'zig' is no interpreter"),
        (["host", "a@uvlop"], 2, "'uvlop' is no interpreter"),
        (["host", "a@/gone/python"], 2, "/gone/python is no Python interpreter"),
        (["bench", "--contenders", "a@3.99+uvloop"], 1, "no Python 3.99 found"),
        (["measure"], 2, "No such command"),
        (["bench", "--fast"], 2, "No such option"),
    ],
)
def test_errors_are_one_line_on_stderr(tmp_path, table, command, arguments, status, said):
    _, *stub = fake("stub")
    fakes = table({"a": ["{python}", *stub]})
    if arguments[0] != "report" and "--contenders-file" not in arguments:
        arguments = [*arguments, *fakes]
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    *before, last = done.stderr.splitlines()
    assert last.startswith("raftmark: ")
    assert said in last
    assert all(line.startswith("preparing") or "does not offer" in line for line in before)
    assert done.stdout == ""


@pytest.mark.parametrize("family", [[], ["history"]])
def test_without_a_command_its_family_is_shown(tmp_path, command, family):
    done = command(*family, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    usage = " ".join(["raftmark", *family, "[OPTIONS] COMMAND [ARGS]..."])
    assert done.stderr.startswith(f"Usage: {usage}\n")


def test_a_report_that_cannot_be_written_is_said(tmp_path, table, command):
    options = ["--no-report", "--blocks", "1", "--workloads", "election", "--no-twin"]
    command("bench", *options, *table({"a": fake("stub")}), cwd=tmp_path)
    done = command("report", "latest", "-o", "gone/report.html", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("raftmark: Invalid value: cannot write gone/report.html: ")
    written = command("report", "latest", "-o", "report.html", cwd=tmp_path)
    assert written.returncode == 0, written.stderr
    assert written.stdout == "report.html\n"
    assert "<html" in (tmp_path / "report.html").read_text()


def test_host_is_the_contender_itself(tmp_path, table):
    fakes = table({"a": fake("stub")})
    done = raftmark("host", "a", *fakes, cwd=tmp_path, stdin='{"id": 5, "op": "hello"}\n')
    assert done.returncode == 0
    assert msgspec.json.decode(done.stdout)["id"] == 5
    assert done.stderr == ""


def test_host_of_a_program_that_does_not_exist(tmp_path, table):
    done = raftmark("host", "a", *table({"a": ["no-such-program"]}), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "raftmark: cannot start no-such-program: No such file or directory\n"


def test_host_starts_without_the_libraries_of_the_report():
    program = "import sys, raftmark.cli; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert loaded.isdisjoint({"matplotlib", "numpy", "jinja2", "pyperf"})


def test_the_contenders_are_listed(tmp_path, table, command):
    fakes = table({"a": fake("stub"), "bad": ["no-such-program"]})
    done = command("contenders", *fakes, cwd=tmp_path)
    assert done.returncode == 0
    (a,) = [line for line in done.stdout.splitlines() if "│ a " in line]
    assert "CPython 3" in a
    assert " on " in a
    assert "cannot start no-such-program" in done.stdout
    listed = msgspec.json.decode(command("contenders", "--json", *fakes, cwd=tmp_path).stdout)
    assert listed[0]["hello"]["language"] == "Python"
    assert listed[1]["hello"] is None
    assert "cannot start" in listed[1]["unavailable"]


def test_races_are_counted_and_kept_in_a_run(tmp_path, command):
    done = command("races", "--runs", "2", "--contenders", "asyncio", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = Run.open(tmp_path / "results" / "latest")
    assert str(run.path) in done.stdout
    counted = outcomes.load(run.path)
    assert len(counted) == 3
    assert all(sum(each.outcomes.values()) == 2 for each in counted)

    again = command("races", "--runs", "2", "--run", run.manifest.run, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert outcomes.load(run.path) == counted


def test_a_run_keeps_its_seed(tmp_path, command):
    done = command("primitives", "--run", "any", "--seed", "1", cwd=tmp_path)
    assert done.returncode == 2
    assert "--run has its contenders and its seed" in done.stderr
