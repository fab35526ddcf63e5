"""`raftmark compare` and `raftmark gate` as their users see them, with the stub as contender."""

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
from raftmark.bench.tracking.compare import Plan
from tests.bench.repositories import STUB, Project
from tests.bench.support import LONG

RAFTMARK = [str(Path(sys.executable).with_name("raftmark"))]
ONE_BLOCK = ["--blocks", "1", "--workloads", "replicate"]
# Whole gates: on a machine that is busy with others they take their time.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * LONG)]

EXTRA_MESSAGE = ('"messages": 2,', '"messages": 2 + commands,')


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


def test_the_same_twice_passes_and_leaves_a_run_and_nothing_else(project, command):
    done = command("gate", "main", *ONE_BLOCK, cwd=project.path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("HEAD the working tree against BASE main (")
    assert "Nothing got worse, as far as it can be told: 0 of 3 figures are decided." in done.stdout
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
    assert done.returncode == 1, done.stderr
    comparison = msgspec.json.decode(done.stdout)
    (grown,) = [c for c in comparison["counts"] if c["gated"] and c["head"] != c["base"]]
    assert (grown["what"], grown["base"], grown["head"]) == ("messages per command", 0.1, 1.1)
    assert project.worktrees() == []


def test_compare_tells_the_same_and_passes(project, command):
    project.edit_stub(*EXTRA_MESSAGE)
    done = command("compare", "HEAD", *ONE_BLOCK, cwd=project.path)
    assert done.returncode == 0, done.stderr
    assert "A: 1.1 instead of 0.1 messages per command" in done.stdout


def test_what_is_undecided_fails_only_if_asked(project, command):
    done = command("gate", "main", *ONE_BLOCK, "--fail-undecided", cwd=project.path)
    assert done.returncode == 3, done.stderr
    assert "cannot tell yet" in done.stdout


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


def test_what_only_one_side_has_is_named_and_the_rest_compared(project, command):
    project.set_table({"a": STUB, "old": STUB, "grown": STUB, "narrow": STUB})
    project.commit()
    programs = {
        "narrow": '"features": ["memory", "election"]',
        "grown": '"protocol": 2',
    }
    for name, change in programs.items():
        (project.path / f"{name}.py").write_text(
            "from stub import Stub\n"
            "class Changed(Stub):\n"
            "    def op_hello(self, request):\n"
            f"        return super().op_hello(request) | {{{change}}}\n"
            "Changed().serve()\n"
        )
    changed = {name: ["{python}", f"{{root}}/{name}.py"] for name in programs}
    project.set_table({"a": STUB, "new": STUB, **changed})
    done = command("gate", "main", "--blocks", "1", cwd=project.path)
    assert done.returncode == 0, done.stderr
    for said in (
        "Not compared: old is not in head's table.",
        "Not compared: new is not in base's table.",
        "Not compared: grown cannot run in head: does not speak protocol 1",
        "Not compared: narrow does not offer replicate-w64 in head.",
    ):
        assert said in done.stdout
    plan = Plan.of(Run.open(project.path / "results" / "latest"))
    assert set(plan.labels) == {"a", "narrow"}
    assert {f.cell for f in plan.figures if f.contender == "narrow"} == {"election-12-24"}


def test_nothing_in_common_is_an_error(project, command):
    project.set_table({"b": STUB})
    done = command("gate", "main", "--blocks", "1", cwd=project.path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "raftmark: the two share nothing to compare; a is not in head's table; "
        "b is not in base's table"
    )
    assert project.worktrees() == []


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
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
    assert len(project.worktrees()) == 3
    known = raftmark(project, "compare", "latest")
    assert known.returncode == 0, known.stderr
    assert known.stdout.startswith("HEAD the working tree against BASE main")
    raftmark(project, "gate", "main", "--budget", "0")
    assert project.worktrees() == []
    # What never ends, and lost its harness without a warning, is this test's to end.
    for process in psutil.process_iter(["cmdline"]):
        if str(project.path) in " ".join(process.info["cmdline"] or ()):
            process.kill()


def start_gate(project, asked):
    """Start a gate, and return when its contender does what never ends."""
    gate = subprocess.Popen(
        [*RAFTMARK, "gate", "main", "--workloads", "replicate"],
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
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
        (["gate", "no-such-branch"], 1, "neither a run nor a revision"),
        (["gate", "main", "--workloads", "sort"], 2, "choose from replicate, election"),
        (["gate", "main", "--format", "pdf"], 2, "choose from text, markdown, json, html"),
        (["gate", "main", "--margin", "0"], 2, "'--margin'"),
        (["gate"], 2, "BASE"),
        (["gate", "main", "--contenders", "zig"], 1, "no contender zig; choose from a"),
        (["gate", "main", "--contenders-file", "gone.toml"], 1, "gone.toml"),
        (["gate", "main", "--budget", "0", "--blocks", "1", "-o", "no/file"], 1, "-o"),
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
