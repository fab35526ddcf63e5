"""A run that somebody sent, and a contenders' table, are data: none of it leads anywhere."""

import csv
import json
import os
from pathlib import Path

import pytest

from raftmark.bench.contenders.registry import RegistryError, load_contenders
from raftmark.bench.exports import FORMATS, write_files
from raftmark.bench.files import escaped, file_name, read_file, replace_file, require_writable
from raftmark.bench.runs.store import Run, StoreError
from raftmark.bench.tracking import history
from raftmark.bench.tracking.remembering import entry_of
from tests.report.synthetic_runs import Behaviour, write_run

ENTRY = {
    "name": "x",
    "label": "X",
    "color": "#56b4e9",
    "marker": "v",
    "command": ["{python}", "-m", "x"],
}
ODD = ["a", "a/b c=d", "a_b c=d", "a/b_c=d", "../../../outside", "..", ".", "", "A", "ä", "%2E"]


def table(path: Path, **changes: object) -> Path:
    file = path / "table.toml"
    lines = [f"{key} = {json.dumps(value)}" for key, value in (ENTRY | changes).items()]
    file.write_text("\n".join(["[[contender]]", *lines, ""]), encoding="utf-8")
    return file


def run_of(directory: Path, *names: str, **labels: str) -> Path:
    return write_run(
        directory, {name: Behaviour() for name in names}, labels=labels, blocks=2, outstanding=(1,)
    )


def changed(path: Path, **changes: object) -> Path:
    manifest = path / "run.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_bytes()) | changes))
    return path


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../../../outside"),
        ("name", "a/b c=d"),
        ("name", "ünï,x"),
        ("name", "a@b"),
        ("name", "-x"),
        ("name", ""),
        ("name", "x" * 41),
        ("label", ""),
        ("label", "two\nlines"),
        ("label", "\x1b[31mred"),
        ("label", "x" * 61),
        ("color", "red;}</style><script>alert(1)</script>"),
        ("color", "red"),
        ("color", ""),
        ("marker", "not a marker"),
        ("marker", ""),
        ("marker", "$x$"),
        ("command", []),
        ("command", [""]),
        ("command", ["{pyton}"]),
        ("core", ["../../etc/*"]),
        ("sources", {"node": ["/etc/passwd"]}),
        ("excerpts", {"election": ["../x.py:f"]}),
        ("forms", {"a+b": {"label": "x", "arguments": []}}),
        ("forms", {"fast": {"label": "", "arguments": []}}),
        ("forms", {"fast": {"label": "x", "arguments": ["{nowhere}"]}}),
        ("build", {"command": [], "cwd": ".", "inputs": [], "output": "x"}),
    ],
)
def test_what_is_wrong_in_a_table_is_named_by_file_entry_and_field(tmp_path, field, value):
    text = json.dumps(value)
    if isinstance(value, dict):  # TOML's inline tables are JSON's but for the colons.
        text = _inline(value)
    file = table(tmp_path)
    kept = [line for line in file.read_text().splitlines() if not line.startswith(f"{field} =")]
    file.write_text("\n".join([*kept, f"{field} = {text}", ""]), encoding="utf-8")
    with pytest.raises(RegistryError) as caught:
        load_contenders(file)
    assert str(caught.value).startswith(f"{file}, contender 1 (")
    assert f"`{field}" in str(caught.value)
    assert "\n" not in str(caught.value)


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)


@pytest.mark.parametrize("content", [b"\xff[[contender]]", b"[" * 100_000, b"x = " + b"[" * 10_000])
def test_a_table_that_is_none_is_refused_in_a_line(tmp_path, content):
    file = tmp_path / "table.toml"
    file.write_bytes(content)
    with pytest.raises(RegistryError, match="is not a contenders' table") as caught:
        load_contenders(file)
    assert "\n" not in str(caught.value)


def test_a_table_that_never_ends_is_not_read():
    with pytest.raises(RegistryError, match="not a regular file"):
        load_contenders(Path("/dev/zero"))


def test_no_two_names_become_one_and_none_leads_anywhere():
    names = [*ODD, "x" * 200, "x" * 201, ".x", "%2Ex", "a\0b", "\ud800"]
    assert len({file_name(name) for name in names}) == len(names)
    assert len({escaped(name) for name in names}) == len(names)
    for name in names:
        made = file_name(name)
        assert Path(made).name == made
        assert not made.startswith(".")
        assert len(made) < 200
    assert file_name("asyncio@3.13t+uvloop") == "asyncio@3.13t+uvloop"


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "pytest-benchmark"])
def test_an_export_stays_in_its_directory_with_a_name_for_each_contender(tmp_path, format):
    names = [name for name in ODD if name]
    run = Run.open(changed(run_of(tmp_path / "in" / "run", *names), environment={
        "revision": {"commit": "a" * 40, "dirty": False}}))  # fmt: skip
    before = set(tmp_path.rglob("*"))
    output = tmp_path / "in" / "out"
    output.mkdir()
    written = write_files(FORMATS[format].files(run), output)
    assert {p for p in tmp_path.rglob("*") if p.is_file()} - before == set(written)
    assert all(path.resolve().is_relative_to(output) for path in written)
    if format == "pyperf":
        assert len(written) == len(names)
    if format in ("customBiggerIsBetter", "bencher"):
        found = json.loads(written[0].read_bytes())
        figures = [e["name"] for e in found] if isinstance(found, list) else list(found)
        cells = len({name.split("/")[0] for name in figures})
        assert len(set(figures)) == len(figures) >= len(names) * min(cells, 1)
    if format == "benchstat":
        lines = [
            line.split()[0]
            for line in written[0].read_text().splitlines()
            if line.startswith("Benchmark")
        ]
        assert len({name.split("/impl=")[1].split("/")[0] for name in lines}) == len(names)


