"""Watch it happen: a recording is told step by step, and played in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from raftmark.bench.runs.recordings import NodeState, Recording, keep
from raftmark.bench.runs.store import Run
from raftmark.report.pages.build import write_report
from raftmark.report.pages.playback import NodeView, steps
from tests.report.synthetic_runs import write_run


def message(kind: str, sender: int, to: int, at_ms: float, **content: object) -> dict[str, object]:
    return {
        "event": "message",
        "type": kind,
        "from": sender,
        "to": to,
        "term": 2,
        "at_ns": int(at_ms * 1e6),
        **content,
    }


def role(node: int, name: str, leader: int | None, at_ms: float) -> dict[str, object]:
    at_ns = int(at_ms * 1e6)
    change = {"node": node, "role": name, "term": 2, "leader": leader}
    return {"event": "role", **change, "at_ns": at_ns}


ELECTION = Recording(
    "go",
    "election",
    [NodeState(n, True, "leader" if n == 1 else "follower", 1, 1, 4, 4) for n in (1, 2, 3)],
    [
        {"event": "crash", "node": 1, "at_ns": 1_000_000},
        role(2, "candidate", None, 150),
        message("request_vote", 2, 3, 150.5, last_index=4, last_term=1, pre_vote=False),
        role(3, "follower", None, 151),
        message("request_vote_reply", 3, 2, 151.25, granted=True, pre_vote=False),
        role(2, "leader", 2, 152),
        message("append_entries", 2, 3, 152.5, previous=4, entries=1, commit=4),
        message("append_entries_reply", 3, 2, 153, success=True, index=5),
        message("append_entries", 2, 3, 154, previous=5, entries=0, commit=5),
        message("append_entries_reply", 3, 2, 155, success=True, index=5),
    ],
)


def test_every_event_is_told() -> None:
    assert [step.says for step in steps(ELECTION)] == [
        "Node 1 leads; all have the same log.",
        "Node 1, the leader, crashes.",
        "Node 2's election timer expires: candidate in term 2.",
        "Node 2 to 3: asks for its vote in term 2, log up to 4.",
        "Node 3 is in term 2.",
        "Node 3 to 2: grants its vote.",
        "Node 2 has a majority and leads term 2.",
        "Node 2 to 3: entry 5, committed up to 4.",
        "Node 3 to 2: has the log up to 5.",
        "Node 2 to 3: heartbeat, committed up to 5.",
        "Node 3 to 2: has the log up to 5.",
    ]


def test_nodes_are_what_the_events_have_made_of_them() -> None:
    played = steps(ELECTION)
    assert played[0].nodes[1] == NodeView("leader", 1, 4, 4)
    assert played[1].nodes[1].role == "crashed"
    assert played[2].nodes[2] == NodeView("candidate", 2, 4, 4)
    # The leader has what it sends; the follower says what it has, and then knows what it was told.
    assert played[7].nodes[2].last == 5
    assert played[7].nodes[3].last == 4
    assert played[8].nodes[3] == NodeView("follower", 2, 5, 4)
    assert played[9].nodes[2].commit == 5
    assert played[10].nodes[3].commit == 5
    assert played[3].link == (2, 3)
    assert played[2].link is None
    assert [step.at_ms for step in played[:3]] == [0, 0, 149]


def test_a_page_without_a_recording_has_no_such_section(tmp_path: Path) -> None:
    run = Run.open(write_run(tmp_path / "run"))
    write_report(run, tmp_path / "report.html")
    assert 'id="playback"' not in (tmp_path / "report.html").read_text()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("playback")
    run = Run.open(write_run(directory / "run"))
    hostile = Recording(
        "asyncio", "replication", ELECTION.nodes, [message("</script><b>", 1, 2, 1)]
    )
    keep(run, [ELECTION, hostile])
    write_report(run, directory / "report.html")
    return directory / "report.html"


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    said: list[str] = []
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.on("console", lambda one: said.append(one.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(report.as_uri())
    yield page
    page.close()
    assert said == []


@pytest.mark.slow
def test_it_is_played_step_by_step(page: Page) -> None:
    says = page.locator("#playback .says")
    expect(says).to_have_text("0.00 ms: Node 1 leads; all have the same log.")
    page.get_by_role("button", name="Next").click()
    expect(says).to_have_text("0.00 ms: Node 1, the leader, crashes.")
    assert page.locator("#playback .crashed").count() == 1
    for _ in range(2):
        page.get_by_role("button", name="Next").click()
    assert page.locator("#playback .message").count() == 1
    page.get_by_role("button", name="Back").click()
    assert page.locator("#playback .message").count() == 0
    page.locator("#playback input[type=range]").fill("6")
    expect(says).to_have_text("151.00 ms: Node 2 has a majority and leads term 2.")
    assert page.locator("#playback .leader").count() == 1
    page.get_by_role("button", name="First").click()
    expect(page.locator("#playback output")).to_have_text("0 of 10")


@pytest.mark.slow
def test_it_plays_by_itself_until_its_end_or_a_pause(page: Page) -> None:
    player = page.locator("#playback")
    player.get_by_label("Speed").select_option("fast")
    play = player.locator("[data-do=play]")
    play.click()
    expect(play).to_have_text("Pause")
    expect(player.locator("output")).to_have_text("10 of 10", timeout=60_000)
    expect(play).to_have_text("Play")
    play.click()
    expect(player.locator("output")).not_to_have_text("10 of 10")
    play.click()
    expect(play).to_have_text("Play")


@pytest.mark.slow
def test_another_recording_can_be_chosen_and_is_escaped(page: Page) -> None:
    choice = page.locator("#playback .player-choice select")
    choice.select_option(label="Python asyncio: a replication")
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#playback .says")).to_have_text("0.00 ms: Node 1 to 2: </script><b>.")
    assert page.locator("#playback b").count() == 0
