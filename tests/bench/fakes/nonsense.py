"""A contender that prints a line of its own at one operation: nonsense.py OP LINE."""

import sys

from stub import Stub


class Nonsense(Stub):
    def handle(self, request):
        if request["op"] == sys.argv[1]:
            print(sys.argv[2].replace("ID", str(request["id"])), flush=True)
        super().handle(request)


if __name__ == "__main__":
    Nonsense().serve()
