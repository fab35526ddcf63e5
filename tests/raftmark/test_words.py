"""What people are told when something is not as expected: a line that says what to do."""

import contextlib
import html
import io
import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from raftmark.bench.contenders import interpreters
from raftmark.bench.contenders.registry import Unavailable
from raftmark.bench.files import replace_file
from raftmark.bench.runs.store import Run
from raftmark.cli import main
from raftmark.report.pages.appendix import write_appendix
from raftmark.report.pages.build import write_report
from raftmark.terminal.console import harmless
from tests.conftest import signals_as_they_are
from tests.report.synthetic_runs import Behaviour, write_run

RAFTMARK = Path(sys.executable).with_name("raftmark")
ALL = ["check", "summary", "report", "appendix", "pilot", "export --format csv", "history add"]


@pytest.fixture
def run(tmp_path) -> Path:
    behaviours = {"go": Behaviour(), "ünï±": Behaviour(failure=("run", "said ▲\x1b[2J"))}
    return write_run(tmp_path / "rün", behaviours, blocks=6, outstanding=(1,), timeouts_ms=())


def one_line(text: str) -> str:
    assert text.startswith("raftmark: ")
    assert text.count("\n") == 1
    return text.removeprefix("raftmark: ").rstrip("\n")


@pytest.mark.parametrize("words", ALL)
def test_a_run_that_is_not_there_is_looked_for_in_each_place_once(tmp_path, command, words):
    done = command(*words.split(), "gone", cwd=tmp_path)
    assert done.returncode == 2
    assert "neither gone nor results/gone is a directory" in one_line(done.stderr)
    gone = str(tmp_path / "gone")
    done = command(*words.split(), gone, cwd=tmp_path)
    assert one_line(done.stderr) == f"Invalid value: no run {gone}: it is no directory"


@pytest.mark.parametrize("words", ALL)
def test_a_directory_without_a_run_is_not_called_damaged(tmp_path, command, words):
    done = command(*words.split(), str(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert one_line(done.stderr) == f"{tmp_path} is not a run: it has no run.json"


@pytest.mark.parametrize("text", ["abc", "", "%", "nan", "0", "101%", "-2%", "1e999"])
def test_a_precision_that_is_none(run, command, text):
    for words in (["pilot", str(run)], ["bench"]):
        done = command(*words, "--precision", text, cwd=run.parent)
        assert done.returncode == 2
        said = one_line(done.stderr)
        assert said.endswith("write it as 2%")
        assert "float" not in said


def test_uv_is_named_as_it_can_be_called_from_here(tmp_path, monkeypatch):
    beside = tmp_path / ".venv" / "bin"
    beside.mkdir(parents=True)
    (beside / "uv").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(interpreters.sys, "executable", str(beside / "python"))
    monkeypatch.setattr(interpreters, "_candidates", lambda request: [])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unavailable, match=r"'\.venv/bin/uv python install 3\.99' installs it"):
        interpreters.find("3.99")
    (beside / "uv").unlink()
    with pytest.raises(Unavailable, match=r"no Python 3\.99 found: give the path"):
        interpreters.find("3.99")


@pytest.mark.parametrize(
    "words",
    [
        "report {run} -o gone/report.html",
        "history report --store {store} -o gone/history.html",
        "compare {run} {run} -o gone/difference.md",
    ],
)
def test_a_place_that_is_not_there_is_said_before_the_work(run, command, monkeypatch, words):
    def work(*_: object) -> None:
        raise AssertionError("the work was begun")

    monkeypatch.setattr("raftmark.report.pages.build.render", work)
    monkeypatch.setattr("raftmark.report.pages.trend.render", work)
    monkeypatch.setattr("raftmark.bench.tracking.compare.compare_runs", work)
    (run.parent / "store").mkdir()
    filled = [word.format(run=run, store=run.parent / "store") for word in words.split()]
    done = command(*filled, cwd=run.parent)
    assert done.returncode != 0
    said = one_line(done.stderr).removeprefix("Invalid value: ")
    assert said.startswith(f"cannot write {filled[-1]}: No such file")


@contextlib.contextmanager
def little_room():
    """Let no file grow beyond a kilobyte, as on a disk that is full.

    For no longer than is needed: what pytest prints may go to a file, too, as does bytecode.
    """
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        yield
    finally:
        sys.dont_write_bytecode = bytecode
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_where_there_is_no_room_an_earlier_file_stays_whole(tmp_path, run):
    found = Run.open(run)
    places = {
        tmp_path / "report.html": lambda path: write_report(found, path),
        tmp_path / "appendix" / "body.tex": lambda path: write_appendix(found, path.parent),
        tmp_path / "file": lambda path: replace_file(path, "x" * 10_000),
    }
    for path in places:
        path.parent.mkdir(exist_ok=True)
        path.write_text("before")
    for path, write in places.items():
        with little_room(), pytest.raises(OSError, match="File too large"):
            write(path)
        assert path.read_text() == "before"
        assert not list(path.parent.rglob("*.new"))


def test_a_run_that_cannot_be_written_to_is_said_in_a_line(run, command, monkeypatch):
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(run))

    for name in ("build.replace_file", "build.require_writable", "appendix.require_writable"):
        monkeypatch.setattr(f"raftmark.report.pages.{name}", refused)
    monkeypatch.setattr("raftmark.bench.exports.replace_file", refused)
    monkeypatch.setattr("raftmark.bench.tracking.history.replace_file", refused)
    for words in ("report", "appendix", "export --format csv", "history add"):
        done = command(*words.split(), str(run), cwd=run.parent)
        assert done.returncode == 1
        assert "Permission denied; " in one_line(done.stderr)


