package raft

// A progress is a follower's position in the leader's log, and the window of what is under
// way (the paper's figure 2: nextIndex, matchIndex).
//
// It begins probing: one AppendEntries at a time, until a success shows where the logs
// meet. From then on it is replicating: entries are sent ahead of their acknowledgements,
// at most window messages of them, and none while maxBytes for each of these, or more, are
// under way. A follower that needs what the log no longer has is probing with a snapshot, piece
// after piece (§7).
//
// What is under way is sent again only to a follower that answers: one that is silent is sent
// heartbeats, which ask where it is, and nothing else.
//
// Invariant: matchIndex < nextIndex, and matchIndex never falls but by beginAnew.
type progress struct {
	id    NodeID
	voter bool

	matchIndex    int
	matchRound    uint64 // the latest when matchIndex last rose: what was asked later, knew of it
	firstRound    uint64 // what was asked earlier was asked of a log that the follower has lost
	nextIndex     int
	probing       bool
	window        int
	maxBytes      int
	inFlight      []underWay // oldest first
	inFlightBytes int

	moved      bool // whether it has acknowledged something since the last heartbeat
	asks       bool // whether heartbeats ask for all that was sent
	unanswered bool // whether a heartbeat has passed since the last piece

	snapshot *Snapshot // nil where entries will do
	offset   int       // how many items of the snapshot the follower has

	active    bool   // whether it was heard of since the leader last looked (thesis §6.2)
	readRound uint64 // the latest round of reads in which it followed the leader (thesis §6.4)

	// Whether it had at a heartbeat what was in the log at the one before, which is roundEnd
	// at the next one (thesis §4.2.1).
	caughtUp bool
	roundEnd int
}

// Under way is a message with entries, or items.
type underWay struct{ lastIndex, size int }

func newProgress(id NodeID, nextIndex, window, maxBytes int) *progress {
	return &progress{
		id:        id,
		nextIndex: nextIndex,
		probing:   true,
		window:    window,
		maxBytes:  maxBytes,
		inFlight:  make([]underWay, 0, window),
		asks:      true,
		active:    true,
	}
}

// maySend reports whether another message with entries, or items, may leave now.
func (p *progress) maySend() bool {
	if p.probing {
		return len(p.inFlight) == 0
	}
	return len(p.inFlight) < p.window && p.inFlightBytes < p.window*p.maxBytes
}

// sent notes that the entries from nextIndex to lastIndex are under way.
func (p *progress) sent(lastIndex, size int) {
	p.inFlight = append(p.inFlight, underWay{lastIndex, size})
	p.inFlightBytes += size
	p.unanswered = false
	if !p.probing {
		p.nextIndex = lastIndex + 1
	}
}

// heartbeat notes that a heartbeat passes, with lastIndex the end of the log.
func (p *progress) heartbeat(lastIndex int) {
	p.asks, p.moved = !p.moved, false
	p.unanswered = len(p.inFlight) > 0
	p.caughtUp = p.roundEnd > 0 && p.matchIndex >= p.roundEnd
	p.roundEnd = lastIndex
}

// heartbeatIndex is after which index a message without entries goes.
//
// Mostly it asks for all that was sent, so that a follower which lacks any of it says so. Where
// that is more than one message's worth, and acknowledgements come, it goes after what is known
// to match: so it need not wait behind all that.
func (p *progress) heartbeatIndex() int {
	if p.probing || p.asks || p.inFlightBytes <= p.maxBytes {
		return p.nextIndex - 1
	}
	return p.matchIndex
}

// accepted notes that the follower matches up to index, and reports whether that was news.
// LatestRound is the leader's at this moment.
func (p *progress) accepted(index int, latestRound uint64) bool {
	p.acknowledge(index)
	if p.probing && (p.snapshot == nil || index >= p.snapshot.LastIndex) {
		p.probing = false
		p.snapshot = nil
		p.forgetInFlight()
	}
	p.nextIndex = max(p.nextIndex, index+1)
	if index <= p.matchIndex {
		return false
	}
	p.matchIndex, p.matchRound = index, latestRound
	p.moved = true
	return true
}

// acknowledge takes what is answered by index out of the window.
func (p *progress) acknowledge(index int) {
	answered := 0
	for answered < len(p.inFlight) && p.inFlight[answered].lastIndex <= index {
		p.inFlightBytes -= p.inFlight[answered].size
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
	p.forgetInFlight()
	p.nextIndex = max(p.matchIndex, min(possibleMatch, index-1)) + 1
}

// beginAnew notes that the follower has lost what it had acknowledged: nothing is known of its
// log any more. Its answers of before firstRound tell of the log that it had.
func (p *progress) beginAnew(possibleMatch int, firstRound uint64) {
	p.matchIndex, p.firstRound = 0, firstRound
	p.nextIndex = possibleMatch + 1
	p.probing = true
	p.snapshot = nil
	p.roundEnd, p.caughtUp = 0, false
	p.forgetInFlight()
}

// install begins to send a snapshot; whatever else is under way no longer matters.
func (p *progress) install(snapshot *Snapshot) {
	p.probing = true
	p.snapshot = snapshot
	p.offset = 0
	p.forgetInFlight()
}

// received notes that the follower has the first items, offset of them, of the snapshot at
// snapshotIndex. What is known already is no news, as the piece that follows it is under way;
// unless a heartbeat has passed since, so that this piece may be lost.
func (p *progress) received(snapshotIndex, offset int) {
	if p.snapshot == nil || p.snapshot.LastIndex != snapshotIndex {
		return
	}
	if p.offset != offset || p.unanswered {
		p.offset = min(offset, len(p.snapshot.Items))
		p.forgetInFlight()
	}
}

func (p *progress) forgetInFlight() {
	p.inFlight, p.inFlightBytes = p.inFlight[:0], 0
}
