"""A contender that hangs at one operation: hangs.py OP."""

import signal
import sys

from stub import Stub


class Hangs(Stub):
    def handle(self, request):
        if request["op"] == sys.argv[1]:
            print("about to hang", file=sys.stderr, flush=True)
            while True:
                signal.pause()
        super().handle(request)


if __name__ == "__main__":
    Hangs().serve()
