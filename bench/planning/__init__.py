"""What is to be measured, from what a pilot found: how many processes, how long each."""
