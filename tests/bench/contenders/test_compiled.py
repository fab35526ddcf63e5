"""The form whose core is compiled: where it can be, and when it is compiled anew."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import msgspec
import pytest

from raftmark.bench.contenders import compiled as module
from raftmark.bench.contenders.compiled import compiled
from raftmark.bench.contenders.registry import Build, Unavailable, load_contenders
from raftmark.bench.contenders.variants import Contenders, Variant

PYTHON = Path(sys.executable)


def form(base: str = "asyncio") -> Variant:
    found = Contenders(load_contenders())[f"{base}@mypyc"]
    assert isinstance(found, Variant)
    return found


@pytest.mark.parametrize("base", ["threading", "asyncio", "multiprocessing"])
def test_all_python_contenders_compile_the_same_modules(base):
    assert form(base).compiles == form().compiles
    assert form(base).control


def test_modules_that_are_compiled_are_there_and_their_room_is_what_counts():
    build = compiled(PYTHON, form().compiles)
    assert [path for path in build.command if path.endswith("raft/node.py")] == ["raft/node.py"]
    assert len([each for each in build.command if each.startswith("raft/")]) == len(form().compiles)
    assert build.inputs == ["raft/**/*.py"]


def test_without_a_c_compiler_it_is_left_out(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert (form().available() or "").startswith("needs a C compiler")


def test_without_mypy_it_is_left_out(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "mypy" else found(name)
    )
    assert "needs mypy; 'make setup-test' installs it" in (form().available() or "")


def test_another_compiler_interpreter_or_mypy_compiles_anew(monkeypatch):
    before = compiled(PYTHON, form().compiles)
    assert before == compiled(PYTHON, form().compiles)
    monkeypatch.setattr(module, "_version", lambda *command: "another")
    assert compiled(PYTHON, form().compiles).made_with != before.made_with
    assert compiled(PYTHON.with_name("other"), form().compiles).output != before.output


def test_a_directory_is_made_anew_whole(tmp_path):
    (tmp_path / "source").write_text("1")
    program = "import os, sys; os.mkdir(sys.argv[1]); open(sys.argv[1] + '/' + sys.argv[2], 'w')"
    build = Build(
        command=[sys.executable, "-c", program, "{output}", "first"],
        cwd=".",
        inputs=["source"],
        output="made",
        made_with=["compiler 1"],
    )
    made = build.bring_up_to_date(tmp_path)
    assert build.is_done(tmp_path)
    newer = msgspec.structs.replace(
        build, command=[*build.command[:-1], "second"], made_with=["compiler 2"]
    )
    assert not newer.is_done(tmp_path)
    newer.bring_up_to_date(tmp_path)
    assert [path.name for path in made.iterdir()] == ["second"]


def test_what_is_refused_says_which_program(monkeypatch):
    monkeypatch.setattr(module, "_ASK", "raise SystemExit(1)")
    module._version.cache_clear()
    with pytest.raises(Unavailable, match="does not tell its version"):
        compiled(PYTHON, form().compiles)
    module._version.cache_clear()
