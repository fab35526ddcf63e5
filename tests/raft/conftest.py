"""What the tests of the core and of the runtimes share."""

from __future__ import annotations

import pytest


@pytest.fixture
def seed(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> int:
    """The seed of a random test, printed so that a failure can be replayed."""
    seed: int = pytestconfig.option.seed
    print(f"replay with: pytest '{request.node.nodeid}' --seed {seed}")
    return seed
