"""What a leader knows of a follower: where it is, and how much may be under way to it."""

from __future__ import annotations

import random

from raftmark.raft.messages import Configuration, Item, Snapshot
from raftmark.raft.progress import Progress


def probed(next_index: int, window: int = 3, max_bytes: int = 1000) -> Progress:
    """A follower of which nothing is known."""
    return Progress(next_index, window, max_bytes)


def replicating(match: int = 5, window: int = 3, max_bytes: int = 1000) -> Progress:
    """A follower that matches up to `match`."""
    progress = probed(match + 1, window, max_bytes)
    progress.accepted(match, 0)
    return progress


def test_it_begins_by_probing_with_one_message_at_a_time() -> None:
    progress = probed(6, window=3)
    assert progress.probing
    assert progress.may_send
    progress.sent(9, 10)
    assert not progress.may_send
    assert progress.next_index == 6, "a probe that fails is not skipped"


def test_a_heartbeat_asks_again_without_the_entries_of_an_unanswered_probe() -> None:
    """Or what waits for a node that is gone would grow without bound."""
    progress = probed(6, window=3)
    progress.sent(9, 10)
    for _ in range(5):
        progress.heartbeat(9)
        assert not progress.may_send
        assert progress.heartbeat_index == 5
    progress.accepted(5, 0)
    assert progress.may_send, "the probe was lost, and the follower is there"


def test_a_heartbeat_does_not_widen_the_window_of_a_follower_that_answers() -> None:
    progress = replicating(5, window=1)
    progress.sent(6, 10)
    progress.heartbeat(9)
    assert not progress.may_send


def test_a_success_ends_the_probing_and_opens_the_window() -> None:
    progress = probed(6, window=2)
    progress.sent(9, 10)
    assert progress.accepted(9, 0)
    assert (progress.match_index, progress.next_index, progress.probing) == (9, 10, False)
    progress.sent(12, 10)
    progress.sent(15, 10)
    assert progress.next_index == 16
    assert not progress.may_send


def test_an_acknowledgement_frees_all_that_it_covers() -> None:
    progress = replicating(5, window=3)
    for last in (6, 7, 8):
        progress.sent(last, 10)
    assert progress.accepted(7, 0)
    for last in (9, 10):
        assert progress.may_send
        progress.sent(last, 10)
    assert not progress.may_send


def test_the_window_bounds_the_bytes_under_way_too() -> None:
    progress = replicating(5, window=5, max_bytes=5)
    for last in (6, 7, 8):
        assert progress.may_send
        progress.sent(last, 10)
    assert not progress.may_send
    progress.accepted(6, 0)
    assert progress.may_send
    progress.sent(9, 4)
    assert progress.may_send, "24 bytes"
    progress.sent(10, 1000)
    assert not progress.may_send, "one that is larger than all of it travels alone"
    progress.rejected(10, possible_match=6)
    assert progress.may_send
    progress.sent(7, 10)
    progress.accepted(7, 0)
    assert progress.may_send, "what was given up is not under way"


def test_a_heartbeat_need_not_wait_behind_much_that_is_being_acknowledged() -> None:
    progress = replicating(5, window=3, max_bytes=15)
    for last in (6, 7, 8):
        progress.sent(last, 10)
    progress.accepted(6, 0)
    progress.heartbeat(9)
    assert progress.heartbeat_index == 6
    progress.heartbeat(9)
    assert progress.heartbeat_index == 8, "nothing came meanwhile: is it lost?"
    progress.accepted(7, 0)
    progress.heartbeat(9)
    assert progress.heartbeat_index == 8, "what is under way is little"


def test_an_acknowledgement_of_what_is_known_is_no_news() -> None:
    """Figure 2 (volatile state on leaders): match index increases monotonically."""
    progress = replicating(5)
    assert not progress.accepted(5, 0)
    assert not progress.accepted(3, 0)
    assert (progress.match_index, progress.next_index) == (5, 6)


def test_a_refusal_starts_probing_where_the_logs_may_meet() -> None:
    progress = replicating(5)
    progress.sent(8, 10)
    progress.rejected(8, possible_match=6)
    assert (progress.next_index, progress.probing, progress.may_send) == (7, True, True)


def test_a_refusal_always_goes_back() -> None:
    """Or a hint that is no use would repeat the same probe for ever."""
    progress = probed(6, window=3)
    progress.rejected(5, possible_match=9)
    assert progress.next_index == 5


