"""A contender that dies at one operation: crashes.py OP."""

import os
import signal
import sys

from stub import Stub


class Crashes(Stub):
    def handle(self, request):
        if request["op"] == sys.argv[1]:
            print("about to crash", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        super().handle(request)


if __name__ == "__main__":
    Crashes().serve()
