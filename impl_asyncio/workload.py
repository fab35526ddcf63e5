"""The clients beside the leader on asyncio: a task for each, or one that keeps the pace."""

import asyncio
import time
from typing import Any

from raftmark.impl_asyncio.node import NodeTask
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.workload.closed_loop import CommandSource, Recorder, command_sources
from raftmark.raft.workload.open_loop import OpenLoop


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
    for pause_s in load.pace():
        await asyncio.sleep(pause_s)
    await ended.wait()
    return load.result(leader.id, "a task sleeps until the next command is due")
