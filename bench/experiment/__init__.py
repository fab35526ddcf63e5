"""How it is measured: trials, their checks and costs, and the machine that they run on.

Nothing here says what a figure means; that is `analysis`.
"""
