"""One running contender, spoken to by the protocol of docs/protocol.md.

Everything that knows about the contender's process and its pipes lives in this file: the
conformance suite and the harness use `Contender` and nothing below it.

Two threads serve a contender. One writes the requests, so that a contender which stopped reading
cannot block its caller; the other reads the replies and events. The first thing that goes wrong
(the process ended, a line is not a protocol message) becomes the contender's *failure*, which
every call that waits and every later call raises.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar

import msgspec
import psutil

# Far above any legal line; a contender that prints without end must not eat our memory.
_LONGEST_LINE = 64 * 2**20
_STDERR_TAIL = 4096
# Processes that a contender started may end a little after it, when their pipe to it closes.
_ORPHANS_GRACE_S = 5.0
_END_OF_INPUT = None


class ContenderError(Exception):
    """An error reply: `code` and `message` of the protocol, `extra` what the code adds."""

    def __init__(self, code: str, message: str, extra: dict[str, Any]) -> None:
        super().__init__(f"{code}: {message}")
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


class _ErrorReply(msgspec.Struct):
    code: str
    message: str


class _Message(msgspec.Struct):
    """The envelope of a reply or an event; what a reply carries is decoded by its request."""

    id: int | None = None
    ok: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    event: str | msgspec.UnsetType = msgspec.UNSET


_decode_message = msgspec.json.Decoder(_Message).decode
T = TypeVar("T")


class EventLog:
    """The events a contender has sent, in the order of their arrival."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._failure: ContenderFailed | None = None

    def all(self) -> list[dict[str, Any]]:
        """Return a copy of the events so far."""
        with self._changed:
            return list(self._events)

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

    def _add(self, event: dict[str, Any]) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def _end(self, failure: ContenderFailed) -> None:
        with self._changed:
            self._failure = failure
            self._changed.notify_all()


class Contender:
    """A contender's process, from launch to its end.

    As a context manager it quits the contender at the end of the block, or kills it when the block
    raised. The process leads a session of its own, so that everything it starts can be found and
    killed, and so that a Ctrl-C at the terminal reaches only the harness.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        stderr: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Launch `command`; its standard error goes to the file `stderr`, if one is named.

        Raises `ContenderFailed` when the program cannot be started.
        """
        self.events = EventLog()
        self._stderr: BinaryIO = (
            open(stderr, "w+b") if stderr else tempfile.TemporaryFile()  # noqa: SIM115
        )
        try:
            self.process = subprocess.Popen(
                list(command),
                cwd=cwd,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                start_new_session=True,
            )
        except OSError as error:
            self._stderr.close()
            raise ContenderFailed(f"cannot start {command[0]}: {error.strerror}") from error
        self.pid = self.process.pid
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._waiting: dict[int, tuple[type[Any], Future[Any]]] = {}
        self._unmatched: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._failure: ContenderFailed | None = None
        self._ended = False
        self._freed = False
        self._threads = [
            threading.Thread(target=target, name=f"{target.__name__}-{self.pid}", daemon=True)
            for target in (self._write_requests, self._read_replies)
        ]
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
            self.send_line(msgspec.json.encode({"id": number, "op": op, **fields}))
        else:
            reply.set_exception(failure.again())
        return reply

    def wait_for(self, reply: Future[T], op: str, timeout: float | Patience) -> T:
        """Wait for the reply to a request sent before; `op` is its name for the message."""
        try:
            return reply.result(timeout.left_s if isinstance(timeout, Patience) else timeout)
        except TimeoutError:
            limit = timeout if isinstance(timeout, Patience) else f"{timeout:.3g} s"
            raise self._failed(f"hung: no reply to '{op}' within {limit}") from None

    def send_line(self, line: bytes) -> None:
        """Send `line` as it is, with a newline: for input that is not a proper request."""
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

    def close(self, timeout: float = 10.0) -> int:
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
            try:
                status = self.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise self._failed(f"hung: still running {timeout:g} s after 'quit'") from None
            left = self._wait_until_gone(time.monotonic() + _ORPHANS_GRACE_S)
            if left:
                raise self._failed(f"left processes behind: {', '.join(map(str, left))}")
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
        deadline = time.monotonic() + 10.0
        # A process may fork while the list is made, so look again until none is left.
        while self.process.poll() is None or self._session():
            if time.monotonic() > deadline:
                raise ContenderFailed(f"cannot be killed: {self._wait_until_gone(deadline)}")
            self.process.kill()
            for pid in self._session():
                with contextlib.suppress(ProcessLookupError):  # It may end by itself meanwhile.
                    os.kill(pid, signal.SIGKILL)
            self._wait_until_gone(time.monotonic() + 0.5)
        self.close_input()
        # However long the killing took: nobody holds the pipes any more, so this is soon done.
        deadline = time.monotonic() + 10.0
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                raise ContenderFailed("left a process that holds its pipes and fled its session")
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._stderr.close()
        self._freed = True

    def _session(self) -> list[int]:
        """Return the living processes of the contender's session, itself excepted.

        Membership of a session, unlike parentage, survives the death of a parent.
        """
        return [pid for pid in psutil.pids() if pid != self.pid and _is_alive_in(pid, self.pid)]

    def _wait_until_gone(self, deadline: float) -> list[int]:
        """Wait for the end of the process and its session; return the pids left at `deadline`."""
        while True:
            left = self._session() + ([] if self.process.poll() is not None else [self.pid])
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.005)

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
            except (msgspec.DecodeError, ValueError) as error:
                quoted = line[:200].decode(errors="backslashreplace").rstrip("\n")
                self._fail(f"printed nonsense ({error}): {quoted!r}")
                return
        description = self._describe_end()
        self._ended = self.process.returncode is not None
        self._fail(description)

    def _dispatch(self, line: bytes) -> None:
        message = _decode_message(line)
        if message.event is not msgspec.UNSET:
            self.events._add(msgspec.json.decode(line))
            return
        if (message.ok is msgspec.UNSET) == (message.error is msgspec.UNSET):
            raise ValueError("neither an event nor a reply")
        error = _decode_error(message.error) if message.error is not msgspec.UNSET else None
        waiting = None
        if message.id is not None:
            with self._lock:
                waiting = self._waiting.pop(message.id, None)
        if waiting is None:
            self._unmatched.put(msgspec.json.decode(line))
        elif error is not None:
            waiting[1].set_exception(error)
        else:
            assert message.ok is not msgspec.UNSET
            reply_type, reply = waiting
            try:
                reply.set_result(msgspec.json.decode(message.ok, type=reply_type))
            except msgspec.DecodeError as fault:
                reply.set_exception(self._failed(f"replied nonsense ({fault})"))

    def _describe_end(self) -> str:
        try:
            status = self.process.wait(5.0)
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
        if self._stderr.closed:
            return ""
        size = os.fstat(self._stderr.fileno()).st_size
        tail = os.pread(self._stderr.fileno(), _STDERR_TAIL, max(0, size - _STDERR_TAIL))
        return tail.decode(errors="backslashreplace").strip()


def _decode_error(encoded: msgspec.Raw) -> ContenderError:
    reply = msgspec.json.decode(encoded, type=_ErrorReply)
    extra = msgspec.json.decode(encoded, type=dict[str, Any])
    del extra["code"], extra["message"]
    return ContenderError(reply.code, reply.message, extra)


def _is_alive_in(pid: int, session: int) -> bool:
    try:
        return os.getsid(pid) == session and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False
