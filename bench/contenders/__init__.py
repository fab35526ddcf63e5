"""Who takes part: the table, interpreters, and the process at the other end of the pipe.

Nothing here knows what is measured.
"""
