"""System calls a command: what strace writes is read, and counted by what calls are for."""

import pytest

from raftmark.bench.studies.system_calls import Counted, parse, table

SUMMARY = """
    calls syscall
--------- ----------------
     1200 epoll_wait
      800 sendto
      600 recvfrom
      200 getrandom
--------- ----------------
     2800 total
"""


def test_what_strace_writes_is_read():
    assert parse(SUMMARY) == {"epoll_wait": 1200, "sendto": 800, "recvfrom": 600, "getrandom": 200}
    assert parse("") == {}


def test_calls_are_counted_by_what_they_are_for():
    counted = Counted(parse(SUMMARY), commands=200)
    assert counted.per_command() == pytest.approx(
        {"sending": 4, "receiving": 3, "waiting": 6, "threads": 0, "other": 1, "all": 14}
    )
    header, _, row = table({("asyncio", 1): counted})
    assert header.startswith("| contender | outstanding | sending | receiving | waiting |")
    assert row == "| asyncio | 1 | 4 | 3 | 6 | 0 | 1 | 14 |"
