"""The kept recordings, and what is counted on them."""

import gc
import json
import os
import subprocess
import sys

import pytest

from raftmark.raft.messages import AppendEntries
from raftmark.replay.__main__ import Diverged, bytecodes, replay
from raftmark.replay.recording import STORIES, Kind, keep, kept, record


@pytest.fixture(scope="module")
def stories():
    return kept()


@pytest.mark.parametrize("name", STORIES)
def test_the_core_follows_what_is_kept(stories, name):
    times, outstanding = STORIES[name]
    leaders, at_once = 3, 1 if outstanding == 1 else 2
    assert replay(stories[name]) == leaders * at_once * times * outstanding


def test_a_recording_is_read_as_it_was_written(tmp_path):
    happened = record(3, 4)
    keep({"a story": happened}, tmp_path / "kept")
    assert kept(tmp_path / "kept") == {"a story": happened}
    assert {h.kind for h in happened} == {*Kind}


def test_there_is_more_than_one_leader(stories):
    for happened in stories.values():
        senders = {h.value.sender for h in happened if isinstance(h.value, AppendEntries)}
        assert senders == {1, 2}


def test_servers_that_do_not_agree_have_diverged(stories):
    happened = stories["one at a time"]
    without = [h for h in happened if (h.node, h.kind) != (3, Kind.MESSAGE)]
    with pytest.raises(Diverged, match="record it anew"):
        replay(without)


def test_each_bytecode_is_counted():
    def one_more(times):
        for _ in range(times):
            pass

    counts = [bytecodes(lambda n=n: one_more(n)) for n in (10, 11, 12, 12)]
    assert counts[1] - counts[0] == counts[2] - counts[1] > 0
    assert counts[2] == counts[3]


def test_what_a_collection_of_garbage_runs_is_not_counted():
    seen = []
    bytecodes(lambda: seen.append(gc.isenabled()))
    assert seen == [False]
    assert gc.isenabled()


def test_a_count_is_the_same_to_the_last_digit_whatever_the_hash_seed():
    printed = [
        subprocess.run(
            [sys.executable, "-m", "raftmark.replay"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert all(counts["bytecodes"] > 0 for counts in json.loads(printed[0]).values())
