"""What it means: estimates with intervals, sequences, change points, steady state.

Functions of what is kept; nothing here measures, and nothing is spelled for people.
"""
