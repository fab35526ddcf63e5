"""Stopping and continuing contenders: all processes of one together, whatever they are written in.

SIGSTOP cannot be caught, and SIGCONT undoes it. A contender leads a session of its own, and so a
process group, which is stopped in one step; what it started in other groups is stopped besides.
Where processes cannot be stopped, by a debugger that holds them, a container's rules or another
user's rights, that is found by trying it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Sequence
from types import TracebackType
from typing import Self

import psutil

from raftmark.bench.contenders.contender import Contender
from raftmark.bench.contenders.guardian import Guardian

CAN_KEEP_ON = hasattr(os, "sched_setaffinity")
"""Whether processes can be kept on some of the processors here."""

_PATIENCE_S = 5.0
_LOOK_S = 0.001


class CannotStop(Exception):
    """Processes cannot be stopped and continued here; the message says why."""


class Stopping:
    """The processes of one contender, to be stopped and continued together.

    A context manager, at whose end they run. Meanwhile the guardian ends them if this process dies.
    Those that are there at the beginning are meant, and whatever they start in their groups.
    """

    def __init__(self, pids: Sequence[int], guardian: Guardian) -> None:
        self._pids = pids
        self._targets = _targets(pids)
        self._guardian = guardian

    @classmethod
    def of(cls, contender: Contender, guardian: Guardian) -> Stopping:
        """Return the processes of a contender as they are now."""
        return cls(contender.processes(), guardian)

    def __enter__(self) -> Self:
        """Raises `CannotStop` when nobody would end them."""
        try:
            self._guardian.guard(self._targets)
        except BrokenPipeError as error:
            raise CannotStop("what would end them with this process has died") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.go_on()
        self._guardian.release(self._targets)

    def keep_on(self, processors: Collection[int]) -> None:
        """Let all of their threads run on these processors only, where a system can say so."""
        if not CAN_KEEP_ON:
            return
        for thread in self._threads():
            # What has ended meanwhile runs nowhere.
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(thread, processors)

    def _threads(self) -> Iterator[int]:
        for pid in self._pids:
            with contextlib.suppress(psutil.NoSuchProcess):
                yield from (thread.id for thread in psutil.Process(pid).threads())

    def stop(self) -> None:
        """Stop them; those that have ended stay so."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Continue them."""
        self._signal(signal.SIGCONT)

    def require(self) -> None:
        """Stop them and continue them once, to see that it can be done.

        Raises `CannotStop` when one cannot be stopped, or does not go on.
        """
        try:
            self.stop()
            self._await(True, "is not stopped by SIGSTOP")
        except PermissionError as error:
            raise CannotStop(f"no process may be stopped here: {error.strerror}") from error
        finally:
            self.go_on()
        self._await(False, "is not continued by SIGCONT")

    def _signal(self, number: signal.Signals) -> None:
        for target in self._targets:
            try:
                os.kill(target, number)
            except ProcessLookupError:  # It has ended, which its contender tells.
                continue
            except PermissionError:
                # Who may not be continued was not stopped either.
                if number is signal.SIGSTOP:
                    raise

    def _await(self, stopped: bool, otherwise: str) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        for pid in self._pids:
            while (status := _status(pid)) is not None:
                if (status == psutil.STATUS_STOPPED) == stopped:
                    break
                if time.monotonic() > deadline:
                    raise CannotStop(f"process {pid} {otherwise}: it is {status}")
                time.sleep(_LOOK_S)


def require_stopping(guardian: Guardian) -> None:
    """See whether a process can be stopped and continued on this machine, by trying it.

    Raises `CannotStop` where that is not so.
    """
    try:
        child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    except OSError as error:
        raise CannotStop(f"cannot start sleep: {error.strerror}") from error
    try:
        with Stopping([child.pid], guardian) as stopping:
            stopping.require()
    finally:
        child.kill()
        child.wait()


def _targets(pids: Sequence[int]) -> list[int]:
    """Return what to send a signal to: groups (negative) that one of them leads, else the pids."""
    groups = {}
    for pid in pids:
        try:
            groups[pid] = os.getpgid(pid)
        except ProcessLookupError:
            continue
    return sorted({-group if group in groups else pid for pid, group in groups.items()})


def _status(pid: int) -> str | None:
    """Return a process's state, None once it has ended."""
    try:
        status = psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return None
    return None if status == psutil.STATUS_ZOMBIE else str(status)
