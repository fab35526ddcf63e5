"""How git is called: for the directory, whatever the surroundings say."""

import os
import subprocess

import pytest

from raftmark.bench import git as plain_git
from raftmark.bench.git import GitError, environment, git, revision
from tests.bench.repositories import Project

LOCAL = subprocess.run(
    ["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True, check=True
).stdout.split()


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


def test_no_variable_that_belongs_to_a_repository_is_handed_on(monkeypatch):
    assert {"GIT_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_CONFIG_COUNT"} <= {*LOCAL}
    for name in LOCAL:
        monkeypatch.setenv(name, "nonsense")
    plain_git._local_variables.cache_clear()  # It is asked for as a hook would ask first.
    assert not environment().keys() & {*LOCAL}
    assert environment()["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize("name", LOCAL)
def test_the_answer_is_the_directorys_whatever_is_set(project, monkeypatch, name):
    expected = revision(project.path)
    monkeypatch.setenv(name, "/nowhere")
    assert revision(project.path) == expected


def test_the_directory_of_another_repository_changes_nothing(project, tmp_path, monkeypatch):
    other = Project(tmp_path / "other")
    (other.path / "changed").touch()
    commit = other.commit()
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
    assert revision(project.path)["commit"] == project.git("rev-parse", "HEAD") != commit


@pytest.mark.parametrize("quoted", ["true", "false"])
def test_names_that_are_no_utf8_come_as_they_are(project, quoted):
    name = os.fsdecode(b"caf\xe9")
    (project.path / name).touch()
    project.git("config", "core.quotepath", quoted)
    assert revision(project.path)["dirty"]
    assert git("ls-files", "-z", "--others", cwd=project.path) == f"{name}\0"


def test_new_files_count_as_changes_even_where_git_is_told_not_to_show_them(project):
    project.git("config", "status.showUntrackedFiles", "no")
    (project.path / "new").touch()
    assert revision(project.path)["dirty"]


def test_no_hook_runs_and_no_lock_is_taken(project, tmp_path):
    hook = project.path / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    git("worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"), "HEAD", cwd=project.path)
    assert not (tmp_path / "ran").exists()
    (project.path / ".git" / "index.lock").touch()
    assert revision(project.path) is not None


def test_what_git_says_comes_in_one_line(project, tmp_path):
    with pytest.raises(GitError, match=r"^git rev-parse: fatal: not a git repository") as said:
        git("rev-parse", "HEAD", cwd=tmp_path)
    assert "\n" not in str(said.value)
    assert revision(tmp_path) is None


def test_without_git_there_is_no_revision(project, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    plain_git._local_variables.cache_clear()
    with pytest.raises(GitError, match="cannot run git: No such file"):
        git("status", cwd=project.path)
    assert revision(project.path) is None
    plain_git._local_variables.cache_clear()
