"""One node's program: requests to it, and what it says, by its pipe (docs/protocol.md)."""

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

import msgspec

from raftmark.programs.clocks import SAME, Relation, relate
from raftmark.programs.launcher import Command, Launcher
from raftmark.programs.replies import Line, decode_line, decode_object
from raftmark.raft.errors import RaftError, Unavailable

T = TypeVar("T")

ANSWER_S = 5.0
"""A program takes requests and answers within that, unless it hangs; one that did not answer is
not waited for again.
"""
START_S = 60.0
"""A program that was just started may take that long; interpreters do on a busy machine."""
BEGIN_S = 600.0
"""What a node has saved may take minutes to read, or to write anew."""
STOP_S = 10.0
LOOKS = 16
"""How often a clock is looked at to relate it: that takes 20 ms or so."""
MAX_LINE = 64 << 20
"""Bytes; a longer line is no answer to anything."""

encode = msgspec.json.Encoder().encode


class Nonsense(Exception):
    """A program has said what is no line of the protocol."""


class Request(NamedTuple):
    """A request under way: what its answer is, who hears of it, and what if none comes."""

    decode: Callable[[msgspec.Raw], Any]
    answered: Callable[[Any], None]
    lost: type[RaftError]

    def outcome(self, line: Line) -> Any:
        """What came of it. ValueError if the line does not tell."""
        if line.error is not None:
            return line.error.as_raised()
        if isinstance(line.ok, msgspec.UnsetType):
            raise ValueError("neither ok nor error")
        return self.decode(line.ok)


