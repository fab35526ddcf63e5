"""What is to be measured: cells, specifications and the order of their trials."""
