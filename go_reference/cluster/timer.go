package cluster

import (
	"math"
	"time"
)

// A timer is a node's: one of the runtime's, which rings in its inbox.
//
// Under load it is restarted with every message, so a restart only moves the deadline. When
// it then rings too early, it is set anew.
type timer struct {
	*time.Timer
	start    time.Time     // from which the moments below count
	deadline time.Duration // when it is to expire
	rings    time.Duration // when it rings next
}

const never = math.MaxInt64

// newTimer returns a timer that rings in a goroutine of its own.
func newTimer(ring func()) *timer {
	return &timer{Timer: time.AfterFunc(never, ring), start: time.Now(), rings: never}
}

// Restart lets the timer expire after d, and not before.
func (t *timer) Restart(d time.Duration) {
	t.deadline = time.Since(t.start) + d
	if t.deadline < t.rings {
		t.set(d)
	}
}

// Expired reports, when the timer has rung, whether that was in time.
func (t *timer) Expired() bool {
	t.rings = never
	left := t.deadline - time.Since(t.start)
	if left > 0 {
		t.set(left)
	}
	return left <= 0
}

func (t *timer) set(d time.Duration) {
	t.rings = t.deadline
	t.Reset(d)
}

// Stop lets the timer ring no more, until it is restarted.
func (t *timer) Stop() {
	t.rings = never
	t.Timer.Stop()
}
