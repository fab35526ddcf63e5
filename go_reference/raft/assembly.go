package raft

// An assembly is a snapshot on its way: the items that a follower has received so far of one
// leader's snapshot (§7).
//
// Two leaders may hold the same state in a different order, so that their pieces do not mix.
type assembly struct {
	source pieceSource
	items  []Item
}

type pieceSource struct {
	term  uint64
	from  NodeID
	index int
}

// add takes a piece, if it is the next one, and returns the snapshot once it is whole, nil
// before.
func (a *assembly) add(piece InstallSnapshot) *Snapshot {
	source := pieceSource{piece.Term, piece.From, piece.SnapshotIndex}
	if source != a.source {
		*a = assembly{source: source}
	}
	if piece.Offset != len(a.items) {
		return nil
	}
	a.items = append(a.items, piece.Items...)
	if !piece.Done {
		return nil
	}
	items := a.items
	*a = assembly{}
	return &Snapshot{piece.SnapshotIndex, piece.SnapshotTerm, piece.Configuration, items}
}
