"""Random lives of whole clusters: safe after every event, live once the faults stop."""

from __future__ import annotations

import pytest

from .scenario import MILLISECOND
from .simulation import Boundary, Simulation, Weather

LIVES = {
    "calm": Weather(),
    "lossy": Weather(0.1, 0.1, (0, 40 * MILLISECOND)),
    "slow": Weather(0.02, 0.2, (0, 250 * MILLISECOND)),
    "crashing": Weather(0.02, 0.02, (0, 20 * MILLISECOND), crash=0.004),
    "all at once": Weather(
        0.1, 0.1, (0, 60 * MILLISECOND), crash=0.002, interference_ns=700 * MILLISECOND
    ),
}


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("weather", LIVES.values(), ids=LIVES)
def test_a_cluster_is_safe_always_and_live_once_faults_stop(
    nodes: int, weather: Weather, seed: int
) -> None:
    """Figure 3's properties after every event; §5.4 and §9.3 for its recovery."""
    simulation = Simulation(
        nodes,
        f"{seed}/{nodes}/{weather}",
        weather=weather,
        clients=4,
        # Small, so that batches are cut and windows fill.
        max_entries=3,
        window=2,
    )
    simulation.run_for(30)
    simulation.clear_up()
    acknowledged = [client.acknowledged for client in simulation.clients]

    def all_got_on() -> bool:
        return all(
            client.acknowledged > before
            for client, before in zip(simulation.clients, acknowledged, strict=True)
        )

    simulation.run_until(all_got_on, within_s=20)
    simulation.clients.clear()
    simulation.run_until(simulation.has_settled, within_s=20)
    print(simulation.events, len(simulation.properties.committed), simulation.crashes)
    if weather.crash:
        assert set(simulation.crashes) == set(Boundary)
