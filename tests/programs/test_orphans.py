"""However the host of node programs ends, none of them goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.contenders.variants import Contenders

DEADLINE_S = 60.0


class Host:
    """The host of a cluster of three programs, which leads a session as under the harness."""

    def __init__(self) -> None:
        spec = Contenders(load_contenders())["asyncio@tcp"]
        self.process = subprocess.Popen(
            spec.argv(),
            cwd=spec.started_in,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b'{"id":1,"op":"start"}\n')
        self.process.stdin.flush()
        for line in self.process.stdout:
            if json.loads(line).get("id") == 1:
                break
        self.programs = psutil.Process(self.process.pid).children(recursive=True)
        assert len(self.programs) == 3

    def left(self) -> list[psutil.Process]:
        """Those that go on though the host has ended."""
        _, left = psutil.wait_procs(self.programs, DEADLINE_S)
        return [process for process in left if process.status() != psutil.STATUS_ZOMBIE]


@contextmanager
def host() -> Iterator[Host]:
    running = Host()
    try:
        yield running
    finally:
        running.process.kill()
        for program in running.programs:
            if program.is_running():
                program.kill()
        for stream in (running.process.stdin, running.process.stdout, running.process.stderr):
            assert stream is not None
            stream.close()
        running.process.wait()


def test_the_end_of_input_ends_all() -> None:
    with host() as running:
        assert running.process.stdin is not None
        running.process.stdin.close()
        assert running.process.wait(DEADLINE_S) == 0
        assert running.left() == []


@pytest.mark.parametrize("stopped", [False, True])
def test_a_host_that_is_killed_leaves_none_not_even_one_that_is_stopped(stopped: bool) -> None:
    with host() as running:
        if stopped:
            running.programs[1].suspend()
        running.process.kill()
        assert running.left() == []


def test_a_ctrl_c_reaches_the_host_alone_which_ends_all() -> None:
    with host() as running:
        groups = {os.getpgid(program.pid) for program in running.programs}
        assert os.getpgid(running.process.pid) not in groups
        os.killpg(os.getpgid(running.process.pid), signal.SIGINT)
        assert running.process.wait(DEADLINE_S) == 128 + signal.SIGINT
        assert running.process.stderr is not None
        said = running.process.stderr.read()
        assert said == b"asyncio: ended by SIGINT\n"
        assert running.left() == []
