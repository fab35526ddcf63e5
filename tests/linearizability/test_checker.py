"""The check can fail: a store that lies, and histories that are out of order."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import pytest

from raftmark.bench.contenders.registry import ContenderSpec
from tests.conformance.waiting import looks

from .checker import judge
from .clients import Crowd, Service
from .history import History
from .recording import Recording, record, start

CALM: dict[str, Any] = {"nodes": 5, "election_timeout_ms": [500, 1000], "heartbeat_ms": 50}


class StaleReader:
    """Answers some reads with a value that certainly was replaced before the client asked.

    Certainly: it had been seen before a set was called that was acknowledged since.
    """

    def __init__(self, service: Service, *, share: float) -> None:
        self.lies = 0
        self._service = service
        self._share = share
        self._chance = random.Random("stale reads")
        self._lock = threading.Lock()
        self._seen: dict[str, str] = {}
        self._replaced: dict[str, str] = {}

    def call(self, op: str, /, *, reply_timeout: float = 30.0, **fields: Any) -> dict[str, Any]:
        asked = fields.get("command", {"op": "read", **fields})
        result = "value" if op == "read" else "result"
        key: str = asked["key"]
        with self._lock:
            seen, replaced = self._seen.get(key), self._replaced.get(key)
        answer = self._service.call(op, reply_timeout=reply_timeout, **fields)
        with self._lock:
            # What has a session may have been applied long before the answer.
            if asked["op"] == "set" and "client" not in fields:
                self._seen[key] = asked["value"]
                if seen is not None:
                    self._replaced[key] = seen
            reads = asked["op"] in ("get", "read")
            if reads and replaced is not None and self._chance.random() < self._share:
                self.lies += 1
                return answer | {result: replaced}
        return answer


def observe(spec: ContenderSpec, seed: int, stderr: Path, *, share: float) -> Recording:
    """Record a history of a cluster that nothing harms, through a reader that may lie."""
    with spec.launch(stderr=stderr) as contender:
        features = contender.call("hello")["features"]
        start(contender, CALM)
        reader = StaleReader(contender, share=share)

        def meanwhile(crowd: Crowd, history: History) -> None:
            for _ in looks():
                crowd.check()
                if history.answered >= 500 and (reader.lies or not share):
                    return
            raise AssertionError(f"only {history.answered} answers and {reader.lies} lies")

        return record(reader, features, str(seed), meanwhile)


@pytest.mark.slow
def test_a_stale_read_is_found(spec: ContenderSpec, seed: int, tmp_path: Path) -> None:
    recording = observe(spec, seed, tmp_path / "stderr", share=0.1)
    with pytest.raises(AssertionError, match="not linearizable at key"):
        judge(recording.history, "stale", kept=tmp_path)


@pytest.mark.slow
def test_without_the_lie_nothing_is_found(spec: ContenderSpec, seed: int, tmp_path: Path) -> None:
    recording = observe(spec, seed, tmp_path / "stderr", share=0)
    assert judge(recording.history, "honest", kept=tmp_path).verdict == "ok"


def asked(op: str, value: str | None = None, **more: Any) -> dict[str, Any]:
    return {"op": op, "key": "k", "value": value, **more}


def test_a_history_in_order_is_not_kept(tmp_path: Path) -> None:
    history = History()
    history.note(0, asked("set", "1"), 0, 10)
    history.note(1, asked("cas", "2", expect="1"), 20)
    history.note(2, asked("get"), 30, 40, "2")
    verdict = judge(history, "good", kept=tmp_path)
    assert (verdict.verdict, verdict.operations, verdict.keys) == ("ok", 3, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_violation_is_kept_and_drawn(tmp_path: Path) -> None:
    history = History()
    history.note(0, asked("set", "1"), 0, 10)
    history.note(1, asked("get"), 20, 30, None)
    with pytest.raises(AssertionError) as failure:
        judge(history, "bad", ["0 crash all"], kept=tmp_path)
    assert str(tmp_path / "bad.jsonl") in str(failure.value)
    assert str(tmp_path / "bad.html") in str(failure.value)
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 2
    assert "<html" in (tmp_path / "bad.html").read_text()
    assert (tmp_path / "bad.txt").read_text() == "0 crash all\n"


def test_what_is_not_decided_in_time_does_not_pass(tmp_path: Path) -> None:
    history = History()
    for number in range(60):
        history.note(number, asked("set", str(number)), number)
    history.note(60, asked("get"), 100, 110, "never set")
    with pytest.raises(AssertionError, match="not decided within"):
        judge(history, "hard", kept=tmp_path, limit_s=0.1)
    assert (tmp_path / "hard.jsonl").exists()


def test_what_is_no_history_is_refused(tmp_path: Path) -> None:
    history = History()
    history.note(0, asked("set", "1"), 0, 10)
    history.note(0, asked("delete"), 20, 30)
    with pytest.raises(AssertionError, match="line 2 is not an operation"):
        judge(history, "wrong", kept=tmp_path)
