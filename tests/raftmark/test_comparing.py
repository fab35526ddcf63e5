"""`raftmark compare` and `raftmark gate` as their users see them, with the stub as contender."""

import contextlib
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from raftmark.bench.runs.store import Run
from raftmark.bench.tracking import gate as gate_module
from raftmark.bench.tracking.gate import measure
from raftmark.bench.tracking.plans import Compared, Plan
from tests.bench.repositories import STUB, Project
from tests.bench.support import LONG
from tests.bench.tracking.test_gate import FIGURE, World, a_run

RAFTMARK = [str(Path(sys.executable).with_name("raftmark"))]
ONE_BLOCK = ["--blocks", "1", "--workloads", "replicate"]
# Whole gates: on a machine that is busy with others they take their time.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * LONG)]

EXTRA_MESSAGE = ('"messages": 2,', '"messages": 2 + entries,')


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


def raftmark(project, *arguments):
    return subprocess.run(
        [*RAFTMARK, *arguments],
        cwd=project.path,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )


def test_one_block_of_the_same_decides_nothing_and_leaves_a_run_and_nothing_else(project, command):
    done = command("gate", "main", *ONE_BLOCK, cwd=project.path)
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith("HEAD the working tree against BASE main (")
    assert "Nothing could be decided." in done.stdout
    assert "messages per command  0.1  0.1  equal" in done.stdout
    assert project.worktrees() == []
    run = Run.open(project.path / "results" / "latest")
    assert {trial.status for trial in run.trials} == {"ok"}
    assert sorted({trial.contender for trial in run.trials}) == ["a@base", "a@head"]
    # What it found can be read again, without measuring.
    again = command("compare", "latest", cwd=project.path)
    assert again.stdout == done.stdout
    # It is a run like any other, but in no order that was known beforehand.
    checked = command("check", "latest", cwd=project.path)
    assert checked.returncode == 0, checked.stderr + checked.stdout
    resumed = command("bench", "--resume", "latest", cwd=project.path)
    assert resumed.returncode == 2
    assert "is a comparison, which is not resumed" in resumed.stderr


def test_an_extra_message_fails_the_gate_in_one_block(project, command):
    base = project.commit()
    project.edit_stub(*EXTRA_MESSAGE)
    project.commit()
    done = command("gate", base, "main", *ONE_BLOCK, "--format", "json", cwd=project.path)
    assert done.returncode == 4, done.stderr
    comparison = msgspec.json.decode(done.stdout)
    (grown,) = [c for c in comparison["counts"] if c["gated"] and c["head"] != c["base"]]
    assert (grown["what"], grown["base"], grown["head"]) == ("messages per command", 0.1, 1.1)
    assert project.worktrees() == []


def test_compare_tells_the_same_and_passes(project, command):
    project.edit_stub(*EXTRA_MESSAGE)
    done = command("compare", "HEAD", *ONE_BLOCK, cwd=project.path)
    assert done.returncode == 0, done.stderr
    assert "A: 1.1 instead of 0.1 messages per command" in done.stdout


QUIET = Compared("a", "replicate-w1", "latency_p50")  # The same in every trial of the world.


@pytest.mark.parametrize(
    ("world", "figures", "status", "if_all_must_be_decided"),
    [
        (World(), [FIGURE], 0, 0),
        (World(noise=1.0), [FIGURE, QUIET], 0, 3),
        (World(noise=1.0), [FIGURE], 3, 3),
        (World(head=0.8), [FIGURE], 4, 4),
        (World(messages=(1, 2)), [FIGURE], 4, 4),
        (World(fails={"a@head"}), [FIGURE], 1, 1),
        (World(fails={"a@base"}), [FIGURE], 3, 3),
    ],
    ids=["passed", "some undecided", "undecided", "slower", "costlier", "broken", "base broken"],
)
def test_each_outcome_has_a_status(
    tmp_path, monkeypatch, command, world, figures, status, if_all_must_be_decided
):
    run, plan = a_run(tmp_path / "results", figures=figures, blocks=60)
    monkeypatch.setattr(gate_module, "run_trial", world.run_trial)
    specs = {entry.name: None for entry in run.manifest.contenders}
    measure(run, plan, specs, 1e6, lambda message: None, world.clock)
    assert command("gate", "a-run", cwd=tmp_path).returncode == status
    asked = command("gate", "a-run", "--fail-undecided", cwd=tmp_path)
    assert asked.returncode == if_all_must_be_decided
    assert command("compare", "a-run", cwd=tmp_path).returncode == 0


