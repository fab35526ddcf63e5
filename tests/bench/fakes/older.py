"""A contender from before there were snapshots."""

from stub import Stub


class Older(Stub):
    def op_start(self, request):
        assert "snapshot_entries" not in request
        return super().op_start(request)

    def op_status(self, request):
        status = super().op_status(request)
        for node in status["nodes"]:
            del node["first_index"]
        return status


if __name__ == "__main__":
    Older().serve()
