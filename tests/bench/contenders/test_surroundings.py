"""What contenders inherit, what they are given, and how what they are built of is kept fresh."""

import os
import re
import sys

import pytest

from raftmark.bench.contenders import registry, surroundings
from raftmark.bench.contenders.contender import ContenderFailed
from raftmark.bench.contenders.registry import (
    Build,
    ContenderSpec,
    Unavailable,
    load_contenders,
)
from raftmark.bench.contenders.surroundings import NotAsked, read_asked
from raftmark.bench.experiment.entries import describe
from raftmark.bench.primitives.bare import output_of
from raftmark.bench.runs.code import load
from raftmark.bench.runs.forms import Asked
from raftmark.bench.runs.store import Run
from tests.bench.support import fake, write_table

# One of each kind that changes how a runtime works.
CHANGES = {
    "PYTHONASYNCIODEBUG": "1",
    "PYTHONDEVMODE": "1",
    "PYTHONMALLOC": "debug",
    "PYTHONHASHSEED": "7",
    "GOMEMLIMIT": "1000000",
    "GOGC": "5",
    "GOFLAGS": "-race",
    "GODEBUG": "gctrace=1",
    "CGO_CFLAGS": "-O0",
    "MALLOC_ARENA_MAX": "1",
    "GLIBC_TUNABLES": "glibc.malloc.perturb=1",
    "LD_BIND_NOW": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
PRINT = [sys.executable, "-c", "import os; print(*os.environ)"]


@pytest.fixture(autouse=True)
def changed(monkeypatch):
    for name, value in CHANGES.items():
        monkeypatch.setenv(name, value)


def hello(spec):
    with spec.launch() as contender:
        return contender.call("hello")


def test_nothing_that_changes_a_runtime_is_inherited():
    assert not CHANGES.keys() & surroundings.clean().keys()
    assert not CHANGES.keys() & surroundings.for_builds().keys()
    assert surroundings.clean()["PATH"] == os.environ["PATH"]
    assert set(surroundings.withheld()) >= CHANGES.keys()
    assert not set(surroundings.withheld()) & {"PATH", "HOME", "GOPROXY", "LD_LIBRARY_PATH"}


@pytest.mark.parametrize(
    ("set_here", "left_in"),
    [
        ({}, None),
        ({"PYTHONDONTWRITEBYTECODE": "1"}, str(surroundings.CACHE / "bytecode")),
        ({"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "/mine"}, "/mine"),
    ],
)
def test_bytecode_is_left_beside_sources_only_where_it_may_be(monkeypatch, set_here, left_in):
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in set_here.items():
        monkeypatch.setenv(name, value)
    found = surroundings.clean()
    assert found.get("PYTHONPYCACHEPREFIX") == left_in
    assert "PYTHONDONTWRITEBYTECODE" not in found


def test_a_program_that_may_leave_nothing_beside_sources_is_compiled_once(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    monkeypatch.setattr(surroundings, "CACHE", tmp_path / "cache")
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "module.py").touch()
    told = [sys.executable, "-c", "import module; print(module.__cached__)"]
    cached = output_of(told, timeout_s=60, env={"PYTHONPATH": str(sources)}).strip()
    assert cached.startswith(str(tmp_path / "cache"))
    assert os.path.isfile(cached)
    assert os.listdir(sources) == ["module.py"]


def test_a_contender_starts_clean_and_says_so():
    told = hello(load_contenders()["asyncio"])["runtime"]
    assert told["hash_seed"] == "random"
    assert told["dev_mode"] is False
    assert {"pgo", "lto", "debug", "compiler", "options"} <= told["build"].keys()
    assert not [option for option in told["build"]["options"] if "/" in option]


def test_go_starts_and_is_built_clean_and_says_so():
    spec = load_contenders()["go"]
    spec.prepare()
    told = hello(spec)["runtime"]
    assert told["gogc"] == 400
    assert told["gomemlimit"] == 2**63 - 1
    assert "-race" not in told["build"]
    assert not [value for value in told["build"].values() if "/" in value]
    assert hello(spec.with_env({"GOGC": "50"}))["runtime"]["gogc"] == 50


def test_a_contender_gets_what_was_asked_for():
    spec = load_contenders()["asyncio"].with_env(read_asked(["PYTHONHASHSEED", "PYTHONDEVMODE=1"]))
    told = hello(spec)["runtime"]
    assert (told["hash_seed"], told["dev_mode"]) == ("7", True)
    assert describe(spec, print).env == {"PYTHONHASHSEED": "7", "PYTHONDEVMODE": "1"}


def test_what_an_entry_sets_is_overridden_by_what_is_asked(tmp_path):
    table = write_table(tmp_path / "table.toml", {"stub": fake("stub")})
    table.write_text(table.read_text() + '[contender.env]\nA = "1"\nB = "2"\n')
    spec = load_contenders(table)["stub"].with_env({"B": "3"})
    assert spec.env == {"A": "1", "B": "3"}
    assert spec.environment({"C": "4"}).items() >= {"A": "1", "B": "3", "C": "4"}.items()


def test_programs_without_raft_start_clean_too():
    names = output_of(PRINT, timeout_s=60, env={"ASKED": "1"}).split()
    assert "ASKED" in names
    assert not CHANGES.keys() & set(names)


@pytest.mark.parametrize("asked", ["", "=x", "A B=1", "1A=1", "NOT_SET_ANYWHERE"])
def test_what_is_no_variable_is_refused(asked):
    with pytest.raises(NotAsked):
        read_asked([asked])


def test_wrong_usage_is_said_in_a_line(tmp_path, command):
    done = command("bench", "--env", "=x", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "raftmark: Invalid value: '--env': '=x' is no variable: "
        "write it as NAME=VALUE, or as NAME\n"
    )


def builder(tmp_path, monkeypatch, *more: str, env: dict[str, str] | None = None) -> Build:
    """Return a build that writes down its flags, and that counts how often it runs."""
    monkeypatch.setattr(registry, "CACHE", tmp_path / "cache")
    code = (
        "import os, sys; open('builds', 'a').write('.');"
        "open(sys.argv[1], 'w').write(os.environ.get('GOFLAGS', 'none') + ' '.join(sys.argv[2:]))"
    )
    return Build(
        command=[sys.executable, "-c", code, "{output}", *more],
        cwd=".",
        inputs=["*.source"],
        output="{cache}/program",
        env=env or {},
    )


def test_a_build_inherits_no_flag(tmp_path, monkeypatch):
    program = builder(tmp_path, monkeypatch).bring_up_to_date(tmp_path)
    assert program.read_text() == "none"


def test_a_program_is_built_again_when_it_would_be_built_otherwise(tmp_path, monkeypatch):
    (tmp_path / "a.source").touch()
    (tmp_path / "b.source").touch()
    builds = tmp_path / "builds"
    asked = [
        builder(tmp_path, monkeypatch),
        builder(tmp_path, monkeypatch, env={"GOFLAGS": "-race"}),
        builder(tmp_path, monkeypatch, "-race"),
        builder(tmp_path, monkeypatch),
    ]
    for number, build in enumerate(asked, 1):
        build.bring_up_to_date(tmp_path)
        build.bring_up_to_date(tmp_path)
        assert len(builds.read_text()) == number
    (tmp_path / "b.source").unlink()  # Which no file's time tells.
    asked[-1].bring_up_to_date(tmp_path)
    assert len(builds.read_text()) == 5
    (tmp_path / "cache" / "program.made").unlink()  # As it is where a build was killed.
    asked[-1].bring_up_to_date(tmp_path)
    assert len(builds.read_text()) == 6


def test_a_program_is_built_again_by_another_compiler(tmp_path, monkeypatch):
    compiler = tmp_path / "compiler"
    compiler.write_text("#!/bin/sh\necho one > $1\n")
    compiler.chmod(0o755)
    build = builder(tmp_path, monkeypatch)
    build = Build([str(compiler), "{output}"], build.cwd, build.inputs, build.output)
    assert build.bring_up_to_date(tmp_path).read_text() == "one\n"
    compiler.write_text("#!/bin/sh\necho another > $1\n")
    assert build.bring_up_to_date(tmp_path).read_text() == "another\n"


def test_a_run_keeps_what_was_asked_for_and_goes_on_with_nothing_else(tmp_path, command):
    table = write_table(tmp_path / "table.toml", {"stub": fake("stub")})
    options = ["--contenders-file", "table.toml", "--no-report"]
    done = command(
        *("bench", *options, "--blocks", "1", "--cells", "replicate-w1", "--no-twin"),
        *("--env", "FIRST=a b", "--env", "PYTHONHASHSEED"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    run = Run.open(tmp_path / "results" / "latest")
    env = {"FIRST": "a b", "PYTHONHASHSEED": "7"}
    assert run.manifest.asked == Asked(table="table.toml", python=[], env=env)
    assert [entry.env for entry in run.manifest.contenders] == [env]
    assert "PYTHONASYNCIODEBUG" in run.manifest.environment["withheld"]
    assert "1" not in run.manifest.environment["withheld"]
    assert load_contenders(table)["stub"].color == run.manifest.contenders[0].color
    assert load(run)["stub"] == "its entry in the contenders' table names no `sources`"

    done = command("bench", "--resume", "latest", *options, cwd=tmp_path)
    assert done.returncode == 2
    again = re.search(r"go on with '(.*)'$", done.stderr)
    assert again is not None
    assert "--env 'FIRST=a b' --env PYTHONHASHSEED=7 --contenders-file table.toml" in again[1]
    done = command("bench", "--resume", "latest", cwd=tmp_path)
    assert done.returncode == 2
    assert "has stub, which no table names here: go on with" in done.stderr
    given = ["--env", "FIRST=a b", "--env", "PYTHONHASHSEED=7"]
    done = command("bench", "--resume", "latest", *options, *given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_contender_that_needs_what_nobody_gave_it_fails_by_itself():
    code = "import os; os.environ['PYTHONASYNCIODEBUG']"
    spec = ContenderSpec(
        name="x", label="X", command=[sys.executable, "-c", code], color="", marker=""
    )
    with pytest.raises(ContenderFailed), spec.launch() as contender:
        contender.call("hello")


def test_a_place_that_cannot_be_written_is_the_reason_and_none_where_nothing_is_to_do(
    tmp_path, monkeypatch
):
    build = builder(tmp_path, monkeypatch)
    build.bring_up_to_date(tmp_path)
    # What is no directory can be written to by nobody, root included.
    with monkeypatch.context() as patch:
        patch.setattr(registry.fcntl, "flock", lambda *_: pytest.fail("nothing is to be done"))
        build.bring_up_to_date(tmp_path)
    monkeypatch.setattr(registry, "CACHE", tmp_path / "builds" / "cache")
    with pytest.raises(Unavailable, match=r"cannot build: .*Not a directory; make room or permit"):
        build.bring_up_to_date(tmp_path)
