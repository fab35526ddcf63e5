"""Whatever a line is, every contender refuses it alike, and none is shaken by it.

The Python contenders share one parser, so one of them and Go's are put to the same lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from raftmark.bench.contenders.contender import Contender, ContenderFailed
from tests.conformance.conftest import Contenders
from tests.conformance.waiting import DEADLINE_S

from .damage import Damage, damages

PARSERS = ("threading", "go")
ID = 2**53 - 1
SESSION = {"client": "c", "serial": 1}
RIGHT: list[dict[str, Any]] = [
    {"op": "hello"},
    {"op": "status"},
    {"op": "submit", "command": {"op": "set", "key": "k", "value": "é"}, **SESSION},
    {"op": "submit", "command": {"op": "cas", "key": "", "expect": None, "value": "v"}},
    {"op": "log", "node": 1, "from": 1, "to": 2},
    {"op": "crash", "node": 3},
    {"op": "partition", "groups": [[1], [2, 3]]},
    {"op": "links", "drop": 0.5, "delay_ms": [0, 1.5]},
    {"op": "run", "workload": {"name": "replicate", "duration_s": 1e-3}},
    {"op": "stop"},
]


@pytest.fixture(scope="module")
def parsers(contenders: Contenders, pytestconfig: pytest.Config) -> Iterator[list[Contender]]:
    for name in PARSERS:
        reason = contenders.unavailable(name)
        if reason is not None and pytestconfig.option.skip_unavailable:
            pytest.skip(f"{name} cannot run: {reason}")
        assert reason is None, f"{name} cannot run: {reason}"
    launched = [contenders.spec(name).launch() for name in PARSERS]
    yield launched
    for contender in launched:
        assert contender.close() == 0


def answer(contender: Contender, line: bytes) -> tuple[Any, ...]:
    """Return the id that the answer to a line has, and the code of a refusal."""
    contender.send_line(line)
    contender.call("hello")
    if not line.strip():
        return ()
    reply = contender.next_unmatched(DEADLINE_S)
    assert reply.keys() in ({"id", "ok"}, {"id", "error"}), reply
    code = reply.get("error", {}).get("code")
    assert code in (None, "bad_request", "unavailable"), reply
    return reply["id"], code


def check_alike(parsers: list[Contender], line: bytes) -> None:
    """Check that all give the same answer."""
    # A start that is right would start a cluster, on whatever path it names.
    assume(b"start" not in line and b"\\u00" not in line and b"\n" not in line)
    try:
        answers = {answer(contender, line) for contender in parsers}
    except ContenderFailed as failure:
        raise AssertionError(f"{line!r}: {failure}") from failure
    assert len(answers) == 1, f"{line!r} is answered with {answers}"


@given(request_=st.sampled_from(RIGHT), done=st.lists(damages(), min_size=1, max_size=2))
@example(request_={"op": "hello"}, done=[Damage(0, 0, b'{"id":1,"id":1}')])
@example(request_={"op": "hello"}, done=[Damage(1, 0, b'"op":"\\ud800",')])
@example(request_={"op": "hello"}, done=[Damage(1, 0, b'"x":' + b"9" * 5000 + b",")])
@example(request_={"op": "hello"}, done=[Damage(1, 0, b'"x":' + b"[" * 2000 + b"]" * 2000 + b",")])
@example(request_={"op": "hello"}, done=[Damage(1, 0, b'"x":' + b"[" * 2000 + b'"]' * 999 + b",")])
def test_a_damaged_request_is_answered_alike(
    parsers: list[Contender], request_: dict[str, Any], done: list[Damage]
) -> None:
    line = json.dumps({"id": ID, **request_}, ensure_ascii=False).encode()
    for damage in done:
        line = damage.done_to(line)
    check_alike(parsers, line)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, -1, 3, 10**30, 1.5, 1e-3, "", "set", "get", "k", "é", "\u00a0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["op", "key", "value", "expect", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = sorted({name for request in RIGHT for name in request} | {"id", "timeout_ms", "other"})


@given(
    fields=st.dictionaries(st.sampled_from(FIELDS), values, max_size=4), op=st.sampled_from(RIGHT)
)
def test_a_request_of_any_fields_is_answered_alike(
    parsers: list[Contender], fields: dict[str, Any], op: dict[str, Any]
) -> None:
    line = json.dumps({"id": ID, **op, **fields}, ensure_ascii=False).encode()
    check_alike(parsers, line)


@given(line=st.binary(max_size=40))
@example(line=b"\xc2\xa0")
@example(line=b"\x0b\x0c \t\r")
@example(line=b"\x1c")
@example(line=b"\xc2\x85")
def test_any_line_is_answered_alike(parsers: list[Contender], line: bytes) -> None:
    check_alike(parsers, line)
