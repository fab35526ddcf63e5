package raft

// A progress is a follower's position in the leader's log, and the window of what is under
// way (the paper's figure 2: nextIndex, matchIndex).
//
// It begins probing: one AppendEntries at a time, until a success shows where the logs
// meet. From then on it is replicating: entries are sent ahead of their acknowledgements,
// at most window messages of them.
//
// Invariant: matchIndex < nextIndex, and matchIndex never falls.
type progress struct {
	matchIndex int
	nextIndex  int
	probing    bool
	window     int
	inFlight   []int // the last index of each message under way, oldest first
}

func newProgress(nextIndex, window int) *progress {
	return &progress{
		nextIndex: nextIndex,
		probing:   true,
		window:    window,
		inFlight:  make([]int, 0, window),
	}
}

// maySend reports whether another AppendEntries with entries may leave now.
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

// heartbeat notes that a heartbeat passed: a probe unanswered until now is taken for lost.
func (p *progress) heartbeat() {
	if p.probing {
		p.inFlight = p.inFlight[:0]
	}
}

// accepted notes that the follower matches up to index, and reports whether that was news.
func (p *progress) accepted(index int) bool {
	p.acknowledge(index)
	if p.probing {
		p.probing = false
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
	p.inFlight = p.inFlight[:0]
	p.nextIndex = max(p.matchIndex, min(possibleMatch, index-1)) + 1
}
