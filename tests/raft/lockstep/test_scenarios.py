"""The scripted scenarios: each does in both cores what its file says, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from .script import run
from .text import ScriptError
from .twin import ROOT, Twin

SCENARIOS = sorted((ROOT / "tests" / "scenarios").glob("*.txt"))


@pytest.fixture(params=SCENARIOS, ids=[path.stem for path in SCENARIOS])
def scenario(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_the_core_does_what_the_scenario_says(scenario: Path, pytestconfig: pytest.Config) -> None:
    """With --rewrite the scenario is changed to say what the core does."""
    expected = scenario.read_text()
    said = run(expected)
    if pytestconfig.option.rewrite and said != expected:
        scenario.write_text(said)
        expected = said
    assert said.splitlines() == expected.splitlines(), "--rewrite takes over what the core does"


def test_the_go_core_does_what_the_scenario_says(scenario: Path, twin: Twin) -> None:
    """`go test` reads the same files, but may answer from its cache when only they changed."""
    expected = scenario.read_text()
    assert twin.run(expected).splitlines() == expected.splitlines()


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("> timeout 1\n", "line 1: a script begins with the command cluster"),
        ("> cluster 3\n> tiemout 1\n", "line 2: tiemout is no command"),
        ("> cluster 3\n> timeout 4\n", "line 2: name a node from 1 to 3"),
        ("> cluster 3\ntimeout 1\n", "line 2: begin a command with '> '"),
        ("> cluster 3\n> deliver 1\n", "line 2: write it as: deliver FROM->TO"),
        ("> cluster 3 size=2\n", "line 1: cluster has no option size"),
        ("> cluster 3\n> crash 1 after lunch\n", "line 2: write it as: crash NODE"),
        ("> cluster 3\n> propose 1 set(a)\n", "line 2: set(a): known are set(key,value)"),
        ("> cluster 3\n> propose 1\n", "line 2: write it as: propose NODE COMMAND"),
        ("> cluster 3\n> propose 1 add_server(x)\n", "line 2: add_server(x): name a server"),
        ("> cluster 3\n> join 5\n", "line 2: write it as: join 4"),
        ("> cluster 3\n> damage 1 2\n", "line 2: write it as: damage NODE INDEX"),
        ("> cluster 3\n> log 1 a\n", "line 2: a where a number is expected"),
    ],
)
def test_a_script_that_is_not_well_formed_is_refused(
    script: str, complaint: str, twin: Twin
) -> None:
    with pytest.raises(ScriptError, match="line") as refused:
        run(script)
    assert str(refused.value).startswith(complaint)
    answer = twin.run(script).splitlines()[-1].replace('"', "")
    assert answer.startswith(f"! {complaint}")
