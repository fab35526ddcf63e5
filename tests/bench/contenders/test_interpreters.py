"""Other interpreters, made of shell scripts that say what they are."""

import json
import os
import sys
from pathlib import Path

import pytest

from raftmark.bench.contenders import interpreters
from raftmark.bench.contenders.interpreters import Interpreter, distinct, environment, find
from raftmark.bench.contenders.registry import Unavailable

RUNNING = ".".join(map(str, sys.version_info[:2]))


def install(directory: Path, program: str, **said: object) -> Path:
    """Write a program that calls itself a Python."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / program
    answer = {
        "executable": str(path),
        "implementation": "CPython",
        "version": "3.99.1",
        "free_threaded": False,
        **said,
    }
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(answer)}\nEND\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Let interpreters be found in two directories of this test's, and nowhere else."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.setattr(interpreters, "_PLACES", (f"{tmp_path}/versions/*/bin",))

    def no_uv(*arguments: str) -> str:
        raise Unavailable("no uv here")

    monkeypatch.setattr(interpreters, "_uv", no_uv)
    return tmp_path


def test_an_interpreter_is_found_by_its_version_on_the_path(places):
    path = install(places / "path", "python3.99")
    found = find("3.99")
    assert (found.name, found.executable, found.version) == ("3.99", str(path), "3.99.1")
    assert find("3.99.1").name == "3.99.1"
    assert find("python3.99") == found


def test_the_free_threaded_build_and_the_ordinary_one_are_told_apart(places):
    ordinary = install(places / "versions" / "a" / "bin", "python3.99")
    # A program's name promises nothing: what the interpreter says of itself counts.
    install(places / "path", "python3.99t")
    free = install(places / "versions" / "b" / "bin", "python3.99t", free_threaded=True)
    assert find("3.99t").executable == str(free)
    assert find("3.99t").name == "3.99t"
    assert find("3.99").executable == str(ordinary)


def test_what_only_looks_like_the_interpreter_is_passed_over(places):
    shim = places / "path" / "python3.99"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\necho no such version >&2\nexit 127\n")
    shim.chmod(0o755)
    with pytest.raises(Unavailable, match=r"no Python 3\.99 found: '.*uv python install 3\.99'"):
        find("3.99")
    path = install(places / "versions" / "x" / "bin", "python3.99")
    assert find("3.99").executable == str(path)


def test_an_interpreter_that_uv_knows_is_found(places, monkeypatch):
    path = install(places / "managed", "python3.99t", free_threaded=True)
    asked = []

    def uv(*arguments: str) -> str:
        asked.append(arguments)
        return str(path)

    monkeypatch.setattr(interpreters, "_uv", uv)
    assert find("3.99t").executable == str(path)
    assert asked[0][-1] == "cpython-3.99t"


def test_an_interpreter_is_found_by_its_path(places):
    path = install(places / "anywhere", "mine", implementation="PyPy", version="3.11.13")
    assert find(str(path)).name == "pypy3.11"
    assert find(sys.executable).is_running
    assert find(sys.executable).name == RUNNING


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("newest", "name a version, such as 3.14t, or a path"),
        ("/nowhere/python", "/nowhere/python is no Python interpreter"),
        ("/bin/sh", "/bin/sh is no Python interpreter"),
    ],
)
def test_what_is_no_interpreter_is_refused(places, asked, said):
    with pytest.raises(Unavailable, match=said):
        find(asked)


def test_an_old_interpreter_is_refused(places):
    install(places / "path", "python3.9", version="3.9.1")
    with pytest.raises(Unavailable, match=r"3\.11 is the oldest"):
        find("3.9")


def named(executable: str, version: str = "3.99.1") -> Interpreter:
    return Interpreter(executable, "CPython", version, free_threaded=True, name="3.99t")


def test_interpreters_of_one_version_get_their_whole_versions_as_names():
    found = distinct([named("/a"), named("/b", "3.99.2"), named("/a")])
    assert [(each.executable, each.name) for each in found] == [
        ("/a", "3.99.1t"),
        ("/b", "3.99.2t"),
    ]
    with pytest.raises(Unavailable, match=r"/a and /b are both Python 3\.99\.1t"):
        distinct([named("/a"), named("/b")])


def test_a_release_candidate_has_a_short_name_too():
    assert named("/a", "3.99.0rc1").short_name == "3.99t"


@pytest.fixture
def uv(places, monkeypatch):
    """Keep the virtual environments below this test's directory, made by a stand-in for uv."""
    monkeypatch.setattr(interpreters, "CACHE", places / "cache")
    called = []

    def uv(*arguments: str) -> str:
        called.append(arguments)
        if arguments[0] == "venv":
            python = Path(arguments[-1]) / "bin" / "python"
            interpreter = json.loads(os.popen(arguments[-2]).read())
            install(python.parent, "python", **{**interpreter, "executable": str(python)})
        elif "uvloop" in Path(arguments[-1]).read_text():
            raise Unavailable("error: Because uvloop==1 has no usable wheels and you require it")
        return ""

    monkeypatch.setattr(interpreters, "_uv", uv)
    return called


def test_an_interpreter_gets_an_environment_with_the_pinned_packages(places, uv):
    install(places / "path", "python3.99")
    found = find("3.99")
    python, lacks = environment(found, frozenset(["msgspec", "uvloop"]))
    assert python.is_relative_to(places / "cache" / "python")
    assert lacks == {"uvloop": "uvloop==1 has no usable wheels"}
    made, *installed = uv
    assert made[-2:] == (found.executable, str(python.parent.parent))
    assert all("--require-hashes" in arguments for arguments in installed)
    requirement = (python.parent.parent / "msgspec.txt").read_text()
    assert requirement.startswith("msgspec==")
    assert "--hash=sha256:" in requirement

    # What is there already is not made or installed again; what was not to be had may be now.
    uv.clear()
    environment.__wrapped__(found, frozenset(["msgspec", "uvloop"]))
    assert [arguments[:2] for arguments in uv] == [("pip", "install")]


def test_a_package_that_is_not_pinned_is_not_installed(places, uv):
    install(places / "path", "python3.99")
    with pytest.raises(Unavailable, match="pins no no-such-package"):
        environment(find("3.99"), frozenset(["no-such-package"]))
