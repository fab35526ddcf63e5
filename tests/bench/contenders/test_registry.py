import os
import sys

import pytest

from raftmark.bench.contenders import registry
from raftmark.bench.contenders.conformance import FEATURES
from raftmark.bench.contenders.places import ROOT
from raftmark.bench.contenders.registry import (
    ContenderSpec,
    RegistryError,
    Unavailable,
    load_contenders,
)
from tests.bench.support import fake, write_table


def built(tmp_path, monkeypatch, *program: str) -> ContenderSpec:
    """Return a contender built from one source file by running `program`."""
    monkeypatch.setattr(registry, "ROOT", tmp_path)
    monkeypatch.setattr(registry, "CACHE", tmp_path / "cache")
    (tmp_path / "source.py").write_text("print('built')\n")
    build = registry.Build(
        command=list(program), cwd=".", inputs=["*.py"], output="{cache}/program"
    )
    return ContenderSpec(name="built", label="Built", command=[], color="", marker="", build=build)


COPY = (
    sys.executable,
    "-c",
    "import shutil, sys; shutil.copy('source.py', sys.argv[1]); open('builds', 'a').write('.')",
    "{output}",
)


NAMES = ["threading", "asyncio", "multiprocessing", "go", "go-loop"]


def test_the_projects_table_names_the_four_contenders_and_a_control():
    contenders = load_contenders()
    assert list(contenders) == NAMES
    assert [name for name, spec in contenders.items() if spec.control] == ["go-loop"]


@pytest.mark.parametrize("name", NAMES)
def test_every_source_file_is_counted_once(name):
    spec = load_contenders()[name]
    components = [pattern for patterns in spec.sources.values() for pattern in patterns]
    assert all(list(ROOT.glob(pattern)) for pattern in [*components, *spec.core])
    # What a component names is not the core's, whose patterns may have it too.
    named = [path for pattern in components for path in ROOT.glob(pattern)]
    core = [path for pattern in spec.core for path in ROOT.glob(pattern)]
    assert len(set(named)) == len(named)
    assert len(set(core)) == len(core)
    found = {*named, *core}
    top = "go_reference" if name.startswith("go") else f"impl_{name}"
    sources = {
        *(ROOT / top).rglob("*.py"),
        *(ROOT / top).rglob("*.go"),
    }
    # What checks and measures Go programs is in Go, but no part of the contender; nor is
    # the other one.
    tools = {
        "clients",
        "linearizability",
        "linearizable",
        "primitives",
        "races",
        "replay",
        "skeleton",
    }
    deployed = {"clientport", "cluster", "network", "serving"}
    tools |= {"go": {"loop"}, "go-loop": deployed}.get(name, set())
    tests = {p for p in sources if p.name.endswith("_test.go") or p.parent.name in tools}
    assert sources - tests <= found


def test_placeholders_are_filled():
    command = load_contenders()["asyncio"].argv()
    assert command == [sys.executable, "-m", "raftmark.impl_asyncio"]


def test_a_working_contender_is_available(tmp_path):
    table = write_table(tmp_path / "table.toml", {"stub": fake("stub")})
    assert load_contenders(table)["stub"].available() is None
    assert load_contenders(table)["stub"].probe()["contender"] == "stub"


def test_a_contender_that_cannot_run_says_why(tmp_path):
    table = write_table(
        tmp_path / "table.toml",
        {"missing": ["no-such-program"], "broken": fake("crashes", "hello")},
    )
    found = load_contenders(table)
    assert "cannot start no-such-program" in str(found["missing"].available())
    assert "signal 9" in str(found["broken"].available())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[contender]\n", "is not a contenders' table"),
        ('[[contender]]\nname = "x"\n', "label"),
        ("", "contender"),
    ],
)
def test_a_malformed_table_is_refused_with_its_name(tmp_path, text, said):
    path = tmp_path / "table.toml"
    path.write_text(text)
    with pytest.raises(RegistryError, match=said) as caught:
        load_contenders(path)
    assert str(path) in str(caught.value)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(RegistryError, match="No such file"):
        load_contenders(tmp_path / "nowhere.toml")


