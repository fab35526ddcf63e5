"""Makes each benchmark an ordinary test, run once, unless benchmarks are what is asked for."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture


@pytest.fixture
def benchmark(benchmark: BenchmarkFixture, pytestconfig: pytest.Config) -> BenchmarkFixture:
    """The fixture of pytest-benchmark, off without --benchmark-only or --benchmark-enable."""
    options = pytestconfig.option
    benchmark.disabled = not (options.benchmark_only or options.benchmark_enable)
    return benchmark
