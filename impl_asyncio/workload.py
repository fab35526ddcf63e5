"""The *replicate* client on asyncio: a task for each command outstanding."""

import asyncio
import time
from typing import Any

from impl_asyncio.node import NodeTask
from raft.errors import RaftError
from raft.workload import CommandSource, Recorder, ReplicateSpec, command_sources


async def replicate(leader: NodeTask, spec: ReplicateSpec) -> dict[str, Any]:
    """Run the closed loop; its raw result, or the first error."""
    recorder = Recorder(spec, leader.counters)
    sources = command_sources(spec)

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
    except* RaftError as errors:
        raise errors.exceptions[0] from None
    acknowledged = [source.serial for source in sources]
    return recorder.result(leader.id, "a task awaits each command's future", acknowledged)
