"""What people see in a terminal, and what a pipe gets instead."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from raftmark.bench.contenders.places import VERSION
from raftmark.bench.runs.forms import ContenderEntry
from raftmark.terminal.console import console
from raftmark.terminal.tables import contenders_table

NAME = "multiprocessing@3.14t+a-form-of-a-name"
HELLO = {
    "language": "Python",
    "runtime": {"name": "CPython", "version": "3.14.0", "gil": False},
    "features": [f"feature-{number}" for number in range(40)],
}


def entry(name: str) -> ContenderEntry:
    return ContenderEntry(name, name.title(), HELLO, None)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_name_that_is_to_be_typed_stays_whole_in_a_narrow_terminal(width):
    shown = io.StringIO()
    Console(file=shown, width=width).print(contenders_table([entry(NAME)]))
    assert NAME in shown.getvalue()


def test_a_pipe_gets_lines_that_are_neither_cut_nor_folded():
    shown = io.StringIO()
    console(shown).print(contenders_table([entry(NAME)]))
    assert ", ".join(HELLO["features"]) in shown.getvalue()


def test_the_version_is_told():
    raftmark = str(Path(sys.executable).with_name("raftmark"))
    done = subprocess.run([raftmark, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"raftmark {VERSION}\n"