def test_a_name_given_twice_is_refused(tmp_path):
    path = write_table(tmp_path / "table.toml", {"stub": fake("stub")})
    path.write_text(path.read_text() * 2)
    with pytest.raises(RegistryError, match="twice"):
        load_contenders(path)


def test_a_program_is_built_once_and_again_when_its_sources_change(tmp_path, monkeypatch):
    spec = built(tmp_path, monkeypatch, *COPY)
    builds = tmp_path / "builds"
    spec.prepare()
    spec.prepare()
    assert builds.read_text() == "."
    program = tmp_path / "cache" / "program"
    assert program.read_text() == "print('built')\n"

    newer = program.stat().st_mtime_ns + 1_000_000
    os.utime(tmp_path / "source.py", ns=(newer, newer))
    spec.prepare()
    assert builds.read_text() == ".."


def test_a_source_edited_during_the_build_makes_it_stale(tmp_path, monkeypatch):
    program = "import pathlib, sys; pathlib.Path(sys.argv[1]).touch(); {}".format(
        "pathlib.Path('source.py').write_text('edited')"
    )
    spec = built(tmp_path, monkeypatch, sys.executable, "-c", program, "{output}")
    spec.prepare()
    edited = (tmp_path / "source.py").stat().st_mtime_ns
    assert (tmp_path / "cache" / "program").stat().st_mtime_ns < edited


def test_a_failing_build_is_the_reason(tmp_path, monkeypatch):
    spec = built(tmp_path, monkeypatch, sys.executable, "-c", "raise SystemExit('no luck')")
    with pytest.raises(Unavailable, match="no luck"):
        spec.prepare()
    assert "no luck" in str(spec.available())


def test_a_missing_toolchain_is_the_reason(tmp_path, monkeypatch):
    spec = built(tmp_path, monkeypatch, "no-such-compiler", "{output}")
    with pytest.raises(Unavailable, match=r"no-such-compiler.*make setup"):
        spec.prepare()


@pytest.mark.parametrize("name", NAMES)
def test_the_projects_contenders_offer_all_that_the_protocol_knows(name):
    # Whether its node programs serve clients is no matter of the suite.
    assert set(load_contenders()[name].probe()["features"]) - {"service"} == FEATURES


ENTRY = """
[[contender]]
name = "mine"
label = "Mine"
color = "#56b4e9"
marker = "v"
command = ["./mine", "{root}/lib"]
"""


def test_relative_paths_are_relative_to_the_table(tmp_path, monkeypatch):
    place = tmp_path / "somewhere"
    place.mkdir()
    (place / "table.toml").write_text(ENTRY)
    monkeypatch.chdir(place)
    for table in (place / "table.toml", place.relative_to(place) / "table.toml"):
        spec = load_contenders(table)["mine"]
        assert spec.directory == spec.started_in == place
    (place / "table.toml").write_text(ENTRY + 'root = ".."\n')
    assert load_contenders(place / "table.toml")["mine"].directory.resolve() == tmp_path


def test_paths_in_a_projects_own_table_are_relative_to_that_project(tmp_path):
    (tmp_path / "bench").mkdir()
    table = tmp_path / "bench" / "contenders.toml"
    table.write_text(ENTRY)
    assert load_contenders(table)["mine"].directory == tmp_path
    assert load_contenders()["go"].directory == ROOT


def test_a_table_may_include_contenders_of_the_projects_own(tmp_path):
    table = tmp_path / "table.toml"
    table.write_text('include = ["go", "asyncio"]\n' + ENTRY)
    found = load_contenders(table)
    assert list(found) == ["mine", "go", "asyncio"]
    assert found["go"] == load_contenders()["go"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('include = ["nobody"]\n' + ENTRY, "`include`: no 'nobody'; choose from threading, "),
        ('include = ["go", "go"]\n' + ENTRY, "`include`: go is there already"),
    ],
)
def test_what_cannot_be_included_is_said(tmp_path, text, message):
    table = tmp_path / "table.toml"
    table.write_text(text)
    with pytest.raises(RegistryError, match=message):
        load_contenders(table)
