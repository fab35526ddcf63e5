"""Every contender's histories are linearizable, whatever its nemesis does to it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from raftmark.bench.contenders.registry import ContenderSpec

from .checker import judge
from .nemesis import Nemesis
from .recording import (
    NODES,
    WORTH_ANSWERS,
    WORTH_LEADERS,
    draw_settings,
    harm,
    record,
    start,
)

# A new cluster, with new settings, for every so many seconds.
ROUND_S = 10.0


@pytest.mark.slow
def test_every_history_is_linearizable(
    spec: ContenderSpec, seed: int, nemesis_seconds: float, spared: list[str], tmp_path: Path
) -> None:
    with spec.launch(stderr=tmp_path / "stderr") as contender:
        features = contender.call("hello")["features"]
        nemesis = Nemesis(contender, range(1, NODES + 1), features, f"{spec.name}/{seed}", spared)
        harmed_s, round_ = 0.0, 0
        while harmed_s < nemesis_seconds or nemesis.untried():
            round_ += 1
            name = f"{spec.name}-{seed}-{round_}"
            settings = draw_settings(round_, features, name, tmp_path / name)
            print(f"{name}: {settings}")
            nemesis.face_a_new_cluster(on_disk=settings.get("storage") == "disk")
            start(contender, settings)
            try:
                recording = record(contender, features, name, partial(harm, nemesis, ROUND_S))
            except BaseException:
                print("\n".join(nemesis.diary))
                raise
            leaders = nemesis.leaders()
            contender.call("stop")
            harmed_s += recording.seconds
            print(f"{recording.summary()}; leaders in {len(leaders)} terms")
            print(judge(recording.history, name, nemesis.diary))
            assert recording.history.answered >= WORTH_ANSWERS
            assert len(leaders) >= WORTH_LEADERS
    print(f"faults: {dict(nemesis.done)}")
