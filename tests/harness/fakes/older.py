"""A contender from before there were snapshots."""

from stub import Stub


class Older(Stub):
    def op_start(self, request):
        assert "snapshot_entries" not in request
        return super().op_start(request)


if __name__ == "__main__":
    Older().serve()
