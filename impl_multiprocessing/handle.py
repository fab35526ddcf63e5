"""A node as those see it who give it orders: what it answers comes through a pipe."""

import contextlib
import itertools
import multiprocessing
import os
import signal
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection
from typing import Any

from raftmark.impl_multiprocessing.process import pass_socket, run_node
from raftmark.raft.cluster import ClusterConfig
from raftmark.raft.errors import RaftError, Unavailable

STOP_S = 5.0
ANSWER_S = 5.0
"""A process takes orders and answers within that, unless it hangs; one that did not answer is not
waited for again."""
TIMEVAL = struct.Struct("ll")

# A fresh process without the contender's threads, and without the price of a spawn.
context = multiprocessing.get_context("forkserver")


class NodeHandle(ABC):
    """A node at the other end of a pipe: orders to it, and what it answers.

    `heard` is called with all else that the node says, and `ended` once it has closed its
    pipe, by the thread that hears it.
    """

    def __init__(
        self,
        node_id: int,
        connection: Connection,
        heard: Callable[["NodeHandle", tuple[Any, ...]], None],
        ended: Callable[["NodeHandle", int | None], None],
    ) -> None:
        self.id = node_id
        self.lives = False
        """Whether the node has a life, which ends with the process."""
        self.gone = False
        self.hangs = False
        self._connection = connection
        self._heard = heard
        self._ended = ended
        self._ordering = threading.Lock()
        self._tokens = itertools.count()
        self._pending: dict[int, tuple[Callable[[Any], None], type[RaftError]]] = {}
        self._receiver = threading.Thread(target=self._receive, name=f"hears-{node_id}")

    def order(
        self,
        name: str,
        *arguments: Any,
        answered: Callable[[Any], None],
        passing: socket.socket | None = None,
        lost: type[RaftError] = Unavailable,
    ) -> None:
        """Send an order; `answered` hears its answer, once, from the receiving thread.

        `passing` is a socket that the process is to have; it follows the order in the pipe, and
        is to stay open until the answer. `lost` is what `answered` hears where the process ends
        before it answers.
        """
        if self.gone:
            answered(Unavailable(f"the process of node {self.id} has ended"))
            return
        with self._ordering:
            token = next(self._tokens)
            self._pending[token] = answered, lost
            try:
                self._connection.send((token, name, arguments))
                if passing is not None:
                    pass_socket(self._connection, passing)
            except BlockingIOError:
                # Its pipe is full. It may have half of this order, and so cannot go on.
                self._give_up()
            except OSError:
                # The process is gone: the receiving thread sees that too.
                pass
        if self.gone:
            self._abandon()

    def call(self, name: str, *arguments: Any, patiently: bool = False) -> Any:
        """Send an order and wait; returns its answer, or raises it.

        Unavailable from a process that has ended or, unless it may take its time, hangs; what it
        was asked for it may still do when it goes on.
        """
        answer: Future[Any] = Future()
        self.order(name, *arguments, answered=answer.set_result)
        try:
            value = answer.result(None if patiently else 0 if self.hangs else ANSWER_S)
        except TimeoutError as error:
            self.hangs = True
            raise Unavailable(f"the process of node {self.id} does not answer") from error
        if isinstance(value, Exception):
            raise value
        return value

    @abstractmethod
    def end(self) -> None:
        """Wait for a node that was told to stop."""

    @abstractmethod
    def kill(self) -> None:
        """End a node that does not do what it is told any more, and wait for that."""

    @abstractmethod
    def _give_up(self) -> None:
        """End a node that cannot be told anything any more."""

    @abstractmethod
    def _await_end(self) -> int | None:
        """Wait until a node that has closed its pipe is gone; its exit status, if it has one."""

    def _receive(self) -> None:
        """Take what the process says, until it has closed its pipe."""
        while True:
            try:
                value = self._connection.recv()
            except (EOFError, OSError):  # At the end of a message, or within one.
                break
            self.hangs = False
            if value[0] == "answer":
                _, token, answer = value
                # What was answered when the node went down may be answered once more.
                answered, _ = self._pending.pop(token, (ignore, Unavailable))
                answered(answer)
            else:
                self._heard(self, value)
        self.gone = True
        self._ended(self, self._await_end())
        self._abandon()

    def _abandon(self) -> None:
        # By more than one thread, perhaps: each takes what it answers out first.
        for token in list(self._pending):
            answered, lost = self._pending.pop(token, (ignore, Unavailable))
            answered(lost(f"the process of node {self.id} has ended"))


class ProcessHandle(NodeHandle):
    """A node that is a process of its own.

    OSError or RuntimeError where the machine has no more files, processes or threads.
    """

    def __init__(
        self,
        node_id: int,
        config: ClusterConfig,
        sockets: dict[int, socket.socket],
        heard: Callable[[NodeHandle, tuple[Any, ...]], None],
        ended: Callable[[NodeHandle, int | None], None],
    ) -> None:
        connection, theirs = context.Pipe()
        super().__init__(node_id, connection, heard, ended)
        self._process = context.Process(
            target=run_node, args=(node_id, config, theirs, sockets), name=f"node-{node_id}"
        )
        try:
            with theirs:
                bound_sends(connection.fileno(), ANSWER_S)
                self._process.start()
            self._receiver.start()
        except BaseException:
            # The end of its pipe ends the process, if there is one.
            connection.close()
            raise

    def end(self) -> None:
        """Wait for the process; one that does not stop is killed."""
        self._receiver.join(STOP_S)
        if self._receiver.is_alive():
            self.kill()
        self._process.close()
        self._connection.close()

    def kill(self) -> None:
        """Kill the process, which need not be able to do anything any more, and wait for that."""
        self._give_up()
        self._receiver.join()

    def _give_up(self) -> None:
        # It runs as far as is known, whatever became of the server that forked it.
        assert self._process.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)

    def _await_end(self) -> int | None:
        self._process.join(STOP_S)
        if self._process.exitcode is None:
            # It does not end, though it could not be spoken to any more.
            self._give_up()
            self._process.join()
        return self._process.exitcode


def bound_sends(pipe: int, seconds: float) -> None:
    """Let a write to a pipe that stays full fail, with BlockingIOError, after so long."""
    limit = TIMEVAL.pack(int(seconds), int(seconds % 1 * 1e6))
    with socket.fromfd(pipe, socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def ignore(_answer: Any) -> None:
    """Nobody waits for the answer to an order that cannot be refused."""
