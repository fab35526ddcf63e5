"""Whether clients, whatever happens to the nodes and links, see one store that works in order."""
