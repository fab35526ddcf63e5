"""A Ray cluster of three hosts, simulated on this machine, for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

HOSTS = 3
PATIENCE_S = 240.0
# Its agents are slow to start where much else runs: then they must be waited for.
SLOW = {
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_enable_metrics_collection": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
SMALL = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_log_monitor": False}


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Cluster]:
    """The cluster itself; no process of the tests is its driver."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SLOW.items():
            patch.setenv(name, value)
        # It reads those as it is imported.
        pytest.importorskip("ray", reason="Ray has no wheel for this Python")
        from ray.cluster_utils import Cluster

        cluster = Cluster(
            initialize_head=True, head_node_args={**SMALL, "include_dashboard": False}
        )
        try:
            for _ in range(HOSTS - 1):
                cluster.add_node(**SMALL)
            yield cluster
        finally:
            cluster.shutdown()


@pytest.fixture
def address(ray_cluster: Cluster) -> str:
    """Where a driver finds it, once it has noticed which of its hosts an earlier test has killed.

    Ray gives a new driver any host of the driver's address that it believes to live, and all of
    these have one address: a driver that was given a dead one would die of that.
    """
    ray_cluster.wait_for_nodes(PATIENCE_S)
    found: str = ray_cluster.address
    return found
