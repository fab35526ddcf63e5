"""Clients that keep a cluster busy, and remember what it acknowledged."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from raftmark.bench.contenders.contender import ContenderFailed

from .cluster import ClusterUnderTest, cas
from .messages import LogEntry
from .model import Store
from .waiting import looks


class Counter:
    """A client that counts its own key up, by compare-and-set, in a session.

    Every step must say true: false would mean that an acknowledged step was lost, or that a retry
    was applied twice.
    """

    def __init__(self, cluster: ClusterUnderTest, name: str) -> None:
        self._cluster = cluster
        self.name = name
        self.acknowledged = 0

    def step(self) -> None:
        before = str(self.acknowledged) if self.acknowledged else None
        serial = self.acknowledged + 1
        command = cas(self.name, before, str(serial))
        result = self._cluster.insist(command, {"client": self.name, "serial": serial})
        assert result is True, f"{self.name}: step {serial} found another value than {before}"
        self.acknowledged = serial


class BusyClients:
    """Counters at work, each in its thread, from `with` to the end of the block.

    `limit` is the number of steps after which a client rests. With `contender_may_die`, a client
    whose contender died just ends.
    """

    def __init__(
        self,
        cluster: ClusterUnderTest,
        number: int,
        *,
        limit: int | None = None,
        contender_may_die: bool = False,
    ) -> None:
        self.counters = [Counter(cluster, f"counter-{n}") for n in range(number)]
        self._limit = limit
        self._contender_may_die = contender_may_die
        self._stopping = threading.Event()
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._work, args=(counter,), name=counter.name)
            for counter in self.counters
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None or self._limit is None:
            self._stopping.set()
        for thread in self._threads:
            thread.join()
        if error is None and self._errors:
            raise self._errors[0]

    @property
    def acknowledged(self) -> int:
        """The steps that were acknowledged so far."""
        return sum(counter.acknowledged for counter in self.counters)

    def wait_for_more(self, steps: int) -> None:
        """Wait until so many more steps are acknowledged, or the clients rest."""
        goal = self.acknowledged + steps
        for _ in looks():
            if self._errors:
                raise self._errors[0]
            if self.acknowledged >= goal or not any(t.is_alive() for t in self._threads):
                return
        raise AssertionError(f"only {self.acknowledged} of {goal} steps were acknowledged")

    def _work(self, counter: Counter) -> None:
        try:
            while not self._stopping.is_set() and counter.acknowledged != self._limit:
                counter.step()
        except ContenderFailed as error:
            if not self._contender_may_die:
                self._errors.append(error)
        except BaseException as error:  # noqa: BLE001 (raised where the clients are awaited)
            self._errors.append(error)


def check_nothing_lost(
    log: Sequence[LogEntry], counters: Sequence[Counter], *, last_step_unknown: bool = False
) -> None:
    """Check that the log holds every acknowledged step, and applies it once.

    With `last_step_unknown`, one more than the acknowledged ones may be there: a step whose answer
    nobody lived to hear.
    """
    values = Store(log).values
    for counter in counters:
        reached = int(values.get(counter.name, "0"))
        allowed = {counter.acknowledged, counter.acknowledged + last_step_unknown}
        assert reached in allowed, (
            f"{counter.name} stands at {reached} with {counter.acknowledged} acknowledged"
        )
        serials = {e.command["serial"] for e in log if e.command.get("client") == counter.name}
        assert serials == set(range(1, reached + 1))
