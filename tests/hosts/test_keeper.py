"""What an actor does on its host, without Ray: a program is held, and nothing stays of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from raftmark.bench.contenders.places import ROOT
from raftmark.bench.runs.forms import Asked
from raftmark.hosts.keeper import Keeper
from tests.conformance.waiting import looks

from .conftest import PATIENCE_S
from .test_clusters import await_nothing

SECRET = "s" * 64
WITHIN_S = 60.0

ALONE = """
import subprocess, sys
from raftmark.hosts.hearth import Hearth
hearth = Hearth()
(hearth.path / "kept").write_text("data")
child = subprocess.Popen(
    ["sleep", "600"], env=hearth.environment | {"PATH": "/usr/bin:/bin"}, start_new_session=True
)
print(hearth.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def keeper() -> Keeper:
    return Keeper(msgspec.json.encode(Asked()), SECRET)


def answer(keeper: Keeper) -> dict[str, object]:
    said = b""
    while not said.endswith(b"\n"):
        said += keeper.read()
    found: dict[str, object] = json.loads(said)
    return found


def test_a_program_is_held_by_its_pipe(keeper: Keeper) -> None:
    assert keeper.launch("asyncio") is None
    assert keeper.write(b'{"id": 1, "op": "hello"}\n', WITHIN_S) == ""
    assert answer(keeper)["id"] == 1
    assert keeper.write(b'{"id": 2, "op": "quit"}\n', WITHIN_S) == ""
    assert answer(keeper) == {"id": 2, "ok": {}}
    assert keeper.read() == b""
    assert keeper.end(WITHIN_S) == ("exit status 0", b"")


def test_its_last_words_are_told(keeper: Keeper) -> None:
    assert keeper.launch("asyncio") is None
    assert keeper.write(b'{"id": 1, "op": "hello"}\n', WITHIN_S) == ""
    answer(keeper)
    signalled = keeper.pid()
    subprocess.run(["kill", "-TERM", str(signalled)], check=True)
    assert keeper.read() == b""
    for _ in looks(PATIENCE_S):  # What it wrote to may have been closed before what it reads.
        if psutil.Process(signalled).status() == psutil.STATUS_ZOMBIE:
            break
    assert keeper.write(b"{}\n", WITHIN_S) == "gone"
    how, words = keeper.end(WITHIN_S)
    assert how == f"exit status {128 + signal.SIGTERM}"
    assert b"ended by SIGTERM" in words


def test_one_that_cannot_be_started_is_told_of(keeper: Keeper) -> None:
    assert keeper.launch("nobody") == "this host knows no contender nobody"


def test_it_may_hold_another_afterwards(keeper: Keeper) -> None:
    for _ in range(2):
        assert keeper.launch("asyncio") is None
        keeper.kill()
        assert keeper.read() == b""
        assert keeper.end(WITHIN_S)[0] == "signal 9"


def test_what_a_killed_actor_had_is_ended_and_removed() -> None:
    actor = subprocess.Popen(
        [sys.executable, "-c", ALONE], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with actor:
        assert actor.stdout is not None
        path = Path(actor.stdout.readline().decode().strip())
        assert (path / "kept").read_text() == "data"
        actor.kill()
    for _ in looks(PATIENCE_S):
        if not path.exists():
            break
    assert not path.exists()
    await_nothing(path)
