"""A process between a test and a contender, made to be killed: see test_lifecycle.

Launches the contender whose command its arguments are, starts a cluster, prints the contender's
process id, and waits for its own end.
"""

import signal
import sys

from raftmark.bench.contenders.contender import Contender


def main() -> None:
    contender = Contender(sys.argv[1:])
    lively = {"election_timeout_ms": [50, 100], "heartbeat_ms": 10}
    contender.call("start", reply_timeout=300, nodes=5, **lively)
    contender.call("status")
    print(contender.pid, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