class Printed(io.TextIOWrapper):
    """A stream to a file, in the encoding of some locale."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    def content(self) -> bytes:
        """Return what was written."""
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue()


@pytest.fixture
def printed(monkeypatch):
    """Run the command line where the streams have an encoding; return what they got."""

    def run(encoding: str, *words: str) -> tuple[bytes, bytes]:
        out, err = Printed(encoding), Printed(encoding)
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setattr(sys, "argv", ["raftmark", *words])
        with pytest.raises(SystemExit):
            main()
        return out.content(), err.content()

    with signals_as_they_are():
        yield run


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1"])
def test_everything_can_be_printed_in_every_encoding(run, printed, monkeypatch, encoding):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    for words in (["summary"], ["check"], ["pilot"], ["bench", "--no-report", "--resume"]):
        for said in printed(encoding, *words, str(run)):
            said.decode(encoding)


def test_what_goes_into_a_file_is_utf_8_whatever_the_locale(run, printed, monkeypatch):
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    said, _ = printed("ascii", "summary", str(run))
    assert "±" in said.decode()


def test_output_that_nobody_takes_or_that_finds_no_room():
    full = subprocess.run(
        f"{RAFTMARK} schema trial > /dev/full",
        shell=True, capture_output=True, check=False, encoding="utf-8",
    )  # fmt: skip
    assert full.returncode == 1
    assert "No space left on device" in one_line(full.stderr)
    closed = subprocess.run(
        f"{RAFTMARK} schema trial | true", shell=True, capture_output=True, check=False
    )
    assert closed.stderr == b""


def test_a_label_is_escaped_once_in_markdown(run, command):
    manifest = json.loads((run / "run.json").read_bytes())
    label = "a_b & <i>$c$</i> `d` [e](f) |"
    manifest["contenders"][0]["label"] = label
    (run / "run.json").write_text(json.dumps(manifest))
    said = command("summary", str(run), cwd=run.parent).stdout
    assert (
        "a&#95;b &#38; &#60;i&#62;&#36;c&#36;&#60;/i&#62; &#96;d&#96; &#91;e&#93;(f) &#124;" in said
    )
    assert label not in said


def test_what_steers_a_terminal_is_shown_as_text(run, command):
    text = (run / "trials.jsonl").read_text(encoding="utf-8")
    (run / "trials.jsonl").write_text(text.replace('"go"', '"\\u001b[2J"'), encoding="utf-8")
    done = command("check", str(run), cwd=run.parent)
    assert "\\x1b[2J" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert harmless("a\tb\n\x1b[31m\u202eü") == "a\tb\n\\x1b[31m\\u202eü"


def test_a_dollar_in_a_label_is_a_dollar(run):
    manifest = json.loads((run / "run.json").read_bytes())
    label = r"$\oops$ $x$ \$"
    manifest["contenders"][0]["label"] = label
    (run / "run.json").write_text(json.dumps(manifest))
    write_report(Run.open(run), run / "report.html")
    assert html.escape(label) in (run / "report.html").read_text(encoding="utf-8")
    # What is no formula would end the drawing of one.
    write_appendix(Run.open(run), run / "appendix")
    assert r"\$\textbackslash{}oops\$" in (run / "appendix" / "body.tex").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize("words", ["check", "summary", "report", "appendix"])
@pytest.mark.parametrize("name", ["code.json", "recordings.json"])
def test_what_is_damaged_beside_the_trials_is_named(run, command, words, name):
    (run / name).write_text("[" * 100_000)
    done = command(words, str(run), cwd=run.parent)
    assert done.returncode == 1
    assert f"{name} is damaged" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
