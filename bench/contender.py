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
from typing import Any, BinaryIO, Self

import msgspec
import psutil

# Far above any legal line; a contender that prints without end must not eat our memory.
_LONGEST_LINE = 64 * 2**20
_STDERR_TAIL = 4096
_END_OF_INPUT = None


class ContenderError(Exception):
    """An error reply: `code` and `message` of the protocol, `extra` what the code adds."""

    def __init__(self, code: str, message: str, extra: dict[str, Any]) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.extra = extra


class ContenderFailed(Exception):
    """The contender died, hung or printed nonsense; the message says which."""


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
                    raise ContenderFailed(str(self._failure))
                if time.monotonic() >= deadline:
                    latest = self._events[-3:]
                    raise TimeoutError(f"no such event within {timeout:g} s; the latest: {latest}")
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
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._unmatched: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._failure: ContenderFailed | None = None
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
        reply = self.send(op, **fields)
        try:
            return reply.result(reply_timeout)
        except TimeoutError:
            raise ContenderFailed(
                f"hung: no reply to '{op}' within {reply_timeout:g} s{self._quoted_stderr()}"
            ) from None

    def send(self, op: str, /, **fields: Any) -> Future[dict[str, Any]]:
        """Send a request without waiting; the future behaves as `call` does."""
        reply: Future[dict[str, Any]] = Future()
        number = next(self._ids)
        with self._lock:
            failure = self._failure
            if failure is None:
                self._waiting[number] = reply
        if failure is None:
            self.send_line(msgspec.json.encode({"id": number, "op": op, **fields}))
        else:
            reply.set_exception(ContenderFailed(str(failure)))
        return reply

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
            raise TimeoutError(
                f"no unmatched reply within {timeout:g} s{self._quoted_stderr()}"
            ) from None

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
                self.call("quit", reply_timeout=timeout)
            self.close_input()
            try:
                status = self.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise ContenderFailed(
                    f"hung: still running {timeout:g} s after 'quit'{self._quoted_stderr()}"
                ) from None
            left = self._wait_until_gone(max(deadline, time.monotonic() + 1.0))
            if left:
                raise ContenderFailed(f"left processes behind: {', '.join(map(str, left))}")
            return status
        finally:
            self.kill()

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
        self._fail(self._describe_end())

    def _dispatch(self, line: bytes) -> None:
        message = msgspec.json.decode(line)
        if not isinstance(message, dict):
            raise ValueError("not a JSON object")
        if "event" in message:
            self.events._add(message)
            return
        error = message.get("error")
        if not isinstance(message.get("ok"), dict) and not (
            isinstance(error, dict) and "code" in error and "message" in error
        ):
            raise ValueError("neither an event nor a reply")
        number = message.get("id")
        if not isinstance(number, int | None):
            raise ValueError("a reply's id is an integer or null")
        with self._lock:
            reply = None if number is None else self._waiting.pop(number, None)
        if reply is None:
            self._unmatched.put(message)
        elif error is None:
            reply.set_result(message["ok"])
        else:
            extra = {key: value for key, value in error.items() if key not in ("code", "message")}
            reply.set_exception(ContenderError(error["code"], error["message"], extra))

    def _describe_end(self) -> str:
        try:
            status = self.process.wait(5.0)
        except subprocess.TimeoutExpired:
            return "closed its standard output but still runs"
        if status < 0:
            return f"died of signal {-status} ({signal.strsignal(-status)})"
        return f"ended with exit status {status}"

    def _fail(self, message: str) -> None:
        failure = ContenderFailed(message + self._quoted_stderr())
        with self._lock:
            self._failure = failure
            waiting = list(self._waiting.values())
            self._waiting.clear()
        for reply in waiting:
            reply.set_exception(ContenderFailed(str(failure)))
        self.events._end(failure)

    def stderr_tail(self) -> str:
        """Return the end of what the contender wrote to standard error."""
        if self._stderr.closed:
            return ""
        size = os.fstat(self._stderr.fileno()).st_size
        tail = os.pread(self._stderr.fileno(), _STDERR_TAIL, max(0, size - _STDERR_TAIL))
        return tail.decode(errors="backslashreplace").strip()

    def _quoted_stderr(self) -> str:
        tail = self.stderr_tail()
        return f"; the end of its standard error:\n{tail}" if tail else ""


def _is_alive_in(pid: int, session: int) -> bool:
    try:
        return os.getsid(pid) == session and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False
