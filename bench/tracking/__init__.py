"""Two revisions, and time: comparisons, the gate and the history.

Built of all that measures and all that analyses; nothing else of the harness imports it.
"""
