"""Two revisions, and time: comparisons, the gate and the history."""
