"""What a leader knows of a follower: where it is, and how much may be under way to it."""

from __future__ import annotations

import random

from raft.progress import Progress


def replicating(match: int = 5, window: int = 3) -> Progress:
    """A follower that matches up to `match`."""
    progress = Progress(next_index=match + 1, window=window)
    progress.accepted(match)
    return progress


def test_it_begins_by_probing_with_one_message_at_a_time() -> None:
    progress = Progress(next_index=6, window=3)
    assert progress.probing
    assert progress.may_send
    progress.sent(9)
    assert not progress.may_send
    assert progress.next_index == 6, "a probe that fails is not skipped"


def test_a_heartbeat_gives_an_unanswered_probe_up() -> None:
    progress = Progress(next_index=6, window=3)
    progress.sent(9)
    progress.heartbeat()
    assert progress.may_send


def test_a_heartbeat_does_not_widen_the_window_of_a_follower_that_answers() -> None:
    progress = replicating(5, window=1)
    progress.sent(6)
    progress.heartbeat()
    assert not progress.may_send


def test_a_success_ends_the_probing_and_opens_the_window() -> None:
    progress = Progress(next_index=6, window=2)
    progress.sent(9)
    assert progress.accepted(9)
    assert (progress.match_index, progress.next_index, progress.probing) == (9, 10, False)
    progress.sent(12)
    progress.sent(15)
    assert progress.next_index == 16
    assert not progress.may_send


def test_an_acknowledgement_frees_all_that_it_covers() -> None:
    progress = replicating(5, window=3)
    for last in (6, 7, 8):
        progress.sent(last)
    assert progress.accepted(7)
    for last in (9, 10):
        assert progress.may_send
        progress.sent(last)
    assert not progress.may_send


def test_an_acknowledgement_of_what_is_known_is_no_news() -> None:
    progress = replicating(5)
    assert not progress.accepted(5)
    assert not progress.accepted(3)
    assert (progress.match_index, progress.next_index) == (5, 6)


def test_a_refusal_starts_probing_where_the_logs_may_meet() -> None:
    progress = replicating(5)
    progress.sent(8)
    progress.rejected(8, possible_match=6)
    assert (progress.next_index, progress.probing, progress.may_send) == (7, True, True)


def test_a_refusal_always_goes_back() -> None:
    """Or a hint that is no use would repeat the same probe for ever."""
    progress = Progress(next_index=6, window=3)
    progress.rejected(5, possible_match=9)
    assert progress.next_index == 5


def test_a_refusal_of_an_older_probe_is_ignored() -> None:
    progress = Progress(next_index=9, window=3)
    progress.rejected(8, possible_match=5)
    progress.rejected(8, possible_match=2)
    assert progress.next_index == 6


def test_a_refusal_of_what_has_been_acknowledged_is_ignored() -> None:
    progress = replicating(5)
    progress.rejected(5, possible_match=0)
    progress.rejected(3, possible_match=0)
    assert (progress.next_index, progress.probing) == (6, False)


def test_next_index_stays_above_match_index_which_never_falls(seed: int) -> None:
    for run in range(300):
        draw = random.Random(f"{seed}/progress/{run}")
        progress = Progress(next_index=draw.randint(1, 20), window=draw.randint(1, 4))
        for _ in range(50):
            before = progress.match_index
            match draw.randrange(4):
                case 0:
                    # A follower acknowledges only what it was sent.
                    progress.accepted(draw.randint(0, progress.next_index - 1))
                case 1:
                    progress.rejected(draw.randint(0, 25), draw.randint(0, 25))
                case 2:
                    progress.heartbeat()
                case _ if progress.may_send:
                    progress.sent(progress.next_index + draw.randint(0, 3))
            assert before <= progress.match_index < progress.next_index
