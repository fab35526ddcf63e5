package raft

import "testing"

func TestAProbeIsOneMessageUntilItIsAnswered(t *testing.T) {
	p := newProgress(2, 5, 3, 1000)
	p.sent(7, 10)
	if p.maySend() {
		t.Error("a second probe before the first is answered")
	}
	// Or what waits for a node that is gone would grow without bound.
	for range 5 {
		p.heartbeat(0)
		if p.maySend() || p.heartbeatIndex() != 4 {
			t.Errorf("a heartbeat asks again, without entries: after %d", p.heartbeatIndex())
		}
	}
	if !p.accepted(7, 0) || p.probing || p.matchIndex != 7 || p.nextIndex != 8 {
		t.Errorf("after success: match %d, next %d", p.matchIndex, p.nextIndex)
	}
}

func TestTheWindowBoundsWhatIsUnderWay(t *testing.T) {
	p := newProgress(2, 1, 2, 1000)
	p.accepted(0, 0)
	p.sent(10, 10)
	p.sent(20, 10)
	if p.maySend() || p.nextIndex != 21 {
		t.Errorf("a third message with a window of two; next %d", p.nextIndex)
	}
	p.heartbeat(0)
	if p.maySend() {
		t.Error("a heartbeat empties the window of a follower that is no longer probed")
	}
	if !p.accepted(15, 0) || !p.maySend() {
		t.Error("an acknowledgement past the first message makes room for one")
	}
	p.sent(30, 10)
	if p.accepted(30, 0); len(p.inFlight) != 0 {
		t.Errorf("an acknowledgement covers what went before: %v", p.inFlight)
	}
}

func TestTheWindowBoundsTheBytesUnderWay(t *testing.T) {
	p := newProgress(2, 1, 5, 5)
	p.accepted(0, 0)
	for last := 1; last <= 3; last++ {
		if !p.maySend() {
			t.Errorf("no room for message %d", last)
		}
		p.sent(last, 10)
	}
	if p.maySend() {
		t.Error("30 bytes under way with a window of 25")
	}
	if p.accepted(1, 0); !p.maySend() {
		t.Error("an acknowledgement makes no room")
	}
	p.sent(4, 1000)
	if p.rejected(4, 1); !p.maySend() || p.inFlightBytes != 0 {
		t.Errorf("what was given up is not under way: %d bytes", p.inFlightBytes)
	}
}

func TestAHeartbeatNeedNotWaitBehindMuchThatIsBeingAcknowledged(t *testing.T) {
	p := newProgress(2, 1, 3, 15)
	p.accepted(0, 0)
	for last := 1; last <= 3; last++ {
		p.sent(last, 10)
	}
	p.accepted(1, 0)
	if p.heartbeat(9); p.heartbeatIndex() != 1 {
		t.Errorf("it goes after %d", p.heartbeatIndex())
	}
	if p.heartbeat(9); p.heartbeatIndex() != 3 {
		t.Errorf("nothing came meanwhile, and it asks after %d", p.heartbeatIndex())
	}
	p.accepted(2, 0)
	if p.heartbeat(9); p.heartbeatIndex() != 3 {
		t.Errorf("what is under way is little, and it goes after %d", p.heartbeatIndex())
	}
}

func TestAFollowerThatHasLostItsLogBeginsAnew(t *testing.T) {
	p := newProgress(2, 1, 3, 1000)
	p.accepted(5, 0)
	p.sent(8, 10)
	p.beginAnew(2, 7)
	if p.matchIndex != 0 || p.nextIndex != 3 || p.firstRound != 7 || !p.probing || !p.maySend() {
		t.Errorf("match %d, next %d, from round %d", p.matchIndex, p.nextIndex, p.firstRound)
	}
}

// Figure 2 (volatile state on leaders): it increases monotonically.
func TestMatchIndexNeverFalls(t *testing.T) {
	p := newProgress(2, 1, 4, 1000)
	p.accepted(9, 0)
	if p.accepted(4, 0) || p.matchIndex != 9 || p.nextIndex != 10 {
		t.Errorf("an old success: match %d, next %d", p.matchIndex, p.nextIndex)
	}
}

func TestARefusalGoesBackToProbing(t *testing.T) {
	p := newProgress(2, 1, 4, 1000)
	p.accepted(5, 0)
	p.sent(10, 10)
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
	p := newProgress(2, 11, 4, 1000)
	p.rejected(3, 1) // answers a probe of long ago
	if p.nextIndex != 11 {
		t.Errorf("next %d", p.nextIndex)
	}
	p.accepted(10, 0)
	p.rejected(10, 2)
	if p.probing || p.nextIndex != 11 {
		t.Errorf("what is known to match was refused: next %d", p.nextIndex)
	}
	p.sent(20, 10)
	p.rejected(15, 2)
	if p.nextIndex <= p.matchIndex {
		t.Errorf("next %d is not past match %d", p.nextIndex, p.matchIndex)
	}
}

// §7: piece by piece, until the follower matches what the snapshot covers.
func TestASnapshotIsProbedWith(t *testing.T) {
	p := newProgress(2, 1, 4, 1000)
	p.accepted(0, 0)
	p.sent(10, 10)
	p.install(snapshotAt(50, 1, 6))
	if !p.maySend() || !p.probing {
		t.Error("what was under way is in the snapshot's way")
	}
	p.sent(50, 10)
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
	p.sent(50, 10)
	p.heartbeat(60)
	if p.maySend() {
		t.Error("a silent follower is sent no items again")
	}
	if p.received(50, 4); !p.maySend() {
		t.Error("it answers, and has not got the piece")
	}
	p.accepted(20, 0) // of long ago
	if p.snapshot == nil || !p.probing {
		t.Error("the snapshot was given up")
	}
	p.accepted(50, 0)
	if p.snapshot != nil || p.probing || p.nextIndex != 51 {
		t.Errorf("after the snapshot: next %d", p.nextIndex)
	}
}

// Thesis §4.2.1: a round is from one heartbeat to the next.
func TestALearnerIsCaughtUpWithinARound(t *testing.T) {
	p := newProgress(2, 1, 4, 1000)
	for _, c := range []struct {
		acknowledged, last int
		caughtUp           bool
	}{{0, 10, false}, {5, 20, false}, {19, 30, false}, {30, 40, true}, {39, 40, false}, {40, 50, true}} {
		p.accepted(c.acknowledged, 0)
		p.heartbeat(c.last)
		if p.caughtUp != c.caughtUp {
			t.Errorf("with %d at a heartbeat: caught up %v", c.acknowledged, p.caughtUp)
		}
	}
}
