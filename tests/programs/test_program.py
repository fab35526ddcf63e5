"""A node's program as its cluster sees it: a pipe that answers, hangs, breaks or talks nonsense."""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from raftmark.programs import program as program_module
from raftmark.programs import replies
from raftmark.programs.clocks import Look, Relation
from raftmark.programs.cluster import ProgramCluster
from raftmark.programs.introduction import describe
from raftmark.programs.launcher import Children, Command
from raftmark.programs.program import Program, end_all
from raftmark.raft.client import Applied
from raftmark.raft.errors import BadRequest, NotLeader, OutcomeUnknown, RaftError, Unavailable

DEADLINE_S = 30.0


class FakePipe:
    """A program that says what `react` makes of each request; `end` tells how it has ended."""

    def __init__(self, react: Callable[[dict[str, Any]], bytes]) -> None:
        self._react = react
        self._said: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.killed = False
        self.full = False
        self.looks: list[Look] = []

    host = None

    def place(self, _nodes: Sequence[int]) -> None:
        pass

    def directory(self, _node: int, data_dir: str) -> str:
        return data_dir

    def look(self) -> Look | None:
        return self.looks.pop() if self.looks else None

    def address(self, _node: int) -> str:
        return "127.0.0.1:0"

    def launch(self, _node: int, _command: Command) -> FakePipe:
        return self

    def say(self, data: bytes) -> None:
        self._said.put(data)

    def write(self, data: bytes, _deadline_s: float) -> None:
        if self.full:
            raise TimeoutError
        said = self._react(json.loads(data))
        if said:
            self.say(said)

    def read(self) -> bytes:
        return self._said.get(timeout=DEADLINE_S)

    def kill(self) -> None:
        self.killed = True
        self.say(b"")

    def end(self, _patience_s: float) -> str:
        return "signal 9" if self.killed else "exit status 0"


class Heard:
    """A program and all that was heard of it."""

    def __init__(self, react: Callable[[dict[str, Any]], bytes]) -> None:
        self.events: list[tuple[str, bytes]] = []
        self.ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.pipe = FakePipe(react)
        self.program = Program(2, Command("fake", ["fake"]), self.pipe, self._hear, self._end)

    def _hear(self, _program: Program, event: str, line: bytes) -> None:
        self.events.append((event, line))

    def _end(self, _program: Program, how: str) -> None:
        self.ended.put(how)

    def close(self) -> str:
        self.pipe.say(b"")
        return self.ended.get(timeout=DEADLINE_S)


def answering(**answer: Any) -> Callable[[dict[str, Any]], bytes]:
    """Give every request the same answer."""
    return lambda request: json.dumps({"id": request["id"], **answer}).encode() + b"\n"


def silent(_request: dict[str, Any]) -> bytes:
    """Hang."""
    return b""


def test_the_clock_of_its_host_is_related_by_looks_at_it() -> None:
    heard = Heard(silent)
    assert heard.program.look_at_clock() is None, "it is this one's"
    heard.pipe.looks = [Look(100, 5150, 200), Look(300, 5320, 340)]
    assert heard.program.look_at_clock() == Relation(5000, 20)
    heard.close()


def test_an_answer_is_what_was_asked_for() -> None:
    heard = Heard(answering(ok={"index": 3, "term": 1, "result": None}))
    assert heard.program.call("submit", replies.decode_applied) == Applied(3, 1, None)
    assert heard.close() == "the program of node 2 (fake) ended with exit status 0"


