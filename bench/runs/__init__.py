"""What is kept of a run: its store, the forms of results and their audit."""