def test_what_is_found_goes_to_a_file(project, command):
    options = ["--budget", "0", "--format", "markdown", "-o", "found"]
    done = command("compare", "main", *options, cwd=project.path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert (project.path / "found").read_text().startswith("### Raftmark")


def test_a_commit_whose_hook_compares_is_the_commit_that_was_meant(project):
    """git hands the index of the commit that is being made to the hook."""
    hook = project.path / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    asked = shlex.join([*RAFTMARK, "compare", "HEAD", "--budget", "0", "-o", "results/found"])
    hook.write_text(f"#!/bin/sh\nmkdir -p results\nexec {asked}\n")
    hook.chmod(0o755)
    (project.path / "staged").touch()
    project.git("add", "staged")
    project.edit_stub(*EXTRA_MESSAGE)
    project.git("commit", "--quiet", "--all", "--message", "Cost more")
    changed = project.git("show", "--name-only", "--format=", "HEAD").splitlines()
    assert changed == ["staged", "stub.py"]
    assert project.git("status", "--porcelain") == ""
    assert "HEAD the working tree" in (project.path / "results" / "found").read_text()
    assert project.worktrees() == []


def changed(project, name, answer):
    """Write a stub that says something else of itself; return its command."""
    (project.path / f"{name}.py").write_text(
        "from stub import Stub\n"
        "class Changed(Stub):\n"
        "    def op_hello(self, request):\n"
        f"        return super().op_hello(request) | {{{answer}}}\n"
        "Changed().serve()\n"
    )
    return ["{python}", f"{{root}}/{name}.py"]


def test_what_only_one_side_has_is_named_and_the_rest_compared(project, command):
    older = changed(project, "older", '"protocol": 0')
    project.set_table({"a": STUB, "old": STUB, "grown": older, "narrow": STUB})
    project.commit()
    narrow = changed(project, "narrow", '"features": ["memory", "election"]')
    project.set_table({"a": STUB, "new": STUB, "grown": STUB, "narrow": narrow})
    done = command("gate", "main", "--blocks", "1", cwd=project.path)
    assert done.returncode == 3, done.stderr
    for said in (
        "Not compared: old is not in head's table.",
        "Not compared: new is not in base's table.",
        "Nothing could be decided. BASE is broken: grown cannot run in base: does not speak",
        "Not compared: narrow does not offer replicate-w64 in head.",
    ):
        assert said in done.stdout
    plan = Plan.of(Run.open(project.path / "results" / "latest"))
    assert set(plan.labels) == {"a", "narrow"}
    assert {f.cell for f in plan.figures if f.contender == "narrow"} == {"election-12-24"}


def test_nothing_in_common_is_nothing_decided(project, command):
    project.set_table({"b": STUB})
    done = command("gate", "main", cwd=project.path)
    assert done.returncode == 3
    assert "Nothing could be decided." in done.stdout
    for said in ("a is not in head's table", "b is not in base's table"):
        assert f"Not compared: {said}." in done.stdout
    assert project.worktrees() == []


def test_a_head_that_does_not_start_is_broken(project, command):
    project.edit_stub("class Stub", "class Stub:")
    done = command("gate", "main", cwd=project.path)
    assert done.returncode == 1
    assert done.stdout.startswith("HEAD is broken: a cannot run in head: ")
    assert project.worktrees() == []


def test_a_head_that_fails_where_base_works_is_broken(project, command):
    project.edit_stub("def op_run(self, request):", "def op_run(self, request, more):")
    done = command("gate", "main", *ONE_BLOCK, cwd=project.path)
    assert done.returncode == 1
    assert done.stdout.startswith("HEAD is broken: a: the only trial of ")
    compared = command("compare", "latest", cwd=project.path)
    assert (compared.returncode, compared.stdout) == (0, done.stdout)


@pytest.mark.parametrize("first", ["table", "contender"])
def test_the_first_pull_request_has_nothing_to_compare_with_and_succeeds(project, command, first):
    if first == "table":
        project.git("rm", "--quiet", "bench/contenders.toml")
        project.commit()
        project.git("revert", "--no-commit", "HEAD")
        chosen = []
    else:
        project.set_table({"a": STUB, "mine": STUB})
        chosen = ["--contenders", "mine"]
    for name, opening in (("text", "HEAD the working tree"), ("markdown", "### Raftmark")):
        options = [*chosen, "--format", name, "-o", "found"]
        done = command("gate", "main", *options, cwd=project.path)
        assert done.returncode == 0, done.stderr
        found = (project.path / "found").read_text()
        assert found.startswith(opening)
        assert "There is nothing to compare with yet." in found
    assert project.worktrees() == []


@pytest.mark.parametrize("side", ["base", "head"])
def test_a_table_that_cannot_be_read_is_its_sides_fault(project, command, side):
    table = project.path / "bench" / "contenders.toml"
    sound = table.read_text()
    table.write_text("[[")
    if side == "base":
        project.commit()
        table.write_text(sound)
    done = command("gate", "main", cwd=project.path)
    assert done.returncode == (1 if side == "head" else 3)
    assert f"{side.upper()} is broken: {side}: " in done.stdout
    assert "is not a contenders' table" in done.stdout


def test_a_head_without_a_table_is_broken(project, command):
    (project.path / "bench" / "contenders.toml").unlink()
    done = command("gate", "main", cwd=project.path)
    assert done.returncode == 1
    assert "HEAD is broken: head has no contenders' table bench/contenders.toml." in done.stdout


def test_submodules_that_are_not_there_are_said(project, command, tmp_path):
    other = Project(tmp_path / "other")
    allowed = ("-c", "protocol.file.allow=always")
    project.git(*allowed, "submodule", "--quiet", "add", str(other.path), "part")
    done = command("compare", "main", "--budget", "0", cwd=project.path)
    assert done.returncode == 0, done.stderr
    assert "Not compared: what lies in a submodule (part), since worktrees have" in done.stdout


GATED = """
import os, signal
from stub import Stub

class Gated(Stub):
    def op_run(self, request):
        answer = super().op_run(request)
        if request["workload"]["outstanding"] == 64:
            open({asked!r}, "w").close()
            while True:
                signal.pause()
        return answer

Gated().serve()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_ended_in_the_middle_it_says_what_it_knows_and_leaves_no_worktree(
    project, tmp_path, number
):
    asked = tmp_path / "asked"
    (project.path / "gated.py").write_text(GATED.format(asked=str(asked)))
    project.set_table({"a": ["{python}", "{root}/gated.py"]})
    project.commit()
    gate = start_gate(project, asked)
    gate.send_signal(number)
    stdout, stderr = gate.communicate(timeout=LONG)
    assert gate.returncode == 130, stderr
    assert "interrupted; this is what is known" in stderr
    assert "HEAD the working tree against BASE main" in stdout
    assert project.worktrees() == []


def test_who_reads_no_further_leaves_no_worktree(project, tmp_path):
    asked = tmp_path / "asked"
    (project.path / "gated.py").write_text(GATED.format(asked=str(asked)))
    project.set_table({"a": ["{python}", "{root}/gated.py"]})
    project.commit()
    gate = start_gate(project, asked)
    gate.stdout.close()
    gate.stderr.close()
    gate.send_signal(signal.SIGHUP)  # As where a terminal is closed: nothing can be said any more.
    assert gate.wait(LONG) != 0
    assert project.worktrees() == []


def test_ended_before_it_measures_it_says_so(project, tmp_path):
    asked = tmp_path / "asked"
    hangs = f"from pathlib import Path; import signal; Path({str(asked)!r}).touch(); signal.pause()"
    project.set_table({"a": [sys.executable, "-c", hangs]})
    project.commit()
    gate = start_gate(project, asked)
    gate.send_signal(signal.SIGTERM)
    stdout, stderr = gate.communicate(timeout=LONG)
    assert gate.returncode == 130, stderr
    assert stderr.endswith("raftmark: interrupted\n")
    assert stdout == ""
    assert project.worktrees() == []


def test_what_a_killed_gate_knew_can_be_asked_and_the_next_one_cleans_up(project, tmp_path):
    asked = tmp_path / "asked"
    (project.path / "gated.py").write_text(GATED.format(asked=str(asked)))
    project.set_table({"a": ["{python}", "{root}/gated.py"]})
    project.commit()
    gate = start_gate(project, asked)
    gate.kill()
    gate.communicate(timeout=LONG)
    known = raftmark(project, "compare", "latest")
    assert known.returncode == 0, known.stderr
    assert known.stdout.startswith("HEAD the working tree against BASE main")
    raftmark(project, "gate", "main", "--budget", "0")
    assert project.worktrees() == []
    # What never ends, and lost its harness without a warning, is this test's to end.
    for process in psutil.process_iter(["cmdline"]):
        if str(project.path) in " ".join(process.info["cmdline"] or ()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def start_gate(project, asked):
    """Start a gate, and return when its contender does what never ends."""
    gate = subprocess.Popen(
        [*RAFTMARK, "gate", "main", "--workloads", "replicate"],
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + LONG
    while not asked.exists():
        assert time.monotonic() < deadline, "the gated contender was never asked"
        assert gate.poll() is None
        time.sleep(0.005)
    return gate


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["gate", "no-such-branch"], 2, "neither a run nor a revision"),
        (["compare", "no-such-branch"], 2, "neither a run nor a revision"),
        (["gate", "main", "--workloads", "sort"], 2, "choose from replicate, election"),
        (["gate", "main", "--format", "pdf"], 2, "choose from text, markdown, json, html"),
        (["gate", "main", "--margin", "0"], 2, "'--margin'"),
        (["gate"], 2, "BASE"),
        (["gate", "main", "--contenders", "zig"], 2, "no contender zig; choose from a"),
        (["compare", "main", "--contenders", "zig"], 2, "no contender zig; choose from a"),
        (["gate", "main", "--contenders-file", "gone.toml"], 2, "gone.toml"),
        (["gate", "main", "-o", "no/file"], 2, "cannot write no/file: No such file"),
        (["gate", "main", "-o", "bench"], 2, "cannot write bench: Is a directory"),
        (
            ["compare", "main", "--budget", "0", "-o", "bench"],
            2,
            "cannot write bench: Is a directory",
        ),
    ],
)
def test_errors_are_said_in_the_last_line(project, command, arguments, status, said):
    done = command(*arguments, cwd=project.path)
    assert done.returncode == status, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("raftmark: ")
    assert said in last
    assert done.stdout == ""
    assert project.worktrees() == []


def test_a_run_and_a_revision_are_not_compared(project, command):
    command("gate", "main", "--budget", "0", cwd=project.path)
    done = command("compare", "latest", "main", cwd=project.path)
    assert done.returncode == 2
    assert "compare two revisions, or two runs" in done.stderr


def test_a_gate_whose_answer_finds_no_room_has_decided_nothing(project):
    """Its 1 would say that HEAD is broken."""
    done = subprocess.run(
        f"{shlex.join(RAFTMARK)} gate main --budget 0 > /dev/full",
        shell=True, cwd=project.path, capture_output=True, check=False, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 3
    assert "No space left on device" in done.stderr.splitlines()[-1]
