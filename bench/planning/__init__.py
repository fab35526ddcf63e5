"""What to measure next, from what a pilot found: how many processes, and how long each."""
