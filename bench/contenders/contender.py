"""One running contender, spoken to by the protocol of docs/protocol.md.

What knows about the contender's pipes lives in this file, what knows about its processes in
`family.py`: the conformance suite and the harness use `Contender` and nothing below it.

Three threads serve a contender. One writes the requests, so that a contender which stopped reading
cannot block its caller; one reads the replies and events; one what it says on standard error. The
first thing that goes wrong (the process ended, a line is not a protocol message) becomes the
contender's *failure*, which every call that waits and every later call raises.

Whatever a contender prints, its harness keeps a bounded part of it: lines, events and nesting have
their limits, beyond which the contender has failed, and of standard error the middle is left out.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import psutil

from raftmark.bench.contenders.complaints import Complaints, readable
from raftmark.bench.contenders.envelope import TOO_DEEP, T, bounded, decode_envelope, decode_error
from raftmark.bench.contenders.family import Family, named
from raftmark.bench.contenders.orphans import Mark

# Far above any legal line; a contender that prints without end must not eat our memory.
_LONGEST_LINE = 64 * 2**20
# Some 300,000 role events.
_MOST_EVENT_BYTES = 32 * 2**20
# Processes that a contender started may end a little after it, when their pipe to it closes: on a
# busy machine one that is still being started takes seconds to see that.
_ORPHANS_GRACE_S = 60.0
# Who has closed its output, or died, may have a little to do still, or to be read.
_CLOSED_GRACE_S = 5.0
_LOOK_S = 0.5
_SOON_S = 0.05
_END_OF_INPUT = None


class ContenderError(Exception):
    """An error reply: `code` and `message` of the protocol, `extra` what the code adds."""

    def __init__(self, code: str, message: str, extra: dict[str, Any]) -> None:
        super().__init__(f"{readable(code)}: {readable(message)}")
        self.code = code
        self.message = message
        self.extra = extra


class ContenderFailed(Exception):
    """The contender died, hung or printed nonsense.

    `message` says which, `stderr` is the end of what it wrote to standard error; the text of the
    exception has both.
    """

    def __init__(self, message: str, stderr: str = "") -> None:
        quoted = f"; the end of its standard error:\n{stderr}" if stderr else ""
        super().__init__(message + quoted)
        self.message = message
        self.stderr = stderr

    def again(self) -> ContenderFailed:
        """Return a copy to raise: one exception object must not be raised in several threads."""
        return ContenderFailed(self.message, self.stderr)


class ContenderHung(ContenderFailed):
    """The contender lives, and has not replied in time."""


class Patience:
    """The seconds that several replies have together, from now on; `step` is what they are for."""

    def __init__(self, seconds: float, step: str) -> None:
        self._seconds, self._step = seconds, step
        self._end = time.monotonic() + seconds

    @property
    def left_s(self) -> float:
        """How much is left, 0 if nothing is."""
        return max(0.0, self._end - time.monotonic())

    def __str__(self) -> str:
        return f"the {self._seconds:.3g} s of the {self._step}"


class EventLog:
    """The events a contender has sent, in the order of their arrival."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._received_ns: list[int] = []
        self._changed = threading.Condition()
        self._failure: ContenderFailed | None = None

    def all(self) -> list[dict[str, Any]]:
        """Return a copy of the events so far."""
        with self._changed:
            return list(self._events)

    def timed(self) -> list[tuple[dict[str, Any], int]]:
        """Return the events so far, each with the moment (ns) when it had come."""
        with self._changed:
            return list(zip(self._events, self._received_ns, strict=True))

    def wait_for(
        self, predicate: Callable[[dict[str, Any]], bool], timeout: float
    ) -> dict[str, Any]:
        """Return the first event, past or future, for which `predicate` holds.

        Raises `TimeoutError` after `timeout` seconds, and `ContenderFailed` as soon as no further
        event can come.
        """
        deadline = time.monotonic() + timeout
        seen = 0
        with self._changed:
            while True:
                for event in self._events[seen:]:
                    if predicate(event):
                        return event
                seen = len(self._events)
                if self._failure is not None:
                    raise self._failure.again()
                if time.monotonic() >= deadline:
                    latest = self._events[-3:]
                    raise TimeoutError(
                        f"no such event within {timeout:.3g} s; the latest: {latest}"
                    )
                self._changed.wait(deadline - time.monotonic())

    def add(self, event: dict[str, Any]) -> None:
        """Add an event that has just come."""
        received_ns = time.monotonic_ns()
        with self._changed:
            self._events.append(event)
            self._received_ns.append(received_ns)
            self._changed.notify_all()

    def _end(self, failure: ContenderFailed) -> None:
        with self._changed:
            self._failure = failure
            self._changed.notify_all()


