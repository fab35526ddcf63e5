package loop

import (
	"container/heap"
	"time"
)

// A timer is one of a loop's: a place in its heap, while it is to ring.
type timer struct {
	loop  *loop
	ring  func()
	at    time.Duration // when it rings
	place int           // in the heap, or nowhere
}

const nowhere = -1

func newTimer(loop *loop, ring func()) *timer {
	return &timer{loop: loop, ring: ring, place: nowhere}
}

// Restart lets the timer ring after d, and not before.
func (t *timer) Restart(d time.Duration) {
	t.at = t.loop.now() + d
	if t.place == nowhere {
		heap.Push(&t.loop.timers, t)
	} else {
		heap.Fix(&t.loop.timers, t.place)
	}
}

// Expired reports, when the timer has rung, whether that was in time: it may have been restarted
// since.
func (t *timer) Expired() bool { return t.at <= t.loop.now() }

// Stop lets the timer ring no more, until it is restarted.
func (t *timer) Stop() {
	if t.place != nowhere {
		heap.Remove(&t.loop.timers, t.place)
	}
}

// timers are a heap of those that are to ring.
type timers []*timer

// ring lets ring what is due.
func (t *timers) ring(now time.Duration) {
	for len(*t) > 0 && (*t)[0].at <= now {
		heap.Pop(t).(*timer).ring()
	}
}

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at < t[j].at }

func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].place, t[j].place = i, j
}

// Push is the heap's to call, as Pop.
func (t *timers) Push(x any) {
	added := x.(*timer)
	added.place = len(*t)
	*t = append(*t, added)
}

// Pop takes out the last.
func (t *timers) Pop() any {
	last := len(*t) - 1
	taken := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	taken.place = nowhere
	return taken
}
