"""The workflows for continuous integration: valid, and their steps do what they say."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import yaml

from raftmark.bench.runs.store import Run
from tests.bench.repositories import Project
from tests.bench.support import LONG, contenders, election_cell, fake, manifest, measure_quietly

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
BIN = Path(sys.executable).parent
HISTORY = "raftmark-history"

pytestmark = pytest.mark.timeout(2 * LONG)


def check(*command, cwd=ROOT):
    done = subprocess.run(
        list(command),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "GOTOOLCHAIN": "local"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def step(workflow, name):
    """Return what a named step of a workflow runs."""
    (job,) = yaml.safe_load((ROOT / ".github" / "workflows" / workflow).read_text())[
        "jobs"
    ].values()
    return next(each["run"] for each in job["steps"] if each.get("name") == name)


def run_step(project, command, **environment):
    """Run a step as the runner does."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", command],
        cwd=project.path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )


@pytest.fixture
def project(tmp_path):
    """A project whose last commit is a merge, with an origin and this environment."""
    project = Project(tmp_path / "project")
    project.git("checkout", "--quiet", "-b", "topic")
    project.edit_stub('"messages": 2,', '"messages": 2 + commands,')
    project.commit()
    project.git("checkout", "--quiet", "main")
    project.git("merge", "--quiet", "--no-ff", "--message", "Merge", "topic")
    project.git("init", "--quiet", "--bare", str(tmp_path / "origin"))
    project.git("remote", "add", "origin", str(tmp_path / "origin"))
    (project.path / ".venv").symlink_to(BIN.parent)
    return project


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_the_workflows_are_valid(workflow):
    check("go", "tool", "actionlint", str(workflow), cwd=ROOT / "go_reference")
    check("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(workflow))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_version(workflow):
    used = re.findall(r"uses: (\S+)", workflow.read_text())
    assert used
    assert all(re.fullmatch(r"[\w./-]+@v\d+", action) for action in used)


def test_the_example_for_gitlab_is_valid(tmp_path):
    (example,) = re.findall(r"```yaml\n(# \.gitlab-ci.*?)```", docs(), flags=re.DOTALL)
    (tmp_path / "example.yml").write_text(example)
    schema = "vendor.gitlab-ci"
    check("check-jsonschema", "--builtin-schema", schema, str(tmp_path / "example.yml"))


def test_the_documented_commands_exist():
    commands = set(re.findall(r"raftmark (compare|gate|history \w+)", docs()))
    assert {"compare", "gate", "history add", "history report"} <= commands
    for command in commands:
        check(str(BIN / "raftmark"), *command.split(), "--help")


def docs():
    return (ROOT / "docs" / "ci.md").read_text()


def test_the_gates_steps_find_a_planted_message_and_show_it(project):
    # No time for more than the pair under way: what is counted is enough.
    found = run_step(project, step("gate.yml", "Measure"), MINUTES="0.05")
    assert found.returncode == 4, found.stderr
    summary = project.path / "summary"
    shown = run_step(
        project, step("gate.yml", "Show what was found"), GITHUB_STEP_SUMMARY=str(summary)
    )
    assert shown.returncode == 0, shown.stderr
    assert summary.read_text().startswith("### Raftmark")
    assert project.worktrees() == []


@pytest.mark.slow
def test_the_nights_steps_keep_a_history_on_a_branch_of_its_own(project, tmp_path):
    specs = contenders(tmp_path, {"a": fake("stub")})
    for number in range(2):
        shutil.rmtree(project.path / ".cache", ignore_errors=True)
        project.git("worktree", "prune")
        described = msgspec.structs.replace(manifest(["a"], [election_cell()]), run=f"run-{number}")
        run = Run.create(project.path / "results", described)
        measure_quietly(run, specs)
        done = run_step(project, step("nightly.yml", "Add to the history"))
        assert done.returncode == 0, done.stderr
        project.git("fetch", "--quiet", "origin", HISTORY)
        kept = project.git("ls-tree", "-r", "--name-only", "FETCH_HEAD").splitlines()
        assert len(kept) == number + 1
        assert all(re.fullmatch(r"runs/\w+-\w+\.json", path) for path in kept)
    assert "2 runs" in (project.path / "history.html").read_text()
