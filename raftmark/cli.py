"""The command line: `raftmark`, its families of commands, and how it ends.

`raftmark host` must start as fast as what it starts, so a command imports what it alone needs
when it is called.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from typing import Annotated, Any, NoReturn

import typer

from raftmark.bench.contenders.contender import ContenderFailed
from raftmark.bench.contenders.places import VERSION
from raftmark.bench.contenders.registry import (
    NoSuchTable,
    RegistryError,
    Unavailable,
    UnknownName,
)
from raftmark.commands import (
    comparing,
    conforming,
    contenders,
    history,
    keeping,
    measuring,
    models,
    peering,
    planning,
    publishing,
)
from raftmark.commands.options import USAGE, require_command
from raftmark.terminal.console import say

_FAILED, _UNDECIDED, _INTERRUPTED = 1, 3, 130

_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class _Interruptible(typer.core.TyperGroup):
    """Commands whose interruption `main` tells of; Typer by itself would end without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None


app = typer.Typer(
    name="raftmark",
    cls=_Interruptible,
    help="Measure one Raft in four concurrency models. "
    "Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
    add_completion=False,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for family in (
    contenders,
    conforming,
    planning,
    measuring,
    publishing,
    keeping,
    comparing,
    history,
    models,
    peering,
):
    family.register(app)


def _say_version(asked: bool) -> None:
    if asked:
        print(f"raftmark {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Say which version this is."
        ),
    ] = False,
) -> None:
    """Take the options that come before a command; without one, say which there are."""
    require_command(context)


def main() -> NoReturn:
    """Run the command line, and turn every expected error into one line on standard error."""
    _print_all_that_is_said()
    _let_every_signal_interrupt()
    status = None
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has enough of it.
        _print_no_more()
        status = _failed() if status is None else status
    except OSError as error:
        if error.errno is None:
            raise  # Not the system's: jinja2 calls a fault in a template an OSError too.
        _print_no_more()
        what = error.filename or "what it prints"
        _complain(f"cannot go on over {what}: {error.strerror}; make room or permit it")
        status = _failed()
    except typer.TyperException as error:
        _complain(error.format_message())
        status = error.exit_code
    except (UnknownName, NoSuchTable) as error:
        _complain(str(error))
        status = USAGE
    except (RegistryError, Unavailable, ContenderFailed) as error:
        _complain(str(error))
        status = _failed()
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted")
        status = _INTERRUPTED
    sys.exit(status)


def _failed() -> int:
    """Return the status of a command that could not be carried out.

    A gate's 1 is an answer; docs/ci.md has the table of what it says.
    """
    return _UNDECIDED if sys.argv[1:2] == ["gate"] else _FAILED


def _let_every_signal_interrupt() -> None:
    """Let what asks a program to end interrupt it, as Ctrl-C does: nothing is lost, or left behind.

    One that is ignored, as `nohup` asks for, stays so.
    """
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def _print_no_more() -> None:
    """Let the end of the program not try again to print what could not be printed."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_all_that_is_said() -> None:
    """Let no character fail to be printed, and write UTF-8 to what is no terminal.

    A file or a pipe that the output goes to is read elsewhere, where this locale is not known.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            asked = "PYTHONIOENCODING" in os.environ or stream.isatty()
            encoding = stream.encoding if asked else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def _complain(message: str) -> None:
    say(f"raftmark: {message}")