class Program:
    """A node's program as its cluster sees it.

    `heard` is called with each event's name and line, and `ended`, with how, once the program
    has; by the thread that hears it. Unavailable where the program cannot be started.
    """

    def __init__(
        self,
        node: int,
        command: Command,
        launcher: Launcher,
        heard: Callable[["Program", str, bytes], None],
        ended: Callable[["Program", str], None],
    ) -> None:
        self.node = node
        self.command = command
        self.lives = False
        """Whether the node has a life, which ends with the program."""
        self.gone = False
        self.hangs = False
        self.clock = SAME
        """How its host's clock is related to this one's."""
        self._how = f"{self} has ended"
        self._heard = heard
        self._ended = ended
        self._writing = threading.Lock()
        self._ids = itertools.count()
        self._waiting: dict[int, Request] = {}
        try:
            self._pipe = launcher.launch(node, command)
        except OSError as error:
            reason = f"{command.argv[0]}: {error.strerror or error}"
            raise Unavailable(f"cannot start {self}: {reason}") from error
        self._receiver = threading.Thread(target=self._receive, name=f"hears-{node}")
        try:
            self._receiver.start()
        except RuntimeError as error:
            self._pipe.kill()
            self._pipe.end(STOP_S)
            raise Unavailable(f"the machine has no thread for {self}: {error}") from error

    def __str__(self) -> str:
        return f"the program of node {self.node} ({self.command.name})"

    @property
    def host(self) -> str | None:
        """Where it runs, None where that is this host."""
        return self._pipe.host

    def look_at_clock(self) -> Relation | None:
        """Relate its host's clock to this one's anew; None where it is this one's, or is gone."""
        looks = list(itertools.islice(iter(self._pipe.look, None), LOOKS))
        return relate(looks) if looks else None

    # -- requests ------------------------------------------------------------------------

    def ask(
        self,
        op: str,
        decode: Callable[[msgspec.Raw], T],
        answered: Callable[[T | RaftError], None],
        lost: type[RaftError] = Unavailable,
        deadline_s: float | None = None,
        **fields: Any,
    ) -> None:
        """Send a request; `answered` hears what came of it, once, from the receiving thread.

        `lost` is what it hears where the program ends before it answers. One that has not taken
        the request by the deadline, of the monotonic clock, or for `ANSWER_S`, is killed.
        """
        if deadline_s is None:
            deadline_s = time.monotonic() + ANSWER_S

        with self._writing:
            number = next(self._ids)
            self._waiting[number] = Request(decode, answered, lost)
            try:
                if not self.gone:
                    request = encode({"id": number, "op": op, **fields}) + b"\n"
                    self._pipe.write(request, deadline_s)
            except TimeoutError:
                # Its pipe is full. It may have half of this request, and so cannot go on.
                self._pipe.kill()
            except OSError:
                pass  # The program is gone: the receiving thread sees that too.
        if self.gone:
            self._abandon()

    def begin(
        self,
        op: str,
        decode: Callable[[msgspec.Raw], T],
        deadline_s: float | None = None,
        **fields: Any,
    ) -> "Future[T]":
        """Send a request, as `ask` does; the future has what came of it."""
        answer: Future[T] = Future()

        def answered(value: T | RaftError) -> None:
            if isinstance(value, RaftError):
                answer.set_exception(value)
            else:
                answer.set_result(value)

        self.ask(op, decode, answered, deadline_s=deadline_s, **fields)
        return answer

    def finish(self, answer: "Future[T]", patience_s: float | None) -> T:
        """Wait for a request's answer, None for ever; returns it, or raises its error.

        Unavailable from a program that has ended or hangs; what it was asked for it may still do
        when it goes on.
        """
        try:
            return answer.result(0 if self.hangs and patience_s is not None else patience_s)
        except TimeoutError as error:
            self.hangs = True
            raise Unavailable(f"{self} does not answer") from error

    def call(self, op: str, decode: Callable[[msgspec.Raw], T], **fields: Any) -> T:
        """Send a request and wait for its answer."""
        return self.finish(self.begin(op, decode, **fields), ANSWER_S)

    def answers(self) -> bool:
        """Whether it does; one that does not is killed."""
        try:
            self.call("hello", decode_object)
        except Unavailable:
            self.kill()
        return not self.gone

    # -- its end -------------------------------------------------------------------------

    def kill(self) -> None:
        """Kill the program, which need not be able to do anything any more, and wait for that."""
        self._pipe.kill()
        self._receiver.join()

    def end(self, deadline_s: float) -> None:
        """Wait for a program that was told to quit; one that has not by then is killed.

        The deadline is one of the monotonic clock.
        """
        self._receiver.join(max(0.0, deadline_s - time.monotonic()))
        if self._receiver.is_alive():
            self.kill()

    # -- what it says --------------------------------------------------------------------

    def _receive(self) -> None:
        """Take what the program says, until it has closed its pipe."""
        nonsense = ""
        try:
            self._take_lines()
        except Nonsense as error:
            nonsense = f"it said what is no line of the protocol: {error}; "
            self._pipe.kill()
        self.gone = True
        with self._writing:
            pass  # From here on nobody writes.
        self._how = f"{nonsense}{self} ended with {self._pipe.end(STOP_S)}"
        self._ended(self, self._how)
        self._abandon()

    def _take_lines(self) -> None:
        partial: list[bytes] = []
        size = 0
        while data := self._pipe.read():
            *complete, rest = data.split(b"\n")
            for each in complete:
                self._take(b"".join([*partial, each]))
                partial.clear()
                size = 0
            partial.append(rest)
            size += len(rest)
            if size > MAX_LINE:
                raise Nonsense(f"more than {MAX_LINE} bytes without an end")

    def _take(self, text: bytes) -> None:
        try:
            line = decode_line(text)
            self.hangs = False
            if line.event is not None:
                self._heard(self, line.event, text)
                return
            number = -1 if line.id is None else line.id
            outcome = self._waiting[number].outcome(line)
        except (ValueError, LookupError) as error:
            raise Nonsense(f"{text[:80]!r} ({error})") from error
        self._waiting.pop(number).answered(outcome)

    def _abandon(self) -> None:
        # By more than one thread, perhaps: each takes what it answers out first.
        for number in list(self._waiting):
            request = self._waiting.pop(number, None)
            if request is not None:
                request.answered(request.lost(self._how))


def end_all(programs: Iterable[Program]) -> None:
    """Tell programs to quit, and wait for all of them; who takes longer than `STOP_S` is killed."""
    ending = list(programs)
    for program in ending:
        program.ask("quit", decode_object, ignore)
    deadline_s = time.monotonic() + STOP_S
    for program in ending:
        program.end(deadline_s)


def ignore(_answer: object) -> None:
    """Nobody waits for the answer."""
