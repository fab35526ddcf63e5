"""Other people's Rafts as node programs, each with its own pins; `raftmark peers` builds them."""
