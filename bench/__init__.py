"""The harness: it runs the trials, keeps their results and turns them into estimates."""
