"""Whoever answers requests on standard input: the loop, and what every request goes through.

One thread reads requests and keeps deadlines, one writes lines, and what takes its time has one
of its own meanwhile. None of them takes part in a cluster: replies and events reach the writer
through a queue, so that no node ever waits for the reader of the pipe.
"""

import gc
import os
import select
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeAlias

from raftmark.raft.errors import BadRequest, Unavailable
from raftmark.raft.host import requests
from raftmark.raft.host.answers import Reply, refusal
from raftmark.raft.host.pipe import MAX_LINE, Lines, Output, open_closed_streams
from raftmark.raft.host.replies import Replies, Request

PROTOCOL = 1

Operation: TypeAlias = Callable[[Request, dict[str, Any]], Reply | None]


class Service(ABC):
    """Serves requests until the end of input or `quit`. `operations` are all others, by name."""

    def __init__(self, name: str, describe: Callable[[], Reply]) -> None:
        self._name = name
        self._describe = describe
        self._output = Output()
        self._replies = Replies(self._output.put)
        self._background: list[threading.Thread] = []

    @property
    @abstractmethod
    def operations(self) -> Mapping[str, Operation]:
        """What may be asked; an operation that returns None has its reply given later."""

    @abstractmethod
    def end(self) -> None:
        """End all that runs, before the last reply."""

    def serve(self, signals: int) -> int:
        """Answer requests until input ends, `quit` is asked, or a signal comes.

        `signals` is a file descriptor from which signals' numbers are read. Returns the
        exit status: 0, or 128 + the signal's number.
        """
        lines = Lines()
        stdin = sys.stdin.fileno()
        try:
            while True:
                readable, _, _ = select.select([stdin, signals], [], [], self._replies.expire())
                if signals in readable:
                    return 128 + os.read(signals, 1)[0]
                if stdin not in readable:
                    continue
                data = os.read(stdin, 1 << 16)
                if not data:
                    return 0
                for line in lines.feed(data):
                    if not self._handle(line):
                        return 0
        finally:
            try:
                self.end()
            finally:
                self._output.close()

    def _handle(self, line: bytes | None) -> bool:
        """Answer one line; False if it was `quit`."""
        request: Request | None = None
        request_id: int | None = None
        try:
            if line is None:
                raise BadRequest(f"a line has at most {MAX_LINE} bytes")
            if not line.strip():
                return True
            try:
                fields = requests.parse(line)
            except BadRequest:
                request_id = requests.id_of(line)
                raise
            request_id = requests.request_id("id", fields.pop("id", None))
            request = self._replies.expect(request_id)
            op = fields.pop("op", None)
            if op == "quit":
                requests.read(fields, {})
                self.end()
                self._replies.give(request, {"ok": {}})
                return False
            operation = self.operations.get(op) if isinstance(op, str) else None
            if operation is None:
                raise BadRequest(f"unknown op {op!r:.40}")
            reply = operation(request, fields)
            if reply is not None:
                self._replies.give(request, {"ok": reply})
        except Exception as error:  # noqa: BLE001 (answered, and the cluster goes on)
            if request is None:
                self._output.put({"id": request_id, "error": refusal(error)})
            else:
                self._replies.give(request, {"error": refusal(error)})
        return True

    def hello(self, _request: Request, fields: dict[str, Any]) -> Reply:
        """Who this is."""
        requests.read(fields, {})
        return {"contender": self._name, "protocol": PROTOCOL, **self._describe()}

    def in_background(
        self, request: Request, work: Callable[[], Reply], ended: Callable[[], None] = lambda: None
    ) -> None:
        """Answer a request with what `work` returns, from a thread; `ended` comes first."""

        def run() -> None:
            try:
                answer = {"ok": work()}
            except Exception as error:  # noqa: BLE001 (answered, and the cluster goes on)
                answer = {"error": refusal(error)}
            ended()
            self._replies.give(request, answer)

        self._background = [thread for thread in self._background if thread.is_alive()]
        thread = threading.Thread(target=run, name="background")
        try:
            thread.start()
        except RuntimeError as error:
            ended()
            raise Unavailable(f"the machine has no thread for this: {error}") from error
        self._background.append(thread)

    def await_background(self) -> None:
        """Wait for all threads of `in_background`."""
        while self._background:
            self._background.pop().join()


def run(
    name: str, new_service: Callable[[], Service], prepare: Callable[[], None] = lambda: None
) -> NoReturn:
    """Serve on standard input and output; exits with 0 at their end.

    `prepare` is called before all else, once there are standard streams.

    SIGINT, SIGTERM and SIGHUP end it too, and it exits with 128 + the signal's number. Who
    had SIGHUP ignored, as nohup does, is left alone by it.

    The cyclic garbage collector is off, as the implementations make no cycles: a full
    collection walks the whole log, and while it does every node of the process is
    still, soon for longer than an election timeout. Nor is anything collected at the end,
    which the system does in one step.
    """
    gc.disable()
    open_closed_streams()
    prepare()

    # A handler that raised would do so anywhere, in the middle of a lock's release too;
    # this way a signal is one more thing to read between two requests.
    signals, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup)
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, lambda _signum, _frame: None)
    status = new_service().serve(signals)
    if status:
        print(f"{name}: ended by {signal.Signals(status - 128).name}", file=sys.stderr)
    # From the interpreter's last collection, which comes even so; PyPy has none.
    getattr(gc, "freeze", gc.disable)()
    sys.exit(status)
