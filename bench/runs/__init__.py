"""What is kept of a run: the forms, the files, and whether they are whole.

Whatever a run's directory holds is written and read here alone, so that who analyses a run needs
nobody who measures one.
"""