class Contender:
    """A contender's process, from launch to its end.

    As a context manager it quits the contender at the end of the block, or kills it when the block
    raised. The process leads a session of its own, so that a Ctrl-C at the terminal reaches only
    the harness, and has a mark in its environment: all that it starts inherits one or the other,
    or its pipes, and so can be found and killed.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        stderr: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Launch `command`; the file `stderr`, if named, gets what it writes to standard error.

        Raises `ContenderFailed` when the program cannot be started.
        """
        self.events = EventLog()
        mark = Mark.fresh()
        log = stderr.open("ab") if stderr else None
        try:
            self.process = subprocess.Popen(
                list(command),
                cwd=cwd,
                env=mark.added_to(os.environ if env is None else env),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            if log is not None:
                log.close()
            raise ContenderFailed(f"cannot start {command[0]}: {error.strerror}") from error
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._complaints = Complaints(self.process.stderr, log)
        self._family = Family(self.process, mark)
        self.pid = self.process.pid
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._waiting: dict[int, tuple[type[Any], Future[Any]]] = {}
        self._event_bytes = 0
        # A line that is no proper request has one reply, which no future waits for.
        self._unmatched_left = 0
        self._unmatched: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._failure: ContenderFailed | None = None
        self._ended = False
        self._freed = False
        self._threads = [
            threading.Thread(target=target, name=f"{target.__name__}-{self.pid}", daemon=True)
            for target in (self._write_requests, self._read_replies, self._complaints.read)
        ]
        self._reader = self._threads[1]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None and self.process.poll() is None:
            self.close()
        else:
            self.kill()

    # Requests

    def call(self, op: str, /, *, reply_timeout: float = 30.0, **fields: Any) -> dict[str, Any]:
        """Send a request, wait for its reply and return what is under `ok`.

        Raises `ContenderError` for an error reply, and `ContenderFailed` when the contender failed
        or `reply_timeout` seconds passed without a reply.
        """
        return self.wait_for(self.send(op, **fields), op, reply_timeout)

    def send(self, op: str, /, **fields: Any) -> Future[dict[str, Any]]:
        """Send a request without waiting; the future behaves as `call` does."""
        return self.send_as(dict, op, **fields)

    def send_as(self, reply_type: type[T], op: str, /, **fields: Any) -> Future[T]:
        """Send a request whose answer is decoded as `reply_type`: for answers that are long."""
        reply: Future[T] = Future()
        number = next(self._ids)
        with self._lock:
            failure = self._failure
            if failure is None:
                self._waiting[number] = (reply_type, reply)
        if failure is None:
            self._requests.put(msgspec.json.encode({"id": number, "op": op, **fields}) + b"\n")
        else:
            reply.set_exception(failure.again())
        return reply

    def wait_for(self, reply: Future[T], op: str, timeout: float | Patience) -> T:
        """Wait for the reply to a request sent before; `op` is its name for the message."""
        patience = timeout if isinstance(timeout, Patience) else None
        deadline = time.monotonic() + (timeout.left_s if isinstance(timeout, Patience) else timeout)
        while True:
            dead = self.process.poll() is not None
            left_s = max(0.0, deadline - time.monotonic())
            try:
                return reply.result(min(left_s, _CLOSED_GRACE_S if dead else _LOOK_S))
            except TimeoutError:
                if dead:
                    # What it started holds its output, so that this does not end.
                    raise self._failed(
                        f"{self._describe_end()}; what it started lives on"
                    ) from None
                if left_s > _LOOK_S:
                    continue
            limit = patience or f"{timeout:.3g} s"
            stopped = " (its process is stopped)" if self._is_stopped() else ""
            message = f"hung{stopped}: no reply to '{op}' within {limit}"
            raise ContenderHung(message, self.stderr_tail())

    def send_line(self, line: bytes) -> None:
        """Send `line` as it is, with a newline: for input that is not a proper request."""
        with self._lock:
            self._unmatched_left += line.count(b"\n") + 1
        self._requests.put(line + b"\n")

    def next_unmatched(self, timeout: float) -> dict[str, Any]:
        """Return the next reply whose id is null or was not given out by `send`.

        Raises `TimeoutError` when none came within `timeout` seconds.
        """
        try:
            return self._unmatched.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"no unmatched reply within {timeout:.3g} s") from None

    # The end

    def close_input(self) -> None:
        """Close the contender's standard input, which asks it to end as `quit` does."""
        self._requests.put(_END_OF_INPUT)

    def close(self, timeout: float = 60.0) -> int:
        """Ask the contender to quit, wait for its end, and return its exit status.

        A contender that has ended already just has its exit status returned. Raises
        `ContenderFailed`, after killing all that is left, when the contender fails to answer or to
        end within `timeout` seconds, or leaves processes behind.
        """
        deadline = time.monotonic() + timeout
        try:
            if self.process.poll() is None:
                self._quit(timeout)
            self.close_input()
            # Its output ends with it, which the reader hears at once, where `wait` looks ever less
            # often; unless what it has left holds that open.
            while (
                self._reader.is_alive()
                and self.process.poll() is None
                and time.monotonic() < deadline
            ):
                self._reader.join(_SOON_S)
            try:
                status = self.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise self._failed(f"hung: still running {timeout:g} s after 'quit'") from None
            left = self._family.wait_until_gone(time.monotonic() + _ORPHANS_GRACE_S)
            if left:
                raise self._failed(f"left processes behind: {named(left)}")
            return status
        finally:
            self.kill()

    def _quit(self, timeout: float) -> None:
        try:
            self.call("quit", reply_timeout=timeout)
        except ContenderFailed:
            if not self._ended:
                raise
            # It was on its way out already; its exit status tells whether in good order.

    def kill(self) -> None:
        """Kill the contender and everything it started, at once, and free all that it held."""
        if self._freed:
            return
        if left := self._family.kill():
            raise ContenderFailed(f"cannot be killed: {named(left)}")
        self.close_input()
        # However long the killing took: nobody holds the pipes any more, so this is soon done.
        deadline = time.monotonic() + 10.0
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                raise ContenderFailed("left a process that holds its pipes and cannot be found")
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._freed = True
        self._complaints.close()

    def processes(self) -> list[int]:
        """Return the pids of the contender and of all that it started, as far as they live."""
        return self._family.pids()

    def _is_stopped(self) -> bool:
        try:
            return psutil.Process(self.pid).status() == psutil.STATUS_STOPPED
        except psutil.NoSuchProcess:
            return False

    # The pipes

    def _write_requests(self) -> None:
        assert self.process.stdin is not None
        pipe = self.process.stdin
        # A broken pipe means that the contender ended; the reader finds out how.
        with contextlib.suppress(BrokenPipeError):
            while (line := self._requests.get()) is not _END_OF_INPUT:
                pipe.write(line)
                if self._requests.empty():
                    pipe.flush()
        with contextlib.suppress(BrokenPipeError):
            pipe.close()

    def _read_replies(self) -> None:
        assert self.process.stdout is not None
        while line := self.process.stdout.readline(_LONGEST_LINE):
            try:
                self._dispatch(line)
            except RecursionError:
                self._fail(f"printed nonsense ({TOO_DEEP}): {_quoted(line)}")
                return
            except (msgspec.DecodeError, ValueError) as error:
                self._fail(f"printed nonsense ({error}): {_quoted(line)}")
                return
        description = self._describe_end()
        self._ended = self.process.returncode is not None
        self._fail(description)

    def _dispatch(self, line: bytes) -> None:
        if len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
            raise ValueError(f"a line of more than {_LONGEST_LINE >> 20} MiB")
        message = decode_envelope(line)
        if message.event is not msgspec.UNSET:
            self._event_bytes += len(line)
            if self._event_bytes > _MOST_EVENT_BYTES:
                raise ValueError(f"more than {_MOST_EVENT_BYTES >> 20} MiB of events")
            self.events.add(bounded(msgspec.json.decode(line)))
            return
        if (message.ok is msgspec.UNSET) == (message.error is msgspec.UNSET):
            raise ValueError("neither an event nor a reply")
        error = (
            ContenderError(*decode_error(message.error))
            if message.error is not msgspec.UNSET
            else None
        )
        waiting = None
        with self._lock:
            if message.id is not None:
                waiting = self._waiting.pop(message.id, None)
            if waiting is None:
                self._unmatched_left -= 1
                if self._unmatched_left < 0:
                    raise ValueError("a reply that no request waits for")
        if waiting is None:
            self._unmatched.put(bounded(msgspec.json.decode(line)))
        elif error is not None:
            waiting[1].set_exception(error)
        else:
            assert message.ok is not msgspec.UNSET
            reply_type, reply = waiting
            try:
                reply.set_result(bounded(msgspec.json.decode(message.ok, type=reply_type)))
            except (msgspec.DecodeError, ValueError) as fault:
                reply.set_exception(self._failed(f"replied nonsense ({fault})"))

    def _describe_end(self) -> str:
        try:
            status = self.process.wait(_CLOSED_GRACE_S)
        except subprocess.TimeoutExpired:
            return "closed its standard output but still runs"
        if status < 0:
            return f"died of signal {-status} ({signal.strsignal(-status)})"
        return f"ended with exit status {status}"

    def _fail(self, message: str) -> None:
        failure = self._failed(message)
        with self._lock:
            self._failure = failure
            waiting = list(self._waiting.values())
            self._waiting.clear()
        for _, reply in waiting:
            reply.set_exception(failure.again())
        self.events._end(failure)

    def _failed(self, message: str) -> ContenderFailed:
        return ContenderFailed(message, self.stderr_tail())

    def stderr_tail(self) -> str:
        """Return the end of what the contender wrote to standard error."""
        return self._complaints.end()


def _quoted(line: bytes) -> str:
    return repr(line[:200].decode(errors="backslashreplace").rstrip("\n"))