def test_a_spreadsheet_finds_no_formula(tmp_path):
    evil = '=HYPERLINK("http://example.org")'
    run = Run.open(run_of(tmp_path / "run", "a", "'b", a=evil))
    for text in FORMATS["csv"].files(run).values():
        cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
        assert f"'{evil}" in cells
        assert "''b" in cells
        assert not any(cell.startswith(("=", "+", "@")) for cell in cells)


def test_a_time_that_is_a_path_is_no_time(tmp_path, command):
    path = changed(run_of(tmp_path / "run", "a"), started_at="../../../outside")
    done = command("history", "add", str(path), "--store", "store", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith("'../../../outside' is no time of day with its zone\n")
    assert not (tmp_path / "store").exists()
    path = changed(path, started_at="2026-03-01T12:00:00+02:00")
    written = history.add(tmp_path / "store", entry_of(Run.open(path)))
    assert written.name.startswith("20260301T100000Z-")
    assert history.read(tmp_path / "store").left_out == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"resumptions": [{"at": "soon", "environment": {}}]}, "'soon' is no time"),
        ({"run": "\x1b[2J"}, "no name that can be printed"),
        ({"contenders": 2 * [{"name": "a", "label": "A", "hello": None, "unavailable": None}]},
         "contender 'a' is there twice"),
        ({"contenders": [{"name": "a", "label": "\x1b]0;x\x07", "hello": None,
                          "unavailable": None}]}, "no name that can be printed"),
        ({"specification": {"blocks": 10**12, "cells": []}, "contenders": []}, None),
    ],
)  # fmt: skip
def test_a_manifest_is_believed_only_as_far_as_it_makes_sense(tmp_path, change, said):
    path = changed(run_of(tmp_path / "run", "a"), **change)
    (path / "trials.jsonl").write_bytes(b"")
    if said is None:
        assert Run.open(path).trials == []
        return
    with pytest.raises(StoreError, match=said):
        Run.open(path)


def test_a_run_of_more_trials_than_anybody_measures_is_refused(tmp_path):
    path = run_of(tmp_path / "run", "a")
    specification = json.loads((path / "run.json").read_bytes())["specification"]
    changed(path, specification=specification | {"blocks": 10**9})
    with pytest.raises(StoreError, match="more than 1,000,000 trials"):
        Run.open(path)


@pytest.mark.parametrize("name", ["cell", "contender"])
def test_a_trial_of_what_the_run_does_not_know_is_named_with_its_line(tmp_path, name):
    path = run_of(tmp_path / "run", "a")
    lines = (path / "trials.jsonl").read_bytes().splitlines()
    first = json.loads(lines[0]) | {name: "unknown"}
    (path / "trials.jsonl").write_bytes(b"\n".join([json.dumps(first).encode(), *lines[1:], b""]))
    with pytest.raises(StoreError, match=r"line 1: run\.json knows no .*'unknown'"):
        Run.open(path)


@pytest.mark.parametrize("name", ["run.json", "trials.jsonl", "logs", "exports"])
def test_a_run_with_a_link_in_it_is_refused(tmp_path, name):
    path = run_of(tmp_path / "run", "a")
    elsewhere = tmp_path / "elsewhere"
    if (path / name).exists():
        (path / name).rename(elsewhere)
    else:
        elsewhere.mkdir()
    (path / name).symlink_to(elsewhere)
    with pytest.raises(StoreError, match="is a link"):
        Run.open(path)


def test_an_export_into_the_run_does_not_leave_it(tmp_path, command):
    path = run_of(tmp_path / "run", "a")
    (path / "exports").mkdir()
    (path / "exports" / "csv").symlink_to(tmp_path / "elsewhere")
    done = command("export", str(path), "--format", "csv", cwd=tmp_path)
    assert done.returncode == 1
    assert "csv is a link" in done.stderr
    (path / "exports" / "csv").unlink()
    assert command("export", str(path), "--format", "csv", cwd=tmp_path).returncode == 0
    assert not (tmp_path / "elsewhere").exists()


def test_what_never_ends_or_is_too_long_is_not_read(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="not a regular file"):
        read_file(pipe, 10)
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(OSError, match="longer than"):
        read_file(sparse, 2**20)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path, target = tmp_path / "file", tmp_path / "target"
    target.write_text("kept")
    path.symlink_to(target)
    replace_file(path, "new ±")
    assert (path.read_bytes().decode(), target.read_text()) == ("new ±", "kept")
    assert not path.is_symlink()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, "newer", synced=True)
    assert path.read_text(encoding="utf-8") == "new ±"
    assert sorted(tmp_path.iterdir()) == [path, target]


def test_a_device_is_written_to_and_stays(tmp_path):
    replace_file(Path("/dev/null"), "x")
    require_writable(Path("/dev/null"))
    assert not Path("/dev/null").is_file()
    with pytest.raises(IsADirectoryError):
        require_writable(tmp_path)
    with pytest.raises(FileNotFoundError):
        require_writable(tmp_path / "missing" / "file")
    require_writable(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_could_not_be_begun_leaves_nothing(tmp_path, monkeypatch):
    manifest = Run.open(run_of(tmp_path / "run", "a")).manifest

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("raftmark.bench.runs.store.replace_file", full)
    with pytest.raises(StoreError, match="No space left"):
        Run.create(tmp_path / "results", manifest)
    assert list((tmp_path / "results").iterdir()) == []
