import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from raftmark.bench.contenders import contender as contender_module
from raftmark.bench.contenders.contender import Contender, ContenderError, ContenderFailed
from tests.bench.support import PATIENCE, fake


def has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def await_end(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while not has_ended(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.005)


def test_calls_are_answered_and_quit_ends_the_process():
    with Contender(fake("stub")) as contender:
        assert contender.call("hello")["contender"] == "stub"
        assert contender.call("start", nodes=3) == {"nodes": [1, 2, 3]}
        assert contender.close() == 0
    assert contender.process.returncode == 0


def test_replies_are_matched_by_id_in_any_order():
    program = """
import json, sys
first, second = json.loads(input()), json.loads(input())
for request in (second, first):
    print(json.dumps({"id": request["id"], "ok": {"op": request["op"]}}), flush=True)
"""
    with Contender([sys.executable, "-c", program]) as contender:
        replies = [contender.send("one"), contender.send("two")]
        assert [reply.result(PATIENCE) for reply in replies] == [{"op": "one"}, {"op": "two"}]
        contender.process.wait(PATIENCE)


def test_an_error_reply_is_raised_with_its_extra_fields():
    reply = '{"id": ID, "error": {"code": "not_leader", "message": "ask 2", "leader": 2}}'
    with (
        Contender(fake("nonsense", "hello", reply)) as contender,
        pytest.raises(ContenderError) as caught,
    ):
        contender.call("hello")
    assert (caught.value.code, caught.value.message) == ("not_leader", "ask 2")
    assert caught.value.extra == {"leader": 2}


def test_a_raw_line_is_answered_as_unmatched():
    program = """
import sys
sys.stdin.readline()
print('{"id": null, "error": {"code": "bad_request", "message": "no"}}', flush=True)
sys.stdin.read()
"""
    with Contender([sys.executable, "-c", program]) as contender:
        contender.send_line(b"nonsense")
        assert contender.next_unmatched(PATIENCE)["error"]["code"] == "bad_request"
        with pytest.raises(TimeoutError):
            contender.next_unmatched(0.01)
        contender.close_input()
        assert contender.process.wait(PATIENCE) == 0


def test_events_of_the_past_and_the_future_are_found():
    with Contender(fake("stub")) as contender:
        contender.call("start", nodes=3)
        assert contender.events.wait_for(lambda event: event["term"] == 1, PATIENCE)["node"] == 1
        reply = contender.send("run", workload={"name": "election", "elections": 2})
        later = contender.events.wait_for(lambda event: event.get("term") == 3, PATIENCE)
        assert later["node"] == 3
        reply.result(PATIENCE)
        assert later in contender.events.all()
        with pytest.raises(TimeoutError, match="the latest"):
            contender.events.wait_for(lambda event: False, 0.01)


def test_waiting_for_an_event_ends_when_the_contender_does():
    with Contender(fake("crashes", "hello")) as contender:
        contender.send("hello")
        with pytest.raises(ContenderFailed, match="signal 9"):
            contender.events.wait_for(lambda event: False, PATIENCE)


def test_a_crash_is_said_with_the_signal_and_the_end_of_stderr():
    with Contender(fake("crashes", "start")) as contender:
        contender.call("hello")
        with pytest.raises(ContenderFailed, match="signal 9") as caught:
            contender.call("start", nodes=3)
        assert caught.value.stderr == "about to crash"
        with pytest.raises(ContenderFailed, match="signal 9"):
            contender.call("status")


def test_a_hang_is_said_and_killed():
    with (
        pytest.raises(ContenderFailed, match="hung: no reply to 'hello'"),
        Contender(fake("hangs", "hello")) as contender,
    ):
        contender.call("hello", reply_timeout=0.05)
    assert contender.process.returncode == -signal.SIGKILL


def test_a_contender_that_reads_nothing_blocks_no_caller():
    with Contender([sys.executable, "-c", "import signal; signal.pause()"]) as contender:
        for _ in range(4):
            contender.send("submit", value="x" * 2**20)
        with pytest.raises(ContenderFailed, match="hung"):
            contender.call("hello", reply_timeout=0.05)
        contender.kill()


def test_closing_after_quit_returns_the_exit_status():
    for _ in range(20):
        contender = Contender(fake("stub"))
        contender.call("quit")
        assert contender.close() == 0


def test_closing_a_contender_that_dies_of_it_returns_its_exit_status():
    contender = Contender(fake("crashes", "quit"))
    assert contender.close() == -signal.SIGKILL


def test_nonsense_at_quit_is_a_failure():
    contender = Contender(fake("nonsense", "quit", "goodbye"))
    with pytest.raises(ContenderFailed, match="nonsense"):
        contender.close()


def test_a_hang_at_quit_is_killed():
    contender = Contender(fake("hangs", "quit"))
    with pytest.raises(ContenderFailed, match="hung"):
        contender.close(timeout=0.05)
    assert contender.process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    "line",
    [
        "Traceback (most recent call last):",
        "[1, 2]",
        "7",
        '{"id": 1}',
        '{"id": [1], "ok": {}}',
        '{"id": 1, "ok": {}, "error": {"code": "x", "message": "y"}}',
        '{"id": 1, "error": "bad"}',
        '{"id": 1, "ok": []}',
        '{"id": 1, "ok": {}',
    ],
)
def test_nonsense_is_quoted(line):
    with Contender(fake("nonsense", "hello", line)) as contender:
        with pytest.raises(ContenderFailed, match="nonsense"):
            contender.call("hello", reply_timeout=PATIENCE)
        contender.kill()


