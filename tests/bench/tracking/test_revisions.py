"""Revisions checked out side by side, and what is left of them: nothing."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import psutil
import pytest

from raftmark.bench.contenders.places import ROOT
from raftmark.bench.tracking.revisions import (
    TABLE,
    WORKING_TREE,
    Repository,
    Revision,
    RevisionError,
    UnknownRevision,
    contenders_of,
)
from tests.bench.repositories import Project
from tests.bench.support import PATIENCE

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


def test_what_is_staged_is_part_of_the_working_tree(project):
    (project.path / "changed").write_text("old")
    (project.path / "gone").touch()
    project.commit()
    (project.path / "changed").write_text("new")
    (project.path / "new").write_text("new")
    (project.path / "gone").unlink()
    project.git("add", "--all")
    (project.path / "meant").touch()
    project.git("add", "--intent-to-add", "meant")
    with Repository(project.path).checked_out(WORKING) as (head,):
        assert (head / "changed").read_text() == "new"
        assert (head / "new").read_text() == "new"
        assert (head / "meant").exists()
        assert not (head / "gone").exists()


def files(directory):
    """What a checkout consists of: each path with what it is."""
    return {
        str(path.relative_to(directory)): os.readlink(path) if path.is_symlink() else "file"
        for path in directory.rglob("*")
        if (path.is_symlink() or path.is_file())
        and not {".git", ".cache", "__pycache__"} & {*path.relative_to(directory).parts}
    }


def a_file_becomes_a_directory(path):
    (path / "file").unlink()
    (path / "file").mkdir()
    (path / "file" / "inside").touch()


def a_directory_becomes_a_file(path):
    shutil.rmtree(path / "directory")
    (path / "directory").touch()


def a_directory_becomes_a_link_to_one_like_it(path):
    (path / "directory").rename(path.parent / "outside")
    (path / "directory").symlink_to(path.parent / "outside")


def a_link_becomes_a_directory(path):
    (path / "link").unlink()
    (path / "link").mkdir()
    (path / "link" / "one").touch()


def a_link_changes_and_one_leads_nowhere(path):
    (path / "link").unlink()
    (path / "link").symlink_to("file")
    (path / "nowhere").symlink_to("gone")


def a_name_is_no_utf8(path):
    (path / os.fsdecode(b"caf\xe9")).touch()
    (path / "with\nlines").touch()


@pytest.mark.parametrize("staged", [False, True], ids=["", "staged"])
@pytest.mark.parametrize(
    "change",
    [
        a_file_becomes_a_directory,
        a_directory_becomes_a_file,
        a_directory_becomes_a_link_to_one_like_it,
        a_link_becomes_a_directory,
        a_link_changes_and_one_leads_nowhere,
        a_name_is_no_utf8,
    ],
    ids=lambda change: change.__name__,
)
def test_whatever_the_files_have_become_is_checked_out(project, change, staged):
    (project.path / "file").touch()
    (project.path / "directory" / "deeper").mkdir(parents=True)
    (project.path / "directory" / "one").touch()
    (project.path / "directory" / "deeper" / "other").touch()
    (project.path / "link").symlink_to("directory")
    project.commit()
    change(project.path)
    if staged:
        project.git("add", "--all")
    before = files(project.path)
    with Repository(project.path).checked_out(WORKING) as (head,):
        assert files(head) == before
    assert files(project.path) == before
    if (outside := project.path.parent / "outside").exists():
        assert {*files(outside)} == {"one", "deeper/other"}


def test_what_cannot_be_copied_is_said_in_one_line(project, monkeypatch):
    (project.path / "secret\xff").touch()

    def refuse(source, target, **_):
        raise PermissionError(errno.EACCES, "Permission denied", str(source))

    monkeypatch.setattr(shutil, "copy2", refuse)
    with pytest.raises(RevisionError, match=r"^cannot copy secret.*: Permission denied$"):
        Repository(project.path).checked_out(WORKING).__enter__()
    assert project.worktrees() == []


def test_a_revision_is_whole_where_only_a_part_is_to_be_seen(project):
    for name in ("seen", "hidden"):
        (project.path / name).mkdir()
        (project.path / name / "file").touch()
    project.commit()
    project.git("sparse-checkout", "set", "seen", "bench")
    assert not (project.path / "hidden").exists()
    repository = Repository(project.path)
    with repository.checked_out(repository.resolve("main"), WORKING) as checkouts:
        assert all((checkout / "hidden" / "file").exists() for checkout in checkouts)
    assert not (project.path / "hidden").exists()


def test_submodules_are_named_also_when_they_have_moved(project, tmp_path):
    other = Project(tmp_path / "other")
    allowed = ("-c", "protocol.file.allow=always")
    project.git(*allowed, "submodule", "--quiet", "add", str(other.path), "part")
    project.commit()
    project.git("mv", "part", "moved")
    repository = Repository(project.path)
    main = repository.resolve("main")
    assert repository.submodules(main) == ["part"]
    assert repository.submodules(WORKING) == ["moved"]
    with repository.checked_out(main, WORKING) as (_, head):
        assert "moved" in (head / ".gitmodules").read_text()
    assert (project.path / "moved" / "stub.py").exists()
    assert project.worktrees() == []


def test_other_worktrees_of_the_users_stay(project, tmp_path):
    project.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "theirs"))
    # As on a disk that is not plugged in at the moment.
    (tmp_path / "theirs").rename(tmp_path / "away")
    with Repository(project.path).checked_out(WORKING):
        pass
    assert project.worktrees() == [str(tmp_path / "theirs")]


def test_the_checkouts_are_no_files_of_the_project(project):
    (project.path / ".gitignore").unlink()
    project.commit()
    repository = Repository(project.path)
    with repository.checked_out(WORKING), repository.checked_out(WORKING) as (head,):
        assert project.git("status", "--porcelain") == ""
        assert not (head / ".cache").exists()


def test_the_index_of_a_commit_that_is_being_made_is_not_touched(project, monkeypatch):
    index = project.path / ".git" / "index.of-the-commit"
    shutil.copy(project.path / ".git" / "index", index)
    before = index.read_bytes()
    monkeypatch.setenv("GIT_INDEX_FILE", str(index))
    (project.path / "new").touch()
    repository = Repository(project.path)
    with repository.checked_out(repository.resolve("main"), WORKING) as (_, head):
        assert (head / "new").exists()
    assert index.read_bytes() == before


def test_a_shallow_clone_without_the_revision_says_so(project, tmp_path):
    first = project.commit()
    project.commit()
    project.git("clone", "--quiet", "--depth", "1", f"file://{project.path}", str(tmp_path / "s"))
    with pytest.raises(UnknownRevision, match=r"this clone is shallow: fetch it first$"):
        Repository(tmp_path / "s").resolve(first)


def test_a_repository_of_somebody_elses_is_refused_in_one_line(project, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    with pytest.raises(RevisionError, match=r"dubious ownership.*safe\.directory") as said:
        Repository(project.path)
    assert "\n" not in str(said.value)


def test_a_bare_repository_is_refused_in_one_line(project, tmp_path):
    project.git("clone", "--quiet", "--bare", str(project.path), str(tmp_path / "bare"))
    with pytest.raises(RevisionError, match=r"must be run in a work tree$"):
        Repository(tmp_path / "bare")


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


@pytest.mark.parametrize("guarded", [True, False], ids=["its guardian", "the next one"])
def test_what_a_killed_process_left_is_removed_and_no_more(project, guarded):
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
        guardians = psutil.Process(killed.pid).children()
        assert len(guardians) == 1
        for process in [] if guarded else guardians:
            process.kill()
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        psutil.wait_procs(guardians, timeout=PATIENCE)
        if not guarded:
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


def test_a_cluster_of_programs_has_those_of_its_revision():
    asked = ["asyncio@tcp", "tcp:go+asyncio", "asyncio@mypyc", "go@nothing", "tcp:go+nobody", "go"]
    found = contenders_of(ROOT, TABLE, "head", asked)
    assert [name for name in found if name in asked] == ["go", *asked[:2]]
    for name, programs in (("asyncio@tcp", ["asyncio"]), ("tcp:go+asyncio", ["go", "asyncio"])):
        contender = found[name]
        assert contender.name == f"{name}@head"
        assert contender.label.endswith(", head")
        assert contender.started_in == ROOT
        nodes = json.loads(contender.argv()[-1])
        assert [node for node, _, _ in nodes] == programs
        assert {directory for _, _, directory in nodes} == {str(ROOT)}
    [program, _] = json.loads(found["tcp:go+asyncio"].argv()[-1])
    assert program[1] == [f"{ROOT}/.cache/raftmark-go", "node"]


@pytest.mark.parametrize("name", ["no-such-branch", "--help", "HEAD~99"])
def test_an_unknown_revision_is_said(project, name):
    with pytest.raises(RevisionError, match="neither a run nor a revision"):
        Repository(project.path).resolve(name)


def test_a_directory_outside_of_git_is_said(tmp_path):
    with pytest.raises(RevisionError, match="not a git repository"):
        Repository(tmp_path)


def test_a_revision_without_a_table_is_said(project):
    with pytest.raises(RevisionError, match="base has no contenders' table"):
        contenders_of(project.path / "bench", TABLE, "base")


def test_revisions_are_called_what_people_call_them():
    commit = "0123456789" * 4
    assert str(Revision("main", commit)) == "main (0123456789)"
    assert str(Revision("01234567", commit)) == "0123456789"
    assert str(WORKING) == "the working tree"