def test_a_refusal_of_an_older_probe_is_ignored() -> None:
    progress = probed(9, window=3)
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
        progress = probed(draw.randint(1, 20), draw.randint(1, 4), draw.randint(1, 40))
        for _ in range(50):
            before = progress.match_index
            match draw.randrange(4):
                case 0:
                    # A follower acknowledges only what it was sent.
                    progress.accepted(draw.randint(0, progress.next_index - 1), 0)
                case 1:
                    progress.rejected(draw.randint(0, 25), draw.randint(0, 25))
                case 2:
                    progress.heartbeat(9)
                case _ if progress.may_send:
                    progress.sent(progress.next_index + draw.randint(0, 3), 10)
            assert before <= progress.match_index < progress.next_index


def test_a_follower_that_has_lost_its_log_begins_anew() -> None:
    progress = replicating(5)
    progress.sent(8, 10)
    progress.begin_anew(possible_match=2, first_round=7)
    assert (progress.match_index, progress.next_index, progress.first_round) == (0, 3, 7)
    assert progress.probing
    assert progress.may_send
    progress.heartbeat(5)
    progress.heartbeat(5)
    assert not progress.caught_up


# -- snapshots (§7) ---------------------------------------------------------------------------


SNAPSHOT = Snapshot(9, 1, Configuration((1, 2)), tuple(Item(str(n), "", 0) for n in range(5)))


def installing() -> Progress:
    """A follower that gets a snapshot at index 9, whose first piece is under way."""
    progress = probed(3, window=3)
    progress.install(SNAPSHOT)
    progress.sent(9, 10)
    return progress


def test_one_piece_of_a_snapshot_is_under_way_until_it_is_answered() -> None:
    progress = installing()
    assert not progress.may_send
    progress.received(9, 2)
    assert progress.may_send
    assert progress.offset == 2


def test_an_answer_about_another_snapshot_or_none_is_ignored() -> None:
    progress = installing()
    progress.received(8, 2)
    assert (progress.offset, progress.may_send) == (0, False)
    progress = replicating(5)
    progress.received(9, 2)
    assert progress.offset == 0


def test_an_answer_that_brings_no_news_sends_no_piece_again() -> None:
    progress = installing()
    progress.received(9, 2)
    progress.sent(9, 10)
    progress.received(9, 2)
    assert not progress.may_send
    progress.received(9, 0)
    assert (progress.offset, progress.may_send) == (0, True), "the follower began anew"


def test_a_follower_has_no_more_items_than_there_are() -> None:
    progress = installing()
    progress.received(9, 99)
    assert progress.offset == 5


def test_a_piece_is_sent_again_to_a_follower_that_answers_without_having_it() -> None:
    progress = installing()
    progress.heartbeat(9)
    assert not progress.may_send, "a silent one is sent no items"
    progress.received(9, 0)
    assert progress.may_send
    progress.sent(9, 10)
    progress.received(9, 0)
    assert not progress.may_send, "no heartbeat has passed"


def test_replication_goes_on_behind_a_snapshot_once_it_is_there() -> None:
    progress = installing()
    assert progress.accepted(2, 0)
    assert progress.snapshot is SNAPSHOT, "a late answer to something else"
    assert progress.accepted(9, 0)
    assert (progress.probing, progress.next_index) == (False, 10)
    assert not progress.snapshot


def test_a_refusal_ends_a_snapshot_that_may_be_no_use_any_more() -> None:
    progress = installing()
    progress.rejected(7, possible_match=1)
    assert progress.snapshot is SNAPSHOT, "it was overtaken"
    progress.rejected(2, possible_match=1)
    assert progress.next_index == 2
    assert not progress.snapshot


# -- learners (thesis §4.2.1) -----------------------------------------------------------------


def test_a_follower_has_caught_up_that_has_what_the_heartbeat_before_found() -> None:
    progress = replicating(5)
    progress.heartbeat(8)
    assert not progress.caught_up, "there was no heartbeat before"
    progress.accepted(7, 0)
    progress.heartbeat(12)
    assert not progress.caught_up
    progress.accepted(12, 0)
    progress.heartbeat(20)
    assert progress.caught_up
    progress.heartbeat(30)
    assert not progress.caught_up
