"""Random lives of whole clusters: safe after every event, live once the faults stop."""

from __future__ import annotations

import pytest

from .interleaving import Interleaving
from .scenario import MILLISECOND
from .simulation import Simulation, Weather
from .world import Boundary

CLIMATES = {
    "lossy": Weather(0.1, 0.1, (0, 40 * MILLISECOND)),
    "slow": Weather(0.02, 0.2, (0, 200 * MILLISECOND)),
    "crashing": Weather(0.02, 0.02, (0, 20 * MILLISECOND), crash=0.01),
    "divided": Weather(0.02, 0.02, (0, 20 * MILLISECOND), interference_ns=500 * MILLISECOND),
    "all at once": Weather(
        0.1, 0.1, (0, 60 * MILLISECOND), crash=0.003, interference_ns=700 * MILLISECOND
    ),
}


def a_life(nodes: int, seed: str, weather: Weather) -> Simulation:
    """A cluster that lives through bad weather, and is to recover from it."""
    # Messages and windows are small, so that batches are cut and windows fill.
    simulation = Simulation(nodes, seed, weather=weather, clients=4, max_entries=3, window=2)
    simulation.run_for(seconds=6)
    simulation.clear_up()
    clients = simulation.clients
    before = [client.acknowledged for client in clients]
    simulation.run_until(
        lambda: all(c.acknowledged > n for c, n in zip(clients, before, strict=True)), within_s=30
    )
    for client in clients:
        client.stopped = True
    simulation.run_until(simulation.has_settled, within_s=30)
    return simulation


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("weather", CLIMATES.values(), ids=CLIMATES)
def test_a_cluster_is_safe_always_and_live_once_the_faults_stop(
    nodes: int, weather: Weather, seed: int
) -> None:
    """Figure 3's properties after every event, and §5.4.3, §9.3 for its recovery."""
    for life in range(8):
        print(f"life {life}")
        a_life(nodes, f"{seed}/{nodes}/{life}/{weather}", weather)


@pytest.mark.parametrize("nodes", [2, 3, 4, 5])
def test_any_interleaving_is_safe(nodes: int, seed: int) -> None:
    """Figure 3's properties after every event, whatever the order of events."""
    for run in range(200):
        print(f"run {run}")
        interleaving = Interleaving(nodes, f"{seed}/{nodes}/{run}")
        for _ in range(400):
            interleaving.step()


def test_the_simulation_is_as_bad_as_it_claims() -> None:
    """Or the test above would prove nothing: nodes do crash at every boundary, and disagree."""
    lives = [a_life(5, f"{life}", CLIMATES["all at once"]) for life in range(40)]
    for boundary in Boundary:
        assert sum(life.crashes[boundary] for life in lives) > 10
    assert sum(life.replaced_entries for life in lives) > 10
    assert sum(len(life.properties.leaders) for life in lives) > 100
    assert sum(client.retries for life in lives for client in life.clients) > 100
    assert sum(client.acknowledged for life in lives for client in life.clients) > 1000


def test_a_seed_decides_everything() -> None:
    stories = [
        (life.now_ns, life.events, life.properties.committed)
        for life in (a_life(4, seed, CLIMATES["all at once"]) for seed in ("a", "a", "b"))
    ]
    assert stories[0] == stories[1] != stories[2]
