"""What was found: from a run's trials to comparisons, headlines and sentences. Draws nothing."""
