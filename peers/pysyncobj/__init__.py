"""PySyncObj as a node program (docs/peers.md)."""
