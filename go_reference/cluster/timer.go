package cluster

import (
	"time"

	"golang.org/x/sys/unix"
)

// A timer is a node's only one: its election timeout, or the heartbeat of a leader.
type timer struct{ *time.Timer }

func newTimer() timer {
	t := timer{time.NewTimer(0)}
	t.Stop()
	return t
}

// restart lets the timer expire after d; of an earlier expiry not yet heard of nothing is
// left, as the runtime sees to.
func (t timer) restart(d time.Duration) { t.Reset(d) }

// monotonic is the time of CLOCK_MONOTONIC in nanoseconds, which all processes of the
// machine share.
func monotonic() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err)
	}
	return now.Nano()
}
