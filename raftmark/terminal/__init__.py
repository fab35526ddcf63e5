"""What people see in a terminal: a run's progress, its summary, and tables.

Only here, and in the commands, is anything drawn for a terminal.
"""
