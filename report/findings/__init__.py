"""What was found: from a run's trials to comparisons, headlines and sentences, stage by stage.

Nothing is drawn here.
"""
