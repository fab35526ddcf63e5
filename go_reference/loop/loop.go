package loop

import "time"

// A loop is the one goroutine that a cluster belongs to. In each round it runs what others have
// asked for, what has become due, and then what is ready, in the order in which it became so; where
// there is nothing of these it sleeps.
type loop struct {
	start  time.Time   // from which its moments count
	calls  chan func() // from other goroutines
	ready  []func()    // the run queue, of the next round
	spare  []func()    // what the last one was in
	timers timers      // by when they ring
	alarm  *time.Timer // which ends its sleep
	ending bool
}

// waitingCalls may be asked for by other goroutines before they have to wait.
const waitingCalls = 1024

func newLoop() *loop {
	alarm := time.NewTimer(0)
	alarm.Stop()
	return &loop{start: time.Now(), calls: make(chan func(), waitingCalls), alarm: alarm}
}

func (l *loop) now() time.Duration { return time.Since(l.start) }

// do runs f in the loop, from another goroutine, and returns when it is done.
func (l *loop) do(f func()) {
	done := make(chan struct{})
	l.calls <- func() {
		f()
		close(done)
	}
	<-done
}

// soon runs f in the next round. It is the loop's own to call, as all below.
func (l *loop) soon(f func()) { l.ready = append(l.ready, f) }

// end lets the present round be the last but one, which is for what it leaves.
func (l *loop) end() { l.ending = true }

// run is the goroutine.
func (l *loop) run() {
	for !l.ending {
		if len(l.ready) == 0 {
			l.sleep()
		}
		l.round()
	}
	l.round()
}

func (l *loop) round() {
	for range len(l.calls) {
		(<-l.calls)()
	}
	l.timers.ring(l.now())
	round := l.ready
	l.ready = l.spare[:0]
	for i, f := range round {
		round[i] = nil
		f()
	}
	l.spare = round
}

// sleep waits for a call, or until the first timer is due.
func (l *loop) sleep() {
	if len(l.timers) > 0 {
		l.alarm.Reset(l.timers[0].at - l.now())
		defer l.alarm.Stop()
	}
	select {
	case call := <-l.calls:
		call()
	case <-l.alarm.C:
	}
}
