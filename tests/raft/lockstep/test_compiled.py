"""The same lockstep, of the core compiled by mypyc: what is compiled is the very same algorithm."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.contenders.variants import Contenders

ROOT = Path(__file__).parents[3]


# Compiling takes half a minute, and several where the machine is busy.
pytestmark = pytest.mark.timeout(900)


@pytest.mark.slow
def test_the_compiled_core_keeps_step_with_go() -> None:
    spec = Contenders(load_contenders())["asyncio@mypyc"]
    spec.prepare()
    # Before pytest puts the checkout first: what is imported once is not looked for again.
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("pytest")), "-q", "-p", "raftmark.raft.node"),
            *("-p", "no:cacheprovider", "--lockstep-events", "5000"),
            *("-m", "not slow", "tests/raft/lockstep", "-k", "not compiled"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(spec.started_in)},
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_what_is_preloaded_is_the_compiled_core() -> None:
    """Or the test above would hold the interpreted core to Go's once more."""
    spec = Contenders(load_contenders())["asyncio@mypyc"]
    spec.prepare()
    told = subprocess.run(
        [sys.executable, "-P", "-c", "import raftmark.raft.node as n; print(n.__file__)"],
        env={**os.environ, "PYTHONPATH": str(spec.started_in)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip().startswith(str(spec.started_in))
    assert not told.stdout.strip().endswith(".py")
