"""The core's work a command grows at most in proportion to what a cluster carries."""

import pytest

from raftmark.replay import growth
from raftmark.replay.growth import Setting, grown


def counted(**varied: int) -> float:
    return grown(Setting()._replace(**varied)).bytecodes


def test_many_at_once_take_less_each_than_few() -> None:
    costs = [counted(outstanding=outstanding) for outstanding in (1, 16, 64, 1024)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < 0.1 * costs[0]


def test_each_further_follower_takes_the_same() -> None:
    three, five, nine = (counted(nodes=nodes) for nodes in (3, 5, 9))
    assert nine - five == pytest.approx(2 * (five - three), rel=0.05)


@pytest.mark.parametrize("varied", ["entries", "sessions"])
def test_a_long_log_and_many_sessions_take_no_more(varied: str) -> None:
    """Past the first snapshot; what that takes itself is in no turn that is counted."""
    assert counted(**{varied: 20_000}) == pytest.approx(counted(), rel=0.05)


def test_large_values_take_at_most_the_messages_that_they_need() -> None:
    """A message has room for 256 KiB of them: at 64 KiB each, four."""
    small, large = counted(payload=64), counted(payload=65_536)
    assert small < large < 16 * small


def test_the_table_has_a_line_for_each_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth.gc, "disable", lambda: None)
    monkeypatch.setattr(growth, "LINES", {"nodes": (3, 5), "entries": (10, 2_000_000)})
    lines: list[str] = []
    growth.main(lines.append)
    assert [line.split()[0] for line in lines] == ["nodes", "3", "5", "entries", "10", "2,000,000"]
    assert lines[-1].endswith("--long")
