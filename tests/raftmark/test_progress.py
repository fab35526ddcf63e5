import io

from rich.console import Console

from raftmark.bench.experiment.trial import skipped_trial
from raftmark.bench.runs.plan import remaining
from raftmark.bench.runs.store import Run
from raftmark.terminal.progress import Pace, show_progress, usual_duration
from tests.bench.support import election_cell, manifest, replicate_cell


def new_run(tmp_path) -> Run:
    return Run.create(tmp_path, manifest(["a"], [replicate_cell(), election_cell()]))


def test_time_left_follows_the_pace_so_far(tmp_path):
    planned = remaining(new_run(tmp_path))
    now = 100.0
    pace = Pace(planned, clock=lambda: now)
    whole = sum(usual_duration(trial.cell) for trial in planned)
    assert pace.seconds_left() == whole
    # The first trial takes three times what is usual, so the others are expected to.
    now += 3 * usual_duration(planned[0].cell)
    pace.ended(planned[0].id)
    left = whole - usual_duration(planned[0].cell)
    assert abs(pace.seconds_left() - 3 * left) < 1e-9
    for trial in planned[1:]:
        pace.ended(trial.id)
    assert abs(pace.seconds_left()) < 1e-9


def shown(tmp_path, **options) -> str:
    planned = remaining(new_run(tmp_path))
    text = io.StringIO()
    console = Console(file=text, width=100, **options)
    with show_progress(planned, console) as display:
        for trial in planned:
            display.begins(trial)
            display.ended(skipped_trial(trial, "[made] up"))
    return text.getvalue()


def test_without_a_terminal_every_trial_is_a_plain_line(tmp_path):
    lines = shown(tmp_path).splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("[1/4] ")
    assert ": failed at launch: [made] up; " in lines[0]
    assert lines[-1].endswith("0:00 left")


def test_a_terminal_shows_a_bar_and_the_failures(tmp_path):
    text = shown(tmp_path, force_terminal=True)
    assert "4/4" in text
    assert "4 failed" in text
    assert "failed at launch: [made] up" in text
