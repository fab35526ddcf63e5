"""The commands of the command line, a module for each family of them.

A command reads what it was given, calls those below, and turns what they raise into one line.
"""
