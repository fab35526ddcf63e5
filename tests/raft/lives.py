"""Lives of whole clusters, each decided by its name alone.

A name is how the cluster lives, how many nodes it begins with, and a seed: "lossy/5/17",
"interleaved/3/17". `python -m tests.raft.replay NAME` tells of one event by event.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from .interleaving import Interleaving
from .scenario import MILLISECOND
from .simulation import Simulation, Weather
from .world import World, settings_from

CLIMATES = {
    "lossy": Weather(0.1, 0.1, (0, 40 * MILLISECOND)),
    "slow": Weather(0.02, 0.2, (0, 200 * MILLISECOND)),
    "crashing": Weather(0.02, 0.02, (0, 20 * MILLISECOND), crash=0.01),
    "divided": Weather(0.02, 0.02, (0, 20 * MILLISECOND), interference_ns=500 * MILLISECOND),
    "administered": Weather(0.02, 0.02, (0, 20 * MILLISECOND), administration_ns=200 * MILLISECOND),
    "all at once": Weather(
        0.1,
        0.1,
        (0, 60 * MILLISECOND),
        crash=0.003,
        interference_ns=700 * MILLISECOND,
        administration_ns=300 * MILLISECOND,
    ),
}
INTERLEAVED = "interleaved"

Trace = Callable[[str], None]


def live(name: str, trace: Trace | None = None) -> World:
    """A cluster's whole life; AssertionError, which says how to replay it, if it goes wrong.

    ValueError if there is no such life.
    """
    kind, nodes, _ = name.split("/", 2)
    if kind != INTERLEAVED and kind not in CLIMATES:
        raise ValueError(f"no life is {kind!r}")
    try:
        if kind == INTERLEAVED:
            return interleaved_life(int(nodes), name, trace)
        return weathered_life(int(nodes), name, CLIMATES[kind], trace)
    except Exception as error:
        error.add_note(f"replay with: python -m tests.raft.replay '{name}'")
        raise


def weathered_life(
    nodes: int, seed: str, weather: Weather, trace: Trace | None = None
) -> Simulation:
    """A cluster that lives through bad weather, and is to recover from it."""
    settings = settings_from(random.Random(f"settings of {seed}"), nodes)
    simulation = Simulation(settings, seed, weather=weather, clients=4, trace=trace)
    simulation.run_for(seconds=6)
    simulation.clear_up()
    clients = simulation.clients
    before = [(client.acknowledged, client.reads) for client in clients]
    simulation.run_until(
        lambda: all(
            client.acknowledged > steps and client.reads > reads
            for client, (steps, reads) in zip(clients, before, strict=True)
        ),
        within_s=30,
    )
    for client in clients:
        client.stopped = True
    simulation.run_until(simulation.has_settled, within_s=30)
    return simulation


def interleaved_life(nodes: int, seed: str, trace: Trace | None = None) -> Interleaving:
    """A cluster to which four hundred things happen in any order."""
    settings = settings_from(random.Random(f"settings of {seed}"), nodes)
    settings = settings._replace(max_entries=1, window=2)
    interleaving = Interleaving(settings, seed, trace)
    for _ in range(400):
        interleaving.step()
    return interleaving
