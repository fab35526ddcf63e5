"""The vocabulary of concurrency: how often a source uses the words of each kind.

Names are counted where they are used, also in annotations, but not where they are imported. What
belongs to no package (`.create_task`) is counted by its name alone, so only names that mean
nothing else in this project are listed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

KINDS: Mapping[str, frozenset[str]] = {
    "spawns": frozenset(
        {
            *("threading.Thread", "asyncio.Task", "asyncio.TaskGroup", "asyncio.create_task"),
            *(".create_task",),
            *("asyncio.ensure_future", "asyncio.run", "asyncio.run_coroutine_threadsafe"),
            *(".run_in_executor", "asyncio.to_thread", ".call_soon_threadsafe", ".call_soon"),
            *("multiprocessing.Process", ".Process", "multiprocessing.get_context"),
            *("concurrent.futures.ThreadPoolExecutor", "concurrent.futures.ProcessPoolExecutor"),
            *("go", "golang.org/x/sync/errgroup.WithContext", "golang.org/x/sync/errgroup.Group"),
        }
    ),
    "queues and channels": frozenset(
        {
            *("queue.Queue", "queue.SimpleQueue", "queue.Empty", "queue.Full"),
            *(
                "asyncio.Queue",
                "collections.deque",
                "multiprocessing.Queue",
                "multiprocessing.Pipe",
            ),
            *("multiprocessing.connection.Connection", "socket.socketpair", "socket.socket"),
            *("chan", "<- (send)", "<- (receive)"),
        }
    ),
    "locks": frozenset(
        {
            *("threading.Lock", "threading.RLock", "threading.Condition", "threading.Semaphore"),
            *("asyncio.Lock", "asyncio.Condition", "asyncio.Semaphore", "multiprocessing.Lock"),
            *("sync.Mutex", "sync.RWMutex", "sync.Cond", "sync.NewCond", "sync.Once"),
            *("sync/atomic.Int64", "sync/atomic.Uint64", "sync/atomic.Bool", "sync/atomic.Pointer"),
        }
    ),
    "signals": frozenset(
        {
            *("threading.Event", "threading.Barrier", "asyncio.Event", "asyncio.Future"),
            *("concurrent.futures.Future", ".create_future", "multiprocessing.Event"),
            *("sync.WaitGroup", "context.Context", "context.WithCancel", "context.WithCancelCause"),
            *("context.WithTimeout", "context.AfterFunc", "context.Background", "context.Cause"),
            *("asyncio.CancelledError", ".cancel", ".cancelled"),
        }
    ),
    "awaits": frozenset({"await", "async for", "async with", "asyncio.wait", "asyncio.gather"}),
    "selects": frozenset(
        {
            *("select", "select.select", "select.poll", "selectors.DefaultSelector"),
            *("selectors.BaseSelector", "selectors.SelectSelector", "selectors.EpollSelector"),
            *("selectors.EVENT_READ", "selectors.EVENT_WRITE", "multiprocessing.connection.wait"),
        }
    ),
    "timers": frozenset(
        {
            *(
                "threading.Timer",
                ".call_at",
                ".call_later",
                "asyncio.timeout",
                "asyncio.timeout_at",
            ),
            *("asyncio.sleep", "asyncio.wait_for", "time.monotonic", "time.monotonic_ns"),
            *("time.Timer", "time.NewTimer", "time.NewTicker", "time.After", "time.AfterFunc"),
            *("time.Now", "time.Since", "time.Sleep", "time.Tick"),
        }
    ),
}
"""The words of each kind, by their full names."""


def vocabulary(words: Mapping[str, int]) -> Counter[str]:
    """Count the words of each kind of `KINDS`; kinds without any are left out."""
    return Counter(
        {
            kind: count
            for kind, known in KINDS.items()
            if (count := sum(words.get(word, 0) for word in known))
        }
    )