def test_what_comes_in_pieces_is_put_together() -> None:
    heard = Heard(silent)
    answer = heard.program.begin("crash", replies.decode_ceased)
    for piece in (
        b'{"event":"ro',
        b'le"}\n{"id":0,',
        b'"ok":{"at_ns":',
        b'7}}\n{"event":"fault"}\n',
    ):
        heard.pipe.say(piece)
    assert heard.program.finish(answer, DEADLINE_S).at_ns == 7
    heard.close()
    assert heard.events == [("role", b'{"event":"role"}'), ("fault", b'{"event":"fault"}')]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "bad_request", "message": "no"}, BadRequest),
        ({"code": "unavailable", "message": "no"}, Unavailable),
        ({"code": "timeout", "message": "no"}, OutcomeUnknown),
        ({"code": "invented", "message": "no"}, RaftError),
    ],
)
def test_an_error_is_raised_as_what_it_is(error: dict[str, Any], kind: type[RaftError]) -> None:
    heard = Heard(answering(error=error))
    with pytest.raises(kind, match="no") as raised:
        heard.program.call("status", replies.decode_status)
    assert type(raised.value) is kind
    heard.close()


def test_who_does_not_lead_says_who_does() -> None:
    heard = Heard(answering(error={"code": "not_leader", "message": "no", "leader": 3}))
    with pytest.raises(NotLeader) as raised:
        heard.program.call("heartbeat", replies.decode_object)
    assert raised.value.leader == 3
    heard.close()


def test_one_that_ends_answers_all_that_wait() -> None:
    heard = Heard(silent)
    outcomes: list[object] = []
    heard.program.ask("submit", replies.decode_applied, outcomes.append, OutcomeUnknown)
    answer = heard.program.begin("status", replies.decode_status)
    how = heard.close()
    with pytest.raises(Unavailable, match="ended with exit status 0"):
        answer.result(DEADLINE_S)
    [outcome] = outcomes
    assert isinstance(outcome, OutcomeUnknown)
    assert str(outcome) == how
    with pytest.raises(Unavailable, match="ended with exit status 0"):
        heard.program.call("status", replies.decode_status)


def test_one_that_hangs_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_module, "ANSWER_S", threading.TIMEOUT_MAX)
    heard = Heard(silent)
    answer = heard.program.begin("status", replies.decode_object)
    with pytest.raises(Unavailable, match=r"the program of node 2 \(fake\) does not answer"):
        heard.program.finish(answer, 0.01)
    with pytest.raises(Unavailable, match="does not answer"):
        heard.program.call("status", replies.decode_object)
    heard.pipe.say(b'{"id":0,"ok":{}}\n')
    assert answer.result(DEADLINE_S) == {}
    assert not heard.program.hangs
    heard.close()


def test_those_that_are_told_are_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of five hang, as is known of one; another one's pipe is full, and takes all the time."""
    now_s = 7.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    waited_s: list[float] = []
    asked: list[int] = []

    class Told(Program):
        def __init__(self, node: int, hangs: bool = False, full: bool = False) -> None:
            self.node, self.hangs, self._full = node, hangs, full

        def begin(self, op: str, *_: Any, deadline_s: float = 0.0, **_fields: Any) -> Future[Any]:
            nonlocal now_s
            assert op == "heal"
            asked.append(self.node)
            answer: Future[Any] = Future()
            if self._full:
                now_s = max(now_s, deadline_s)
            elif not self.hangs and self.node != 2:
                answer.set_result({})
            return answer

    def wait(answers: list[Future[Any]], patience_s: float) -> None:
        waited_s.append(patience_s)
        assert len(answers) == 4

    monkeypatch.setattr("raftmark.programs.cluster.wait", wait)
    cluster = ProgramCluster.__new__(ProgramCluster)
    programs = [Told(1, hangs=True), Told(2), Told(3), Told(4, full=True), Told(5)]
    cluster._programs = {program.node: program for program in programs}
    cluster._links = {}
    cluster.partition(None)
    assert asked == [2, 3, 4, 5, 1], "whom the others cannot hold up"
    assert [program.hangs for program in programs] == [True, True, False, True, False]
    assert waited_s == [0.0]


