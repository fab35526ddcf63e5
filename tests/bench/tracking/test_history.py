"""The history: what it keeps, and how it merges."""

import functools
import shutil

import msgspec
import pytest

from raftmark.bench.runs.store import Run, StoreError
from raftmark.bench.tracking.history import Entry, Figure, add, read
from raftmark.bench.tracking.plans import Plan
from raftmark.bench.tracking.remembering import entry_of
from tests.bench.repositories import git as plain_git
from tests.bench.support import contenders, election_cell, fake, manifest, measure_quietly
from tests.bench.support import replicate_cell as small_cell


def entry(day, value=100.0, **changes):
    return Entry(
        schema=1,
        run=f"run-{day}",
        at=f"2026-01-{day:02}T03:00:00.000Z",
        commit=f"{day:040}",
        dirty=False,
        machine=changes.pop("machine", "a machine"),
        figures=[
            Figure("a", "A", "replicate-w64", "throughput", value, 0.9 * value, 1.1 * value, 6),
            *changes.pop("figures", []),
        ],
        **changes,
    )


def test_entries_come_back_in_the_order_of_their_runs(tmp_path):
    entries = [entry(day) for day in (3, 1, 2)]
    for each in entries:
        add(tmp_path, each)
    history = read(tmp_path)
    assert history.entries == sorted(entries, key=lambda e: e.at)
    assert history.left_out == []


def test_adding_again_changes_nothing(tmp_path):
    first, again = (add(tmp_path, entry(1)) for _ in range(2))
    assert first == again
    assert len(list(tmp_path.iterdir())) == 1


def test_a_run_that_is_added_again_when_it_is_complete_takes_its_own_place(tmp_path):
    add(tmp_path, entry(1))
    other = msgspec.structs.replace(entry(1), run="run-of-the-same-second")
    add(tmp_path, other)
    complete = entry(1, value=7)
    path = add(tmp_path, complete)
    assert len(list(tmp_path.iterdir())) == 2
    assert path.is_file()
    found = read(tmp_path)
    assert sorted(found.entries, key=lambda e: e.run) == [complete, other]
    assert found.left_out == []


def test_of_two_branches_that_added_one_run_the_more_complete_counts(tmp_path):
    few = entry(1)
    more = entry(1, figures=[Figure("b", "B", "replicate-w64", "throughput", 1, None, None, 6)])
    branches = [tmp_path / "one", tmp_path / "other"]
    for branch, each in zip(branches, (few, more), strict=True):
        path = add(branch, each)
    shutil.copytree(branches[0], branches[1], dirs_exist_ok=True)
    found = read(path.parent)
    assert found.entries == [more]
    (said,) = found.left_out
    assert said.endswith("is the run run-1 before it was complete")


def test_branches_merge_without_a_conflict(tmp_path):
    git = functools.partial(plain_git, cwd=tmp_path)
    git("init", "--initial-branch", "main")
    add(tmp_path / "history", entry(1))
    git("add", "--all")
    git("commit", "--message", "Begin")
    for branch, days in (("one", (2, 3)), ("other", (3, 4))):
        git("checkout", "-b", branch, "main")
        for day in days:
            add(tmp_path / "history", entry(day))
        git("add", "--all")
        git("commit", "--message", "Go on")
    git("merge", "one")
    assert [e.run for e in read(tmp_path / "history").entries] == [f"run-{d}" for d in (1, 2, 3, 4)]


def test_damaged_and_foreign_entries_are_named_and_left_out(tmp_path):
    sound = add(tmp_path, entry(1))
    damaged = add(tmp_path, entry(2))
    damaged.write_bytes(damaged.read_bytes().replace(b"100.0", b"200.0"))
    torn = add(tmp_path, entry(3))
    torn.write_bytes(torn.read_bytes()[:50])
    (tmp_path / "README.md").write_text("mine")
    shutil.copy(sound, tmp_path / "copy.json")
    unknown = Figure("a", "A", "replicate-w64", "beauty", 1, None, None, 1)
    newer = add(tmp_path, entry(4, figures=[unknown]))
    history = read(tmp_path)
    assert [e.run for e in history.entries] == ["run-1"]
    assert len(history.left_out) == 5
    for name in (damaged.name, torn.name, "README.md", "copy.json", newer.name):
        assert any(name in sentence for sentence in history.left_out)


def test_an_entry_of_another_version_is_named(tmp_path):
    class Newer(Entry, frozen=True, kw_only=True):
        colour: str

    newer = Newer(**msgspec.structs.asdict(entry(1)), colour="red")
    path = add(tmp_path, newer)
    assert "another version" in read(tmp_path).left_out[0]
    assert path.name in read(tmp_path).left_out[0]


def test_there_has_to_be_a_store(tmp_path):
    with pytest.raises(StoreError, match="history add"):
        read(tmp_path / "gone")


@pytest.fixture
def run(tmp_path):
    specs = contenders(tmp_path, {"a": fake("stub"), "b": fake("stub")})
    run = Run.create(tmp_path / "results", manifest(["a", "b"], [small_cell(), election_cell()]))
    measure_quietly(run, specs)
    return run


def test_a_run_becomes_an_entry(run):
    made = entry_of(run)
    assert made.at == run.manifest.started_at
    assert made.counting == run.manifest.counting
    assert made.cells.keys() == {"replicate-w2", "election-12-24"}
    found = {(f.contender, f.cell, f.metric): f for f in made.figures}
    throughput = found["a", "replicate-w2", "throughput"]
    assert (throughput.value, throughput.blocks) == (1000, 2)  # 20 commands of 2 clients in 0.04 s.
    assert found["b", "election-12-24", "election_median"].value == 7e6
    assert {metric for _, _, metric in found} == {
        "throughput",
        "latency_p50",
        "election_median",
        "peak_memory",
        "cpu_per_command",
    }


def test_what_is_no_run_of_its_own_is_not_remembered(run, tmp_path):
    empty = Run.create(tmp_path / "other", manifest(["a"], [small_cell()]))
    with pytest.raises(StoreError, match="no figure yet"):
        entry_of(empty)
    Plan("old", "new", 0.05, 0.05, {}, [], [], [], []).save(run)
    with pytest.raises(StoreError, match="compares with no commit"):
        entry_of(run)


def test_the_commands(run, tmp_path, command):
    def raftmark(*arguments, status=0):
        done = command("history", *arguments, cwd=tmp_path)
        assert done.returncode == status, done.stderr
        return done

    assert "history add" in raftmark("list", status=1).stderr
    added = raftmark("add", "latest").stdout.strip()
    assert (tmp_path / added).is_file()
    (tmp_path / "history" / "note.txt").touch()
    listed = raftmark("list")
    assert run.manifest.started_at in listed.stdout
    assert "No lasting change was found.\nWhat could be seen:\n" in listed.stdout
    assert "no series has 8 runs yet" in listed.stdout
    assert listed.stderr == "left out: note.txt is no entry of a history\n"
    assert raftmark("report", "-o", "page.html").stdout == "page.html\n"
    assert "note.txt" in (tmp_path / "page.html").read_text()
    assert "is not a run" in raftmark("add", ".", status=1).stderr
