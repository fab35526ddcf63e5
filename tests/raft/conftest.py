"""What the tests of the core and of the runtimes share."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes on a busy machine says nothing about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture
def seed(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> int:
    """The seed of a random test, printed so that a failure can be replayed."""
    seed: int = pytestconfig.option.seed
    print(f"replay with: pytest '{request.node.nodeid}' --seed {seed}")
    return seed
