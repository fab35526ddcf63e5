"""What every contender must do, asked only through the protocol of docs/protocol.md."""
