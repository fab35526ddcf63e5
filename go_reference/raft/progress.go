package raft

// A progress is a follower's position in the leader's log, and the window of what is under
// way (the paper's figure 2: nextIndex, matchIndex).
//
// It begins probing: one AppendEntries at a time, until a success shows where the logs
// meet. From then on it is replicating: entries are sent ahead of their acknowledgements,
// at most window messages of them. A follower that needs what the log no longer has is
// probing with a snapshot, piece after piece (§7).
//
// Invariant: matchIndex < nextIndex, and matchIndex never falls.
type progress struct {
	id    NodeID
	voter bool

	matchIndex int
	nextIndex  int
	probing    bool
	window     int
	inFlight   []int // the last index of each message under way, oldest first

	snapshot *Snapshot // nil where entries will do
	offset   int       // how many items of the snapshot the follower has

	active    bool   // whether it was heard of since the leader last looked (thesis §6.2)
	readRound uint64 // the latest round of reads in which it followed the leader (thesis §6.4)

	// Whether it had at a heartbeat what was in the log at the one before, which is roundEnd
	// at the next one (thesis §4.2.1).
	caughtUp bool
	roundEnd int
}

func newProgress(id NodeID, nextIndex, window int) *progress {
	return &progress{
		id:        id,
		nextIndex: nextIndex,
		probing:   true,
		window:    window,
		inFlight:  make([]int, 0, window),
		active:    true,
	}
}

// maySend reports whether another message with entries, or items, may leave now.
func (p *progress) maySend() bool {
	if p.probing {
		return len(p.inFlight) == 0
	}
	return len(p.inFlight) < p.window
}

// sent notes that the entries from nextIndex to lastIndex are under way.
func (p *progress) sent(lastIndex int) {
	p.inFlight = append(p.inFlight, lastIndex)
	if !p.probing {
		p.nextIndex = lastIndex + 1
	}
}

// heartbeat notes that a heartbeat passed, with lastIndex the end of the log: a probe
// unanswered until now is taken for lost.
func (p *progress) heartbeat(lastIndex int) {
	if p.probing {
		p.inFlight = p.inFlight[:0]
	}
	p.caughtUp = p.roundEnd > 0 && p.matchIndex >= p.roundEnd
	p.roundEnd = lastIndex
}

// accepted notes that the follower matches up to index, and reports whether that was news.
func (p *progress) accepted(index int) bool {
	p.acknowledge(index)
	if p.probing && (p.snapshot == nil || index >= p.snapshot.LastIndex) {
		p.probing = false
		p.snapshot = nil
		p.inFlight = p.inFlight[:0]
	}
	p.nextIndex = max(p.nextIndex, index+1)
	if index <= p.matchIndex {
		return false
	}
	p.matchIndex = index
	return true
}

// acknowledge takes what is answered by index out of the window.
func (p *progress) acknowledge(index int) {
	answered := 0
	for answered < len(p.inFlight) && p.inFlight[answered] <= index {
		answered++
	}
	p.inFlight = append(p.inFlight[:0], p.inFlight[answered:]...)
}

// rejected notes that the follower refused entries after index, and that the next attempt
// is to follow possibleMatch. A refusal that was overtaken by later news is ignored.
func (p *progress) rejected(index, possibleMatch int) {
	if index <= p.matchIndex || (p.probing && index != p.nextIndex-1) {
		return
	}
	p.probing = true
	p.snapshot = nil
	p.inFlight = p.inFlight[:0]
	p.nextIndex = max(p.matchIndex, min(possibleMatch, index-1)) + 1
}

// install begins to send a snapshot; whatever else is under way no longer matters.
func (p *progress) install(snapshot *Snapshot) {
	p.probing = true
	p.snapshot = snapshot
	p.offset = 0
	p.inFlight = p.inFlight[:0]
}

// received notes that the follower has the first items, offset of them, of the snapshot at
// snapshotIndex. What is known already is no news: the piece that follows it is under way.
func (p *progress) received(snapshotIndex, offset int) {
	if p.snapshot != nil && p.snapshot.LastIndex == snapshotIndex && p.offset != offset {
		p.offset = min(offset, len(p.snapshot.Items))
		p.inFlight = p.inFlight[:0]
	}
}
