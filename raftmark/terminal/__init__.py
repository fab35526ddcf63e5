"""What people see in a terminal: a run's progress, its summary, and tables."""
