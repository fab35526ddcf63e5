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

from raftmark.bench import git
from raftmark.bench.runs.store import Run
from tests.bench.repositories import STUB, Project
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


def jobs(workflow):
    return yaml.safe_load((ROOT / ".github" / "workflows" / workflow).read_text())["jobs"]


def step(workflow, name):
    """Return what a named step of a workflow runs."""
    steps = [each for job in jobs(workflow).values() for each in job["steps"]]
    return next(each["run"] for each in steps if each.get("name") == name)


def run_step(directory, command, **environment):
    """Run a step as the runner does."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", command],
        cwd=directory,
        env={**git.environment(), **environment},
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
    project.edit_stub('"messages": 2,', '"messages": 2 + entries,')
    project.commit()
    project.git("checkout", "--quiet", "main")
    project.git("merge", "--quiet", "--no-ff", "--message", "Merge", "topic")
    project.git("init", "--quiet", "--bare", "--initial-branch", "main", str(tmp_path / "origin"))
    project.git("remote", "add", "origin", str(tmp_path / "origin"))
    (project.path / ".venv").symlink_to(BIN.parent)
    return project


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_the_workflows_are_valid(workflow):
    check("go", "tool", "actionlint", str(workflow), cwd=ROOT / "go_reference")
    check("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(workflow))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_say_their_version(workflow):
    used = re.findall(r"uses: (.+)", workflow.read_text())
    assert used
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in used)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_that_runs_what_somebody_proposed_may_write_nothing(workflow):
    described = yaml.safe_load(workflow.read_text())
    for job in described["jobs"].values():
        ours = re.search(r"raftmark \w|make|\.ci/run", str([s.get("run") for s in job["steps"]]))
        granted = job.get("permissions", described["permissions"])
        if not ours:
            continue
        assert set(granted.values()) <= {"read"}
        (checkout,) = [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")]
        assert checkout["with"]["persist-credentials"] is False
        assert "github.token" not in str(job)
        assert "secrets." not in str(job)


def test_the_tests_run_on_every_python_that_is_supported():
    job = jobs("test.yml")["test"]
    assert [row["python"] for row in job["strategy"]["matrix"]["include"]] == [
        *("3.11", "3.12", "3.13", "3.14", "3.14t")
    ]


def test_the_example_for_gitlab_is_valid(tmp_path):
    (example,) = re.findall(r"```yaml\n(# \.gitlab-ci.*?)```", docs(), flags=re.DOTALL)
    (tmp_path / "example.yml").write_text(example)
    schema = "vendor.gitlab-ci"
    check("check-jsonschema", "--builtin-schema", schema, str(tmp_path / "example.yml"))


def test_the_documented_commands_exist(command, tmp_path):
    commands = set(re.findall(r"raftmark (compare|gate|history \w+)", docs()))
    assert {"compare", "gate", "history add", "history report"} <= commands
    for documented in commands:
        assert command(*documented.split(), "--help", cwd=tmp_path).returncode == 0, documented


def docs():
    return (ROOT / "docs" / "ci.md").read_text()


def test_the_gates_steps_find_a_planted_message_and_show_it(project):
    # Time for hardly more than the first pair, which is of what is counted: that is enough.
    found = run_step(project.path, step("gate.yml", "Measure"), MINUTES="0.05")
    assert found.returncode == 4, found.stderr
    summary = project.path / "summary"
    shown = run_step(
        project.path, step("gate.yml", "Show what was found"), GITHUB_STEP_SUMMARY=str(summary)
    )
    assert shown.returncode == 0, shown.stderr
    assert summary.read_text().startswith("### Raftmark")
    assert project.worktrees() == []


def test_a_first_pull_request_succeeds_and_leaves_what_is_commented(project):
    project.git("mv", "bench/contenders.toml", "bench/later.toml")
    project.commit()
    project.set_table({"a": STUB})
    project.commit()
    found = run_step(project.path, step("gate.yml", "Measure"), MINUTES="1")
    assert found.returncode == 0, found.stderr
    assert "There is nothing to compare with yet." in (project.path / "gate.md").read_text()


GH = """#!/bin/sh
echo "$@" >> calls
case "$*" in *--jq*) cat there;; *) cat comment.md > posted;; esac
"""


@pytest.mark.parametrize(
    ("there", "call"),
    [("", "--method POST comments --field"), ("7\n8\n", "--method PATCH comment/7 --field")],
)
def test_there_is_one_comment_which_is_told_by_a_hidden_mark(tmp_path, there, call):
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    (tmp_path / "there").write_text(there)
    found = "### Raftmark\n" + 10_000 * "ééé\n"
    (tmp_path / "gate.md").write_text(found, encoding="utf-8")
    mark = "<!-- raftmark gate -->"
    done = run_step(
        tmp_path,
        step("gate.yml", "Comment"),
        PATH=f"{tmp_path}:{os.environ['PATH']}",
        COMMENTS="comments",
        COMMENT="comment",
        MARK=mark,
        GH_TOKEN="",
    )
    assert done.returncode == 0, done.stderr
    looked, wrote = (tmp_path / "calls").read_text().splitlines()
    assert "startswith(env.MARK)" in looked
    assert call in wrote
    posted = (tmp_path / "posted").read_text(encoding="utf-8")
    assert posted.startswith(f"{mark}\n### Raftmark\né")
    assert len(posted.encode()) < 65_536  # More is refused.


@pytest.mark.slow
def test_the_nights_steps_keep_a_history_on_a_branch_of_its_own(project, tmp_path):
    specs = contenders(tmp_path, {"a": fake("stub")})
    project.git("push", "--quiet", "origin", "main")
    for number in range(2):
        described = msgspec.structs.replace(manifest(["a"], [election_cell()]), run=f"run-{number}")
        run = Run.create(project.path / "results", described)
        measure_quietly(run, specs)
        project.git("fetch", "--quiet", "origin")
        added = step("nightly.yml", "Add to the history")
        done = run_step(project.path, added, MEASURED="latest", COMPARED="")
        assert done.returncode == 0, done.stderr
        # The other job has a checkout of its own, and what was found.
        keeping = tmp_path / f"keeping-{number}"
        project.git("clone", "--quiet", str(tmp_path / "origin"), str(keeping))
        shutil.move(project.path / "entry", keeping / "entry")
        done = run_step(keeping, step("nightly.yml", "Keep the run"))
        assert done.returncode == 0, done.stderr
        project.git("fetch", "--quiet", "origin", HISTORY)
        kept = project.git("ls-tree", "-r", "--name-only", "FETCH_HEAD").splitlines()
        assert len(kept) == number + 1
        assert all(re.fullmatch(r"runs/\w+-\w+\.json", path) for path in kept)
        shutil.rmtree(project.path / "history")
    assert "2 runs" in (project.path / "history.html").read_text()


@pytest.mark.parametrize(
    ("fixed", "tagged", "compared"),
    [("", False, None), ("", True, "v1"), ("abc", True, "abc"), ("abc", False, "abc")],
)
def test_the_night_is_compared_with_one_commit(tmp_path, fixed, tagged, compared):
    project = Project(tmp_path / "project")
    if tagged:
        project.git("tag", "v1")
    raftmark = project.path / ".venv" / "bin" / "raftmark"
    raftmark.parent.mkdir(parents=True)
    raftmark.write_text('#!/bin/sh\necho "$@" >> calls\ntouch compared.md\n')
    raftmark.chmod(0o755)
    (project.path / "results" / "night").mkdir(parents=True)
    (project.path / "results" / "latest").symlink_to("night")
    told, summary = tmp_path / "env", tmp_path / "summary"
    done = run_step(
        project.path,
        step("nightly.yml", "Compare with one commit, the same every night"),
        FIXED=fixed,
        GITHUB_ENV=str(told),
        GITHUB_STEP_SUMMARY=str(summary),
    )
    assert done.returncode == 0, done.stderr
    calls = project.path / "calls"
    if compared is None:
        assert "nothing to compare with" in done.stdout
        assert not calls.exists()
    else:
        assert calls.read_text().startswith(f"compare {compared} HEAD --budget ")
        assert told.read_text() == "COMPARED=night\n"


def test_the_night_publishes_its_report_on_a_branch_of_one_commit(tmp_path):
    check("git", "init", "--quiet", "--bare", str(tmp_path / "origin"))
    for night in ("first", "second"):
        directory = tmp_path / night
        check("git", "clone", "--quiet", str(tmp_path / "origin"), str(directory))
        for run in ("latest", "a-run"):
            (directory / "found" / "results" / run).mkdir(parents=True)
            (directory / "found" / "results" / run / "report.html").write_text(night)
        (directory / "found" / "history.html").write_text("history")
        done = run_step(directory, step("nightly.yml", "Publish the report and the history"))
        assert done.returncode == 0, done.stderr
    shown = tmp_path / "shown"
    check("git", "clone", "--quiet", "-b", "gh-pages", str(tmp_path / "origin"), str(shown))
    assert {path.name for path in shown.iterdir()} == {
        ".git",
        ".nojekyll",
        "history.html",
        "index.html",
    }
    assert (shown / "index.html").read_text() == "second"
    log = subprocess.run(
        ["git", "log", "--oneline"], cwd=shown, capture_output=True, text=True, check=True
    )
    assert len(log.stdout.splitlines()) == 1
