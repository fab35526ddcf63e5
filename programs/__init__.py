"""A cluster whose nodes are programs of their own, of any language, and speak TCP."""
