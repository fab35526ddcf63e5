"""Revisions checked out side by side, and what is left of them: nothing."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from raftmark.bench.tracking.revisions import (
    TABLE,
    WORKING_TREE,
    Repository,
    Revision,
    RevisionError,
    contenders_of,
)
from tests.bench.repositories import Project

WORKING = Revision(WORKING_TREE, None)


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


def test_two_revisions_lie_side_by_side_and_are_removed(project):
    (project.path / "only-then").write_text("old")
    project.commit()
    (project.path / "only-then").unlink()
    project.commit()
    repository = Repository(project.path / "bench")
    revisions = [repository.resolve(name) for name in ("HEAD~1", "main")]
    with repository.checked_out(*revisions) as (base, head):
        assert (base / "only-then").read_text() == "old"
        assert not (head / "only-then").exists()
        assert len(str(base)) == len(str(head))
        assert len(project.worktrees()) == 3
    assert project.worktrees() == []


def test_the_working_tree_is_what_the_files_are_now(project):
    (project.path / "gone").touch()
    (project.path / "changed").write_text("old")
    project.commit()
    (project.path / "gone").unlink()
    (project.path / "changed").write_text("new")
    (project.path / "new directory").mkdir()
    (project.path / "new directory" / "new").touch()
    (project.path / "results").mkdir()
    (project.path / "results" / "ignored").touch()
    with Repository(project.path).checked_out(WORKING) as (head,):
        assert not (head / "gone").exists()
        assert (head / "changed").read_text() == "new"
        assert (head / "new directory" / "new").exists()
        assert not (head / "results").exists()
    assert (project.path / "changed").read_text() == "new"


def test_an_exception_leaves_nothing_behind(project):
    repository = Repository(project.path)

    main = repository.resolve("main")
    with pytest.raises(KeyboardInterrupt), repository.checked_out(main):
        raise KeyboardInterrupt
    assert project.worktrees() == []


def test_a_revision_that_cannot_be_checked_out_leaves_nothing_behind(project):
    repository = Repository(project.path)
    gone = Revision("gone", "0123456789" * 4)
    with pytest.raises(RevisionError, match="git worktree"):
        repository.checked_out(repository.resolve("main"), gone).__enter__()
    assert project.worktrees() == []


def test_what_a_killed_process_left_the_next_one_removes_and_no_more(project):
    program = textwrap.dedent(
        """
        import os, sys
        from pathlib import Path
        from raftmark.bench.tracking.revisions import Repository
        repository = Repository(Path(sys.argv[1]))
        with repository.checked_out(repository.resolve("main")):
            print("checked out", flush=True)
            sys.stdin.read()
        """
    )
    command = [sys.executable, "-c", program, str(project.path)]

    def start():
        started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert started.stdout.readline() == b"checked out\n"
        return started

    with start() as killed, start() as living:
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        assert len(project.worktrees()) == 4
        repository = Repository(project.path)
        with repository.checked_out(repository.resolve("main")):
            pass
        assert len(project.worktrees()) == 2, "the one that lives still has its own"
        living.stdin.close()
        assert living.wait() == 0
    assert project.worktrees() == []


def test_a_contender_runs_and_builds_in_its_revision(project):
    with (project.path / "bench" / "contenders.toml").open("a") as table:
        table.write(
            "[contender.build]\n"
            'command = ["{python}", "-c", "import shutil; shutil.copy(\'x\', \'{output}\')"]\n'
            'cwd = "parts"\ninputs = ["*"]\noutput = "{cache}/built"\n'
        )
    (project.path / "parts").mkdir()
    (project.path / "parts" / "x").write_text("old")
    project.commit()
    (project.path / "parts" / "x").write_text("new")
    repository = Repository(project.path)
    with repository.checked_out(repository.resolve("main"), WORKING) as (base, head):
        for directory, side, content in ((base, "base", "old"), (head, "head", "new")):
            contender = contenders_of(directory, TABLE, side)["a"]
            assert (contender.name, contender.label) == (f"a@{side}", f"A, {side}")
            assert contender.probe()["contender"] == "stub"
            assert contender.argv()[1] == f"{directory}/stub.py"
            assert (directory / ".cache" / "built").read_text() == content
            with contender.launch() as launched:
                assert os.readlink(f"/proc/{launched.pid}/cwd") == str(directory)


@pytest.mark.parametrize("name", ["no-such-branch", "--help", "HEAD~99"])
def test_an_unknown_revision_is_said(project, name):
    with pytest.raises(RevisionError, match="neither a run nor a revision"):
        Repository(project.path).resolve(name)


def test_a_directory_outside_of_git_is_said(tmp_path):
    with pytest.raises(RevisionError, match="not a git repository"):
        Repository(tmp_path)


def test_a_revision_without_a_table_is_said(project):
    with pytest.raises(RevisionError, match=r"^base: cannot read the contenders' table"):
        contenders_of(project.path / "bench", TABLE, "base")


def test_revisions_are_called_what_people_call_them():
    commit = "0123456789" * 4
    assert str(Revision("main", commit)) == "main (0123456789)"
    assert str(Revision("01234567", commit)) == "0123456789"
    assert str(WORKING) == "the working tree"
