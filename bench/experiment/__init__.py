"""How it is measured: trials, their checks and costs, and the machine they run on."""