def test_one_that_takes_no_requests_is_killed() -> None:
    heard = Heard(silent)
    heard.pipe.full = True
    with pytest.raises(Unavailable, match="ended with signal 9"):
        heard.program.call("status", replies.decode_object)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"hello\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"{}\n",
        b'{"id":0}\n',
        b'{"id":1,"ok":{}}\n',
        b'{"id":"0","ok":{}}\n',
        b'{"id":0,"error":"no"}\n',
        b'{"id":0,"ok":{"index":"3","term":1,"result":null}}\n',
        b'{"id":0,"ok":{"index":3}}\n',
        b'{"event":7}\n',
    ],
)
def test_one_that_talks_nonsense_is_killed_and_it_is_said_why(nonsense: bytes) -> None:
    heard = Heard(silent)
    answer = heard.program.begin("submit", replies.decode_applied)
    heard.pipe.say(nonsense)
    with pytest.raises(Unavailable, match="it said what is no line of the protocol: "):
        answer.result(DEADLINE_S)
    assert heard.pipe.killed
    assert "it said what is no line" in heard.ended.get(timeout=DEADLINE_S)


def test_a_line_without_end_is_nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_module, "MAX_LINE", 100)
    heard = Heard(silent)
    answer = heard.program.begin("status", replies.decode_object)
    for _ in range(11):
        heard.pipe.say(b"x" * 10)
    with pytest.raises(Unavailable, match="more than 100 bytes without an end"):
        answer.result(DEADLINE_S)


# -- children ---------------------------------------------------------------------------------


def child(code: str, directory: str = ".") -> Command:
    return Command("code", [sys.executable, "-c", code], directory)


def heard_of(command: Command) -> tuple[Program, queue.SimpleQueue[str]]:
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()
    hear = lambda *_: None  # noqa: E731
    return Program(1, command, Children(), hear, lambda _program, how: ended.put(how)), ended


@pytest.mark.parametrize("argv", [["/no/such/program"], ["."]])
def test_a_program_that_cannot_be_started_is_named(argv: list[str]) -> None:
    with pytest.raises(Unavailable, match=r"cannot start the program of node 1 \(mine\): "):
        Program(1, Command("mine", argv), Children(), print, print)


def test_how_a_child_ends_is_said() -> None:
    _, ended = heard_of(child("raise SystemExit(3)"))
    assert ended.get(timeout=DEADLINE_S) == "the program of node 1 (code) ended with exit status 3"


def test_a_child_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_module, "STOP_S", 0.1)
    program, ended = heard_of(child("import time; time.sleep(1000)"))
    end_all([program])
    assert ended.get(timeout=DEADLINE_S).endswith("ended with signal 9")


def test_a_child_that_stops_reading_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_module, "ANSWER_S", 0.1)
    program, ended = heard_of(child("import time; time.sleep(1000)"))
    program.ask("submit", replies.decode_object, lambda _: None, padding="x" * (1 << 20))
    assert ended.get(timeout=DEADLINE_S).endswith("ended with signal 9")
    end_all([program])


def test_those_that_hang_are_not_waited_for_one_after_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 7.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    waited_s = []

    class Hanging(Program):
        def __init__(self) -> None:
            pass

        def ask(self, op: str, *_: Any, **_fields: Any) -> None:
            assert op == "quit"

        def end(self, deadline_s: float) -> None:
            nonlocal now_s
            waited_s.append(deadline_s - now_s)
            now_s = max(now_s, deadline_s)

    end_all([Hanging(), Hanging()])
    assert waited_s == [program_module.STOP_S, 0]


def test_where_one_cannot_be_asked_the_others_end() -> None:
    threads = threading.active_count()
    broken = Command("broken", ["/no/such/program"])
    with pytest.raises(Unavailable, match=r"cannot start the program of node 2 \(broken\)"):
        describe([child("input()"), broken])
    assert threading.active_count() == threads


def test_a_child_starts_where_it_is_told_to(tmp_path: Path) -> None:
    code = 'import os; print(\'{"id":0,"ok":{"at":"\' + os.getcwd() + \'"}}\', flush=True); input()'
    program, _ = heard_of(child(f"input(); {code}", str(tmp_path)))
    answer = program.begin("hello", replies.decode_object)
    assert program.finish(answer, DEADLINE_S) == {"at": str(tmp_path.resolve())}
    program.kill()
