"""How long our own hot paths take: `make microbench`."""
