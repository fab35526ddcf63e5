"""The clients beside the leader on asyncio: a task for each, or what comes from a sender."""

import asyncio
import time
from typing import Any

from raftmark.impl_asyncio.node import NodeTask
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.workload.closed_loop import CommandSource, Recorder, command_sources
from raftmark.raft.workload.open_loop import OpenLoop
from raftmark.raft.workload.pacing import Sender


async def replicate(leader: NodeTask, spec: ReplicateSpec) -> dict[str, Any]:
    """Run the closed loop; its raw result, or the first error."""
    recorder = Recorder(spec, leader.counters)
    sources = command_sources(spec.outstanding, spec.session, spec.keys, spec.payload)

    async def client(source: CommandSource) -> None:
        sent_ns = time.monotonic_ns()
        while sent_ns < recorder.deadline_ns:
            await leader.submit(source.next())
            now_ns = time.monotonic_ns()
            recorder.record(sent_ns, now_ns)
            sent_ns = now_ns

    try:
        async with asyncio.TaskGroup() as clients:
            for source in sources:
                clients.create_task(client(source))
    except ExceptionGroup as failures:
        # Not `except*`: what that raises arrives in a group again, before Python 3.11.4.
        raise failures.exceptions[0] from None
    acknowledged = [source.serial for source in sources]
    return recorder.result(leader.id, "a task awaits each command's future", acknowledged)


async def offered(leader: NodeTask, spec: OfferedSpec) -> dict[str, Any]:
    """Run the open loop; its raw result, or the first error."""
    ended = asyncio.Event()
    load = OpenLoop(spec, leader.counters, leader.propose, ended.set)
    sender = Sender(spec.rate, load.total, spec.warmup_ns + spec.duration_ns)
    loop = asyncio.get_running_loop()

    def readable() -> None:
        if not load.take(sender.read()):
            loop.remove_reader(sender)

    try:
        loop.add_reader(sender, readable)
        await ended.wait()
    finally:
        loop.remove_reader(sender)
        sender_cpu_ns = sender.end()
    label = "the event loop reads from the sender's pipe, and leaves each command with the leader"
    return load.result(leader.id, label, sender_cpu_ns)
