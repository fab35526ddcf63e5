"""Other hosts, through Ray: where nodes' programs, or whole blocks of trials, are put.

Nothing but this room imports Ray, and it is not imported itself where no other hosts are asked for.
An actor holds what it started by pipes, as the harness does on its own host. Ray ends an actor
whose driver is gone; what the actor had started then ends by itself, and what does not is killed by
a process beside it (`hearth.py`).
"""
