"""The contenders' processes, as the conformance suite shares them."""

from tests.conformance.conftest import contenders

__all__ = ["contenders"]
