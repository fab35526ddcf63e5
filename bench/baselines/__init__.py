"""What the contenders are held against: another Raft, and the bare models. See `floors`."""
