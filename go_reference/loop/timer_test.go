package loop

import (
	"testing"
	"testing/synctest"
	"time"
)

// looped plays a test whose timers ring, in a bubble of simulated time.
func looped(t *testing.T, play func(l *loop)) {
	synctest.Test(t, func(_ *testing.T) {
		l := newLoop()
		go l.run()
		play(l)
		l.do(l.end)
	})
}

func TestATimerRestartedRingsWhenItIsToRingNow(t *testing.T) {
	looped(t, func(l *loop) {
		start := time.Now()
		rings := make(chan time.Duration, 1)
		timer := newTimer(l, func() { rings <- time.Since(start) })
		restart := func(d time.Duration) { l.do(func() { timer.Restart(d) }) }
		wantRing := func(after time.Duration) {
			t.Helper()
			if took := <-rings; took != after {
				t.Errorf("it rang after %v, not %v", took, after)
			}
			start = time.Now()
		}
		restart(2 * time.Second)
		wantRing(2 * time.Second)

		restart(2 * time.Second)
		time.Sleep(time.Second)
		restart(4 * time.Second) // later than it was to ring
		wantRing(5 * time.Second)

		restart(4 * time.Second)
		time.Sleep(time.Second)
		restart(time.Second) // earlier
		wantRing(2 * time.Second)

		restart(time.Second)
		l.do(timer.Stop)
		time.Sleep(time.Hour)
		if len(rings) > 0 {
			t.Error("it rang after it was stopped")
		}
		restart(time.Second)
		wantRing(time.Hour + time.Second)
	})
}

func TestTimersRingInTheirOrder(t *testing.T) {
	looped(t, func(l *loop) {
		var rang []int
		l.do(func() {
			timers := make([]*timer, 6)
			for i := range timers {
				timers[i] = newTimer(l, func() { rang = append(rang, i) })
			}
			for _, i := range []int{3, 0, 5, 1, 4, 2} {
				timers[i].Restart(time.Duration(i+1) * time.Second)
			}
			timers[3].Stop()
			timers[0].Restart(10 * time.Second)
		})
		time.Sleep(time.Minute)
		l.do(func() {
			want := []int{1, 2, 4, 5, 0}
			for i, timer := range want {
				if len(rang) != len(want) || rang[i] != timer {
					t.Errorf("they rang as %v", rang)
					break
				}
			}
			if len(l.timers) > 0 {
				t.Errorf("%d are left", len(l.timers))
			}
		})
	})
}

func TestARestartedTimerHasNotExpired(t *testing.T) {
	looped(t, func(l *loop) {
		var early, inTime bool
		l.do(func() {
			var timer *timer
			timer = newTimer(l, func() {
				inTime = timer.Expired()
				timer.Restart(time.Second)
				early = timer.Expired()
				timer.Stop()
			})
			timer.Restart(time.Second)
		})
		time.Sleep(time.Minute)
		l.do(func() {
			if !inTime || early {
				t.Errorf("expired when it rang: %v; when it was restarted: %v", inTime, early)
			}
		})
	})
}
