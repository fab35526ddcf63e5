"""An event loop may call a little early, as uvloop does; a node's timer and its links may not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
import uvloop

from raftmark.impl_asyncio.timer import Timer
from raftmark.impl_asyncio.transport import Mailbox, Transport
from raftmark.raft.links import Faults, Links
from raftmark.raft.messages import TimeoutNow

NewLoop = Callable[[], asyncio.AbstractEventLoop]
# Around the milliseconds that uvloop counts in.
DURATIONS_NS = [n * 170_000 for n in range(1, 25)]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> NewLoop:
    found: NewLoop = request.param
    return found


def hold_up_the_loop() -> None:
    """Let the clock run on: the loop's own time may still be that of when this callback began."""
    until_ns = time.monotonic_ns() + 700_000
    while time.monotonic_ns() < until_ns:
        pass


def test_a_timer_never_wakes_before_its_deadline(new_loop: NewLoop) -> None:
    async def early_ns(after_ns: int) -> int:
        woken = asyncio.Event()
        timer = Timer(woken.set)
        hold_up_the_loop()
        due_ns = time.monotonic_ns() + after_ns
        timer.restart(after_ns)
        await woken.wait()
        assert timer.expired()
        return due_ns - time.monotonic_ns()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert max(runner.run(early_ns(after_ns)) for after_ns in DURATIONS_NS) <= 0


def test_a_timer_that_is_restarted_earlier_wakes_earlier(new_loop: NewLoop) -> None:
    async def wake() -> None:
        woken = asyncio.Event()
        timer = Timer(woken.set)
        timer.restart(3600 * 10**9)
        timer.restart(10**6)
        await woken.wait()
        timer.cancel()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(wake())


def test_a_delayed_message_never_arrives_before_its_delay(new_loop: NewLoop) -> None:
    async def early_ns(delay_ns: int) -> int:
        links = Links(1, seed=0)
        links.degrade(Faults(delay_ns=(delay_ns, delay_ns)))
        mailbox = Mailbox()
        message = TimeoutNow(term=1, sender=1, to=2)
        sent_ns = time.monotonic_ns()
        Transport({2: mailbox}, links).send([message])
        assert await mailbox.drain() == [message]
        return sent_ns + delay_ns - time.monotonic_ns()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert max(runner.run(early_ns(delay_ns)) for delay_ns in DURATIONS_NS) <= 0
