"""What it means: estimates with intervals, sequences, change points, steady state."""