def test_a_leaked_child_is_found_and_killed(monkeypatch):
    monkeypatch.setattr(contender_module, "_ORPHANS_GRACE_S", 0.5)
    contender = Contender(fake("leaks"))
    contender.call("start", nodes=3)
    with pytest.raises(ContenderFailed, match="left processes behind") as caught:
        contender.close()
    (child,) = re.findall(r"child (\d+)", caught.value.stderr)
    await_end(int(child))


def test_what_is_just_ending_was_not_left_behind(monkeypatch):
    contender = Contender(fake("leaks"))
    contender.call("start", nodes=3)
    (child,) = psutil.Process(contender.pid).children()
    assert child.pid in contender.processes()
    with monkeypatch.context() as ending:
        # The system has taken its memory, and goes on with the rest when there is time.
        ending.setattr(psutil.Process, "memory_info", lambda _: SimpleNamespace(vms=0))
        assert child.pid not in contender.processes()
    contender.kill()
    assert has_ended(child.pid)


def test_kill_reaches_the_whole_tree():
    contender = Contender(fake("leaks"))
    contender.call("start", nodes=3)
    children = psutil.Process(contender.pid).children()
    contender.kill()
    contender.kill()
    assert [has_ended(child.pid) for child in children] == [True]
    assert contender.process.returncode == -signal.SIGKILL


def test_a_program_that_does_not_exist_is_a_failure():
    with pytest.raises(ContenderFailed, match="cannot start no-such-program"):
        Contender(["no-such-program"])


def test_nothing_is_left_when_the_harness_is_killed():
    program = """
import sys
from raftmark.bench.contenders.contender import Contender
contender = Contender(sys.argv[1:])
contender.call("hello")
print(contender.pid, flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, *fake("stub")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as harness:
        assert harness.stdout is not None
        pid = int(harness.stdout.readline())
        harness.kill()
    await_end(pid)


def test_stderr_goes_to_the_named_file(tmp_path):
    with (
        Contender(fake("crashes", "hello"), stderr=tmp_path / "log") as contender,
        pytest.raises(ContenderFailed),
    ):
        contender.call("hello")
    assert (tmp_path / "log").read_text() == "about to crash\n"
