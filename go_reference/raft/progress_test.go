package raft

import "testing"

func TestAProbeIsOneMessageUntilItIsAnswered(t *testing.T) {
	p := newProgress(2, 5, 3)
	p.sent(7)
	if p.maySend() {
		t.Error("a second probe before the first is answered")
	}
	p.heartbeat(0)
	if !p.maySend() || p.nextIndex != 5 {
		t.Errorf("after a heartbeat the probe is lost: next %d", p.nextIndex)
	}
	p.sent(7)
	if !p.accepted(7) || p.probing || p.matchIndex != 7 || p.nextIndex != 8 {
		t.Errorf("after success: match %d, next %d", p.matchIndex, p.nextIndex)
	}
}

func TestTheWindowBoundsWhatIsUnderWay(t *testing.T) {
	p := newProgress(2, 1, 2)
	p.accepted(0)
	p.sent(10)
	p.sent(20)
	if p.maySend() || p.nextIndex != 21 {
		t.Errorf("a third message with a window of two; next %d", p.nextIndex)
	}
	p.heartbeat(0)
	if p.maySend() {
		t.Error("a heartbeat empties the window of a follower that is no longer probed")
	}
	if !p.accepted(15) || !p.maySend() {
		t.Error("an acknowledgement past the first message makes room for one")
	}
	p.sent(30)
	if p.accepted(30); len(p.inFlight) != 0 {
		t.Errorf("an acknowledgement covers what went before: %v", p.inFlight)
	}
}

// Figure 2 (volatile state on leaders): it increases monotonically.
func TestMatchIndexNeverFalls(t *testing.T) {
	p := newProgress(2, 1, 4)
	p.accepted(9)
	if p.accepted(4) || p.matchIndex != 9 || p.nextIndex != 10 {
		t.Errorf("an old success: match %d, next %d", p.matchIndex, p.nextIndex)
	}
}

func TestARefusalGoesBackToProbing(t *testing.T) {
	p := newProgress(2, 1, 4)
	p.accepted(5)
	p.sent(10)
	p.rejected(10, 7)
	if !p.probing || p.nextIndex != 8 || !p.maySend() {
		t.Errorf("probing %v, next %d", p.probing, p.nextIndex)
	}
	p.rejected(7, 7)
	if p.nextIndex != 7 {
		t.Errorf("a hint at the refused index itself has to make progress: next %d", p.nextIndex)
	}
}

// §5.3: what a follower has acknowledged it has, whatever it refused before.
func TestAStaleRefusalChangesNothing(t *testing.T) {
	p := newProgress(2, 11, 4)
	p.rejected(3, 1) // answers a probe of long ago
	if p.nextIndex != 11 {
		t.Errorf("next %d", p.nextIndex)
	}
	p.accepted(10)
	p.rejected(10, 2)
	if p.probing || p.nextIndex != 11 {
		t.Errorf("what is known to match was refused: next %d", p.nextIndex)
	}
	p.sent(20)
	p.rejected(15, 2)
	if p.nextIndex <= p.matchIndex {
		t.Errorf("next %d is not past match %d", p.nextIndex, p.matchIndex)
	}
}

// §7: piece by piece, until the follower matches what the snapshot covers.
func TestASnapshotIsProbedWith(t *testing.T) {
	p := newProgress(2, 1, 4)
	p.accepted(0)
	p.sent(10)
	p.install(snapshotAt(50, 1, 6))
	if !p.maySend() || !p.probing {
		t.Error("what was under way is in the snapshot's way")
	}
	p.sent(50)
	if p.maySend() {
		t.Error("a second piece before the first is answered")
	}
	p.received(40, 3) // of another snapshot
	if p.maySend() || p.offset != 0 {
		t.Errorf("at item %d", p.offset)
	}
	p.received(50, 4)
	if !p.maySend() || p.offset != 4 {
		t.Errorf("at item %d", p.offset)
	}
	p.accepted(20) // of long ago
	if p.snapshot == nil || !p.probing {
		t.Error("the snapshot was given up")
	}
	p.accepted(50)
	if p.snapshot != nil || p.probing || p.nextIndex != 51 {
		t.Errorf("after the snapshot: next %d", p.nextIndex)
	}
}

// Thesis §4.2.1: a round is from one heartbeat to the next.
func TestALearnerIsCaughtUpWithinARound(t *testing.T) {
	p := newProgress(2, 1, 4)
	for _, c := range []struct {
		acknowledged, last int
		caughtUp           bool
	}{{0, 10, false}, {5, 20, false}, {19, 30, false}, {30, 40, true}, {39, 40, false}, {40, 50, true}} {
		p.accepted(c.acknowledged)
		p.heartbeat(c.last)
		if p.caughtUp != c.caughtUp {
			t.Errorf("with %d at a heartbeat: caught up %v", c.acknowledged, p.caughtUp)
		}
	}
}
