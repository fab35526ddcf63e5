"""Saving without holding up the event loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from raftmark.raft.messages import Save, Saved
from raftmark.raft.storage import MemoryStorage, Storage


class BackgroundStorage:
    """A node's storage: memory is written in place, a disk by a thread of its own.

    A save once begun goes on when the task that awaits it is cancelled; `close` waits
    for it.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        in_memory = isinstance(storage, MemoryStorage)
        self._writer = None if in_memory else ThreadPoolExecutor(1, "storage")

    def load(self) -> Saved:
        """What was saved. StorageError if it cannot be read."""
        return self._storage.load()

    async def save(self, save: Save) -> None:
        """Make a save durable. StorageError if it cannot."""
        if self._writer is None:
            self._storage.save(save)
        else:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._writer, self._storage.save, save)

    def close(self) -> None:
        """Let the last save end, then close the file."""
        if self._writer is not None:
            self._writer.shutdown()
        self._storage.close()
